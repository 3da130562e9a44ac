"""The announcements of one call: what the API says, from the request to the end.

Each has its `reply_id` from the request on, and one end: `ReplySettled` if the caller heard any of it, otherwise
`AnnouncementUnsaid`, or `AttemptFailed` where the voice gave no sound. The turn table says when it is spoken and heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from batkol.answering.answerer import Question
from batkol.answering.echo import Echo
from batkol.audio.mulaw import SAMPLE_RATE
from batkol.conversation import events, inputs
from batkol.conversation.actions import Announce, AnnouncementAction, Discard, Prepare, Unsaid
from batkol.conversation.agent import Agent
from batkol.conversation.for_all import for_all
from batkol.conversation.limits import Spent
from batkol.conversation.replies import Replies, Spawn
from batkol.conversation.reply import LONGEST_S, Failure, Reply, Speaker
from batkol.conversation.reply_playout import Outlet
from batkol.conversation.track import Track
from batkol.conversation.voiced import Voiced, failed
from batkol.errors import CallError

MOST: Final = 32
"""Announcements of a call that may wait."""
MOST_MARKS: Final = 256
"""Marks of a call that may be on their way."""
MOST_WAITING: Final = int(2 * LONGEST_S) * SAMPLE_RATE
"""Samples of recorded sound that may wait in a call: they are in memory."""


class LineClosedError(CallError):
    """The call takes no announcement any more."""


class LineFullError(CallError):
    """Too many announcements of the call wait, or too many of its marks have not come back."""


@dataclass(slots=True)
class _Accepted:
    """An announcement that waits. `mulaw`: its sound, where it is a recording."""

    number: int
    voiced: Voiced
    mulaw: bytes | None = None
    ready: bool = False


class Announcements:
    """The announcements of one call. `put` takes what the turn table must know. Nothing here waits."""

    def __init__(self, agent: Agent, outlet: Outlet, replies: Replies, put: Callable[[inputs.Input], None]) -> None:
        self._agent = agent
        self._outlet = outlet
        self._replies = replies
        self._put = put
        self.count = 0
        """The announcements that were accepted so far."""
        self._waiting: dict[int, _Accepted] = {}
        self.spent = Spent()
        """The cost of what the voice has spoken."""

    # -- what the API asks for ---------------------------------------------------------------------------------------

    def say(self, text: str, *, urgent: bool = False) -> str:
        """Have a text spoken behind what is said; `urgent`: in its place. Return its id. Raises `LineFullError`."""
        return self._accept(" ".join(text.split()), None, urgent=urgent)

    def play(self, mulaw: bytes, text: str = "", *, urgent: bool = False) -> str:
        """Have a recording played in the same way; `text` is what it says. Raises `LineFullError`."""
        return self._accept(" ".join(text.split()), mulaw, urgent=urgent)

    def mark(self, name: str) -> None:
        """Put a mark behind all that was accepted so far. What is thrown away before it counts as played.

        Raises `LineFullError` where too many have not come back: the peer may return none.
        """
        waiting = sum(len(each.voiced.marks) for each in self._waiting.values())
        if waiting + self._replies.playout.marks >= MOST_MARKS:
            raise LineFullError(f"{MOST_MARKS} marks of this call have not come back")
        if self._waiting:
            next(reversed(self._waiting.values())).voiced.marks.append(name)
        else:
            self._replies.playout.mark(name)

    def _accept(self, text: str, mulaw: bytes | None, *, urgent: bool) -> str:
        if not urgent:  # an urgent one drops the others
            self._check_room(len(mulaw or b""))
        self.count += 1
        reply_id = f"{self._outlet.stream_sid}-a{self.count}"
        voiced = Voiced(0, Track(), "", reply_id=reply_id, announced=True, text=text)
        self._waiting[self.count] = _Accepted(self.count, voiced, mulaw)
        self._put(inputs.AnnouncementAsked(self.count, urgent))
        return reply_id

    def _check_room(self, samples: int) -> None:
        if len(self._waiting) >= MOST:
            raise LineFullError(f"{MOST} announcements of this call wait already")
        if samples and samples + sum(len(each.mulaw or b"") for each in self._waiting.values()) > MOST_WAITING:
            raise LineFullError(f"more than {MOST_WAITING // SAMPLE_RATE} s of recorded sound would wait in this call")

    # -- what the turn table asks for --------------------------------------------------------------------------------

    def carry_out(self, action: AnnouncementAction, spawn: Spawn) -> None:
        """Carry out an action of the turn table; voices speak in tasks of `spawn`."""
        match action:
            case Prepare(announcement):
                self._prepare(announcement, spawn)
            case Announce():
                self._announce(action)
            case Discard(announcement, why):
                self._discard(announcement, why)

    def close(self, why: Unsaid) -> None:
        """Throw away all that wait. A defect of an observer is raised when all of them are gone."""
        for_all(lambda number: self._discard(number, why), tuple(self._waiting))

    def _prepare(self, number: int, spawn: Spawn) -> None:
        accepted = self._waiting.get(number)
        if accepted is None:  # dropped with all others, after a defect
            self._put(inputs.AnnouncementLost(number))
        elif accepted.mulaw is None:
            self._speak(accepted, spawn)
        else:
            track = accepted.voiced.track
            track.add_piece(accepted.voiced.text)
            track.add_sound(accepted.mulaw, 0, last=True)
            self._sounds(accepted)

    def _announce(self, action: Announce) -> None:
        accepted = self._waiting.pop(action.announcement, None)
        if accepted is None:
            self._put(inputs.ReplyPlayed(action.attempt))
            return
        voiced = accepted.voiced
        voiced.attempt, voiced.answers = action.attempt, action.answers
        self._replies.announce(voiced)

    def _discard(self, number: int, why: Unsaid) -> None:
        accepted = self._waiting.pop(number, None)
        if accepted is None:
            return
        voiced = accepted.voiced
        if voiced.task is not None:
            voiced.task.cancel()
        try:
            self._outlet.observe(events.AnnouncementUnsaid(voiced.reply_id, why))
        finally:  # by a defect, too: a program that waits for a mark would wait for ever
            self._place_marks(voiced)

    # -- the voice ---------------------------------------------------------------------------------------------------

    def _speak(self, accepted: _Accepted, spawn: Spawn) -> None:
        voiced, voice = accepted.voiced, self._agent.speakers(self._outlet.call_sid).voice
        reply = Reply(Question(text=voiced.text), Speaker(Echo(), voice, self._agent.cutter))
        voiced.reply, voiced.track = reply, reply.track
        reply.on_sound = lambda _: self._sounds(accepted)
        voiced.task = spawn(reply.run())
        voiced.task.add_done_callback(partial(self._spoken, accepted))

    def _sounds(self, accepted: _Accepted) -> None:
        """Some of its sound is there, or more of it."""
        if not accepted.ready and accepted.voiced.track.samples:
            accepted.ready = True
            self._put(inputs.AnnouncementReady(accepted.number))
        self._replies.playout.feed(accepted.voiced)

    def _spoken(self, accepted: _Accepted, task: asyncio.Task[None]) -> None:
        """All of its sound is there; without any it has failed."""
        voiced = accepted.voiced
        self.spent.add(voiced.track)
        if voiced.reply is not None:
            voiced.reply.let_go()
        if task.cancelled() or task.exception() is not None or voiced.reply is None:
            return
        failure = voiced.reply.failure
        lost = not voiced.track.samples and self._waiting.pop(accepted.number, None) is not None
        try:
            if failure is not None or not voiced.track.samples:
                self._outlet.observe(failed(voiced, failure or Failure("voice", "empty")))
        finally:  # by a defect, too: else it would stand before all others until the call ends
            if lost:
                self._put(inputs.AnnouncementLost(accepted.number))
                self._place_marks(voiced)

    def _place_marks(self, voiced: Voiced) -> None:
        """Put its marks behind what is said: it is gone, and so is all that waited before it."""
        for name in voiced.marks:
            self._replies.playout.mark(name)
