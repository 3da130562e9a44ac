"""The conversation of the demo: the script, carried out by events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from batkol.demo.hearing import HeardReply, ReplyEar
from batkol.demo.hum import MS, mm_hm
from batkol.demo.screen import Screen
from batkol.demo.script import STREAMING, DemoScript, DemoTurn
from batkol.events.events import AnyEvent, ReplyEnded
from batkol.simulators.client.call_record import Said
from batkol.simulators.client.conversation import CallScript
from batkol.simulators.client.reply_record import WatchedReply

_LOOK_S: Final = 0.02
_LOOKS: Final = 100

Flip = Callable[[str], Awaitable[None]]
"""Switches the flag to a mode, and returns when that is in effect."""


@dataclass(slots=True, eq=False)
class TurnSeen:
    """One turn of the script, and what came of it. The greeting has no turn."""

    turn: DemoTurn | None
    reply: WatchedReply | None = None
    heard: HeardReply | None = None
    hum: Said | None = None
    interruption: Said | None = None
    """The caller's words that were to interrupt."""


@dataclass(slots=True)
class Talk:
    """One call. `seen` is what happened so far; it ends early where a reply does not come."""

    script: DemoScript
    screen: Screen
    hearing: ReplyEar
    flip: Flip
    seen: list[TurnSeen] = field(default_factory=list)
    _heard: dict[int, HeardReply] = field(default_factory=dict)
    _conversation: CallScript | None = None

    def observe(self, event: AnyEvent) -> None:
        """Show an event; at the end of a reply also what the caller's ear has heard of it."""
        self.screen.event(event)
        if isinstance(event, ReplyEnded) and self._conversation is not None:
            heard = self._at_the_ear(event.turn, self._conversation)
            if heard is not None:
                self._heard[event.turn] = heard
            self.screen.reply(event, "" if heard is None else heard.text)

    def _at_the_ear(self, turn: int, conversation: CallScript) -> HeardReply | None:
        *earlier, reply = conversation.watch.replies.all[:turn]
        return self.hearing.of(reply, earlier, conversation.report.ear)

    async def carry_out(self, conversation: CallScript) -> None:
        """Have the conversation."""
        self._conversation = conversation
        mode = STREAMING
        now = TurnSeen(None)
        self.seen.append(now)
        if not await self._begins(now, conversation) or not await self._ends(now, conversation):
            return
        for turn in self.script:
            if turn.mode != mode:
                await self.flip(turn.mode)
                mode = turn.mode
            before, now = now, TurnSeen(turn)
            self.seen.append(now)
            await conversation.say(turn.words)
            if before.turn is not None and before.turn.interrupted_at is not None:
                before.interruption = conversation.said[-1]
                if not await self._ends(before, conversation):
                    return
            if not await self._answered(now, conversation):
                return

    async def _answered(self, now: TurnSeen, conversation: CallScript) -> bool:
        """Listen to the answer: to its end, or until the next turn's words are to interrupt it."""
        turn = now.turn
        if turn is None or not await self._begins(now, conversation):
            return False
        if turn.hum_at is not None:
            if not await self._reaches(now, turn.hum_at, conversation):
                return False
            self.screen.note(f"〰  the caller hums: a mm-hm of {MS} ms, which is no interruption")
            now.hum = await conversation.make_sound(mm_hm())
        if turn.interrupted_at is None:
            return await self._ends(now, conversation)
        if not await self._reaches(now, turn.interrupted_at, conversation):
            return False
        self.screen.note("✋ the caller interrupts")
        return True

    async def _begins(self, now: TurnSeen, conversation: CallScript) -> bool:
        number = len(self.seen)
        replies = conversation.watch.replies
        if await conversation.until(lambda: replies.get(number) is not None):
            now.reply = replies.get(number)
        return now.reply is not None

    async def _reaches(self, now: TurnSeen, piece: int, conversation: CallScript) -> bool:
        """Wait until that piece of the reply is played; false if the reply ends before."""
        reply = now.reply
        if reply is None:
            return False
        await conversation.until(lambda: len(reply.pieces) > piece or reply.ended is not None)
        return len(reply.pieces) > piece

    async def _ends(self, now: TurnSeen, conversation: CallScript) -> bool:
        reply = now.reply
        if reply is None or not await conversation.until(lambda: reply.ended is not None):
            return False
        now.heard = self._heard.get(reply.turn)
        if reply.ended is not None and reply.ended.interrupted:
            now.heard = await self._when_cut(reply.turn, conversation) or now.heard
        return True

    async def _when_cut(self, turn: int, conversation: CallScript) -> HeardReply | None:
        """Return what was heard of an interrupted reply: its end is known here before the `clear` is at the ear."""
        for _ in range(_LOOKS):
            heard = self._at_the_ear(turn, conversation)
            if heard is not None and heard.cut:
                return heard
            await asyncio.sleep(_LOOK_S)
        return None
