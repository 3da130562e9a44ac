"""The call of a rehearsal in which the agent answers, is interrupted, and says goodbye."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from batkol.client.errors import RequestRefusedError
from batkol.events.events import AnyEvent, ReplyEnded, ReplyStarted
from batkol.simulators.client.call_record import Said
from batkol.simulators.client.conversation import CallScript
from batkol.simulators.client.reply_record import WatchedReply
from batkol.simulators.twilio.caller import CallReport

FIRST: Final = ("אני", "רוצה", "פגישה")
LONG: Final = ("אני", "רוצה", "לקבוע", "פגישה", "מחר", "בוקר", "תודה")
"""Words with a long answer, even from an agent that only repeats them."""
INTERRUPTION: Final = ("לא", "רוצה", "רופא")
GREETING: Final = "greeting"

EndCall = Callable[[], Awaitable[None]]
Speak = Callable[[CallScript, Sequence[str]], Awaitable[bool]]
"""Says words to the service, or plays the caller's recording in their place; false if no final comes in time."""


@dataclass(slots=True)
class ReplyMoments:
    """The begin and the end of one reply as its events came, in monotonic seconds."""

    begun_at: float
    ended_at: float | None = None


@dataclass(slots=True)
class RepliesSeen:
    """The replies of the call so far; None: it did not come to that."""

    first: WatchedReply | None = None
    interrupted: WatchedReply | None = None
    interruption: Said | None = None
    last: WatchedReply | None = None
    """The answer to the words that interrupted."""
    unheard_before: int = 0
    """Samples that the service had sent and the caller did not hear, when the last answer was over."""
    refusal: str = ""
    """Reason for which the service did not hang up: a sentence."""
    moments: dict[int, ReplyMoments] = field(default_factory=dict)


class ReplyTalk:
    """The caller's side. `seen` fills as it goes; it ends early where a reply does not come."""

    def __init__(self, hang_up: EndCall, *, greeted: bool = False, speak: Speak = CallScript.say) -> None:
        """`greeted`: the agent speaks first."""
        self.seen = RepliesSeen()
        self._hang_up = hang_up
        self._greeted = greeted
        self._speak = speak
        self._answered = 0  # replies that the script has waited for

    def observe(self, event: AnyEvent) -> None:
        """Take note of the moments of replies."""
        moments = self.seen.moments
        match event:
            case ReplyStarted():
                moments[event.turn] = ReplyMoments(time.monotonic())
            case ReplyEnded() if event.turn in moments:
                moments[event.turn].ended_at = time.monotonic()

    async def carry_out(self, conversation: CallScript) -> None:
        """Have the conversation."""
        if self._greeted:
            await self._over(await self._next(conversation), conversation)
        await self._speak(conversation, FIRST)
        self.seen.first = await self._reply(conversation)
        if not await self._over(self.seen.first, conversation):
            return
        await self._speak(conversation, LONG)
        self.seen.interrupted = await self._reply(conversation)
        if self.seen.interrupted is None:
            return
        await self._speak(conversation, INTERRUPTION)
        self.seen.interruption = conversation.said[-1]
        if not await self._over(self.seen.interrupted, conversation):
            return
        self.seen.last = await self._reply(conversation)
        if not await self._over(self.seen.last, conversation):
            return
        self.seen.unheard_before = unheard(conversation.report)
        try:
            await self._hang_up()
        except RequestRefusedError as error:
            self.seen.refusal = str(error)
            return
        await conversation.until(lambda: conversation.watch.ended is not None)

    async def _reply(self, conversation: CallScript) -> WatchedReply | None:
        """Return the next reply that is no greeting when it has begun; None if none does."""
        reply = await self._next(conversation)
        while reply is not None and reply.phrase == GREETING:
            reply = await self._next(conversation)
        return reply

    async def _next(self, conversation: CallScript) -> WatchedReply | None:
        replies = conversation.watch.replies
        if not await conversation.until(lambda: len(replies.all) > self._answered):
            return None
        self._answered += 1
        return replies.all[self._answered - 1]

    @staticmethod
    async def _over(reply: WatchedReply | None, conversation: CallScript) -> bool:
        return reply is not None and await conversation.until(lambda: reply.ended is not None)


def unheard(report: CallReport) -> int:
    """Return the samples that the service has sent and the caller has not heard by now."""
    return len(report.received) - len(report.heard)
