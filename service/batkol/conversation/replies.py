"""The attempts of one call: each silent until it is released, heard until it is over, and settled once.

An attempt that was cancelled is not here any more, so nothing of it can reach the line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from batkol.conversation import events, inputs
from batkol.conversation.actions import SayPhrase, Unsaid
from batkol.conversation.agent import PhraseSound
from batkol.conversation.for_all import for_all
from batkol.conversation.history import History, ToolsOfTurn, corrected
from batkol.conversation.reply import Failure, Reply
from batkol.conversation.reply_playout import Outlet, ReplyPlayout
from batkol.conversation.track import Track
from batkol.conversation.usage import WastedUsage
from batkol.conversation.voiced import Voiced, failed, latency, settled

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
"""Begins work as a task of the conversation."""


class Replies:
    """The attempts under way. `put` takes what the turn table must know."""

    def __init__(
        self, outlet: Outlet, history: History, put: Callable[[inputs.Input], None], clock: Callable[[], float]
    ) -> None:
        self._outlet = outlet
        self._history = history
        self._put = put
        self._clock = clock
        self._voiced: dict[int, Voiced] = {}
        self.playout = ReplyPlayout(outlet, history, self._voiced, put, self._played)
        self._wasted = WastedUsage()
        self.turn = 0
        """The replies that were heard so far."""
        self.answered: Callable[[], ToolsOfTurn | None] = lambda: None
        """Called when a reply sounds: the tools of its turn."""

    # -- attempts ------------------------------------------------------------------------------------------------

    def add(self, attempt: int, reply: Reply) -> Voiced:
        """Take an attempt that begins now; nothing of it is heard yet."""
        voiced = Voiced(attempt, reply.track, reply.question.text, reply)
        reply.on_sound = lambda _: self.playout.feed(voiced)
        self._voiced[attempt] = voiced
        return voiced

    def ended(self, voiced: Voiced) -> None:
        """All of its sound is there; without any it has failed."""
        failure = None if voiced.reply is None else voiced.reply.failure
        if self._voiced.get(voiced.attempt) is not voiced:
            return
        ends_call = voiced.reply is not None and voiced.reply.ends_call
        try:
            if ends_call and failure is None and not voiced.track.samples:
                self._drop(voiced)  # it was to have no sound
            elif failure is not None or not voiced.track.samples:
                self._outlet.observe(failed(voiced, failure or Failure("answerer", "empty")))
        finally:  # by a defect, too: else the turn would wait for it until the call ends
            if voiced.track.samples:
                self.playout.feed(voiced)
            else:
                self._waste(voiced)
                del self._voiced[voiced.attempt]
                self._put(inputs.AttemptLost(voiced.attempt))

    def release(self, attempt: int) -> None:
        """Let the caller hear it, from now on."""
        if (voiced := self._voiced.get(attempt)) is not None:
            voiced.released = True
            self.playout.feed(voiced)

    def let_act(self, attempt: int) -> None:
        """Have its tools carried out, if it calls any. A second call changes nothing."""
        if (voiced := self._voiced.get(attempt)) is not None:
            voiced.commit()

    def hold(self, attempt: int) -> None:
        """Take the release back, if nothing was heard."""
        if (voiced := self._voiced.get(attempt)) is not None and not voiced.sounded:
            voiced.released = False
            voiced.hold()
            self.playout.unqueue(voiced)

    def cancel(self, attempt: int, why: Unsaid = Unsaid.INTERRUPTED) -> None:
        """Throw the attempt away; if it was interrupted, it is over with what was heard.

        `why` is for an announcement of which nothing was heard.
        """
        voiced = self._voiced.pop(attempt, None)
        if voiced is None:
            return
        if voiced.task is not None:
            voiced.task.cancel()
        if voiced.sounded:
            self._settle(voiced)
            return
        self.playout.unqueue(voiced)
        if voiced.announced:
            self._outlet.observe(events.AnnouncementUnsaid(voiced.reply_id, why))
            self.playout.place_marks(voiced)
        else:
            self._waste(voiced)
            self._drop(voiced)

    def _drop(self, voiced: Voiced) -> None:
        if voiced.reply is not None:
            asked_for = self._clock() - voiced.reply.moments.asked
            self._outlet.observe(events.AttemptDropped(voiced.attempt, asked_for))

    def _waste(self, voiced: Voiced) -> None:
        if voiced.reply is not None:
            self._wasted.add(voiced.reply.usage)

    def interrupt(self, attempt: int) -> None:
        """Silence the attempt at once, and keep what was heard of it. It is still read, in case it goes on."""
        voiced = self._voiced.get(attempt)
        if voiced is None or voiced.playing is None:
            return
        playing = voiced.playing
        position = self._outlet.line.clear()
        if self._voiced.get(attempt) is not voiced:
            return  # the caller had heard all of it: that is known now, and it is settled
        voiced.released = False
        voiced.hold()
        voiced.interrupted_at = voiced.heard_at(playing, position)
        voiced.playing, voiced.dry = None, False
        heard = self.playout.record_heard(voiced)
        if voiced.sounded:
            self._outlet.observe(events.ReplyCut(voiced.reply_id, voiced.turn, heard))

    def give_up(self, attempt: int) -> None:
        """End one that hangs: what was heard of it stands, and its failure names the part that does."""
        voiced = self._voiced.pop(attempt, None)
        if voiced is None:
            return
        if voiced.task is not None:
            voiced.task.cancel()
        if voiced.reply is not None:
            waits = not voiced.sounded and voiced.playing is not None and voiced.playing.queued
            self._outlet.observe(failed(voiced, voiced.reply.give_up(on_the_line=waits)))
        if voiced.sounded:
            self._settle(voiced)
        else:
            self.playout.unqueue(voiced)
            self._waste(voiced)

    def resume(self, interrupted: int, attempt: int) -> None:
        """Go on from the piece in which the last heard word is."""
        voiced = self._voiced.pop(interrupted, None)
        if voiced is None:
            self._put(inputs.ReplyPlayed(attempt))
            return
        voiced.attempt = attempt
        self._voiced[attempt] = voiced
        piece = voiced.track.piece_at(max(0, (voiced.interrupted_at or 0) - 1))
        begin = voiced.track.pieces[piece].begin if voiced.track.pieces else 0
        voiced.heard_before, voiced.interrupted_at = voiced.interrupted_at or 0, None
        voiced.released = True
        if voiced.sounded:
            self._outlet.observe(events.ReplyContinued(voiced.reply_id, voiced.turn, piece))
        self.playout.feed(voiced, begin)

    def play_phrase(self, say: SayPhrase, sound: PhraseSound) -> None:
        """Play a phrase; a filler is no reply."""
        if not say.attempt:
            self._outlet.line.play(sound.mulaw)
            self._outlet.line.flush()
            self._outlet.observe(events.FillerSaid(self.turn + 1))
            return
        track = Track()
        track.add_piece(sound.text)
        track.add_sound(sound.mulaw, 0, last=True, word_ends=sound.word_ends)
        voiced = Voiced(say.attempt, track, say.answers, phrase=say.phrase, released=True)
        self._voiced[say.attempt] = voiced
        self.playout.feed(voiced)

    def announce(self, voiced: Voiced) -> None:
        """Let the caller hear an announcement, of which some sound is there, from now on."""
        self._voiced[voiced.attempt] = voiced
        voiced.released = True
        self.playout.feed(voiced)

    def correct_caller(self, before: str, text: str, attempt: int = 0) -> None:
        """Correct what the caller said, as the history has it, or will have it when a reply to it sounds.

        A reply to it calls no further tool for the words before. With `attempt` they are those of this one alone.
        """
        for voiced in self._voiced.values():
            if attempt not in {0, voiced.attempt}:
                continue
            if not voiced.sounded:
                voiced.answers = corrected(voiced.answers, before, text)
            if voiced.reply is not None and not voiced.announced:
                voiced.reply.correct(before, text)
        if not attempt:
            self._history.correct_caller(before, text)

    # -- what the caller hears -------------------------------------------------------------------------------------

    def start(self, voiced: Voiced, last_sample: float) -> None:
        """The first sound of an attempt was written: it is the reply of its turn."""
        self.turn += 1
        voiced.turn = self.turn
        voiced.reply_id = voiced.reply_id or f"{self._outlet.stream_sid}-r{self.turn}"
        self._history.add_caller(voiced.answers)
        voiced.wasted = self._wasted.take()
        voiced.entry = self._history.add_agent(self.answered())
        split = None if voiced.announced else latency(voiced.reply, last_sample, self._clock())
        self._outlet.observe(
            events.FirstSoundWritten(
                voiced.reply_id,
                voiced.turn,
                voiced.attempt,
                voiced.phrase,
                split,
                announced=voiced.announced,
                answered_by="" if voiced.reply is None else voiced.reply.answered_by,
            )
        )

    def close(self, why: Unsaid, heard_to: int | None = None) -> None:
        """Cancel what is under way, and settle what was heard: up to that position, or up to now.

        A defect of an observer is raised when all of them are gone.
        """

        def end(voiced: Voiced) -> None:
            if voiced.playing is not None and voiced.sounded:
                position = self._outlet.line.position if heard_to is None else heard_to
                voiced.interrupted_at = voiced.heard_at(voiced.playing, position)
                voiced.playing = None
            self.cancel(voiced.attempt, why)

        for_all(end, tuple(self._voiced.values()))

    def _played(self, voiced: Voiced) -> None:
        if self._voiced.get(voiced.attempt) is not voiced:
            return
        del self._voiced[voiced.attempt]
        voiced.interrupted_at = None
        try:
            self._settle(voiced)
        finally:  # by a defect, too: else nothing more would be said in this call
            owes_text = voiced.reply is not None and voiced.reply.owes_text
            self._put(inputs.ReplyPlayed(voiced.attempt, owes_text, broke=bool(voiced.fault)))

    def _settle(self, voiced: Voiced) -> None:
        self._outlet.observe(settled(voiced, self.playout.record_heard(voiced)))
        self.playout.place_marks(voiced)
        voiced.playing = None  # they know each other, and nothing may keep their sound
