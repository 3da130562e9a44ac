"""The attempts of one call: each silent until it is released, heard until it is over, and settled once.

An attempt that was cancelled is not here any more, so nothing of it can reach the line.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from batkol.conversation import events, inputs
from batkol.conversation.actions import SayPhrase, Unsaid
from batkol.conversation.agent import PhraseSound
from batkol.conversation.history import History, ToolsOfTurn
from batkol.conversation.line import Line
from batkol.conversation.playing import Playing
from batkol.conversation.reply import Failure, Reply
from batkol.conversation.track import Track
from batkol.conversation.usage import WastedUsage
from batkol.conversation.voiced import Voiced, failed, latency, settled

_ECHO_WORDS = 12  # words around the present one that may come back as an echo


class Outlet(Protocol):
    """The call, as its replies use it."""

    @property
    def call_sid(self) -> str: ...
    @property
    def stream_sid(self) -> str: ...
    @property
    def line(self) -> Line: ...
    @property
    def observe(self) -> events.ObserveReplies: ...


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
        self._wasted = WastedUsage()
        self.turn = 0
        """The replies that were heard so far."""
        self.answered: Callable[[], ToolsOfTurn | None] = lambda: None
        """Called when a reply sounds: the tools of its turn."""

    # -- attempts ------------------------------------------------------------------------------------------------

    def add(self, attempt: int, reply: Reply) -> Voiced:
        """Take an attempt that begins now; nothing of it is heard yet."""
        voiced = Voiced(attempt, reply.track, reply.question.text, reply)
        reply.on_sound = lambda _: self.feed(voiced)
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
                self.feed(voiced)
            else:
                self._waste(voiced)
                del self._voiced[voiced.attempt]
                self._put(inputs.AttemptLost(voiced.attempt))

    def release(self, attempt: int) -> None:
        """Let the caller hear it, from now on."""
        if (voiced := self._voiced.get(attempt)) is not None:
            voiced.released = True
            voiced.commit()
            self.feed(voiced)

    def hold(self, attempt: int) -> None:
        """Take the release back, if nothing was heard."""
        if (voiced := self._voiced.get(attempt)) is not None and not voiced.sounded:
            voiced.released = False
            voiced.hold()
            self._unqueue(voiced)

    def cancel(self, attempt: int, why: Unsaid = Unsaid.INTERRUPTED) -> None:
        """Throw it away; if it was interrupted, it is over with what was heard.

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
        self._unqueue(voiced)
        if voiced.announced:
            self._outlet.observe(events.AnnouncementUnsaid(voiced.reply_id, why))
            self._place_marks(voiced)
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
        """Silence it at once, and keep what was heard of it. It is still read, in case it goes on."""
        voiced = self._voiced.get(attempt)
        if voiced is None or voiced.playing is None:
            return
        playing = voiced.playing
        position = self._outlet.line.clear()
        if self._voiced.get(attempt) is not voiced:
            return  # the caller had heard all of it: that is known now, and it is settled
        voiced.released = False
        voiced.hold()
        voiced.interrupted_at = playing.heard(position)
        voiced.playing = None
        heard = self._hear(voiced)
        if voiced.sounded:
            self._outlet.observe(events.ReplyCut(voiced.reply_id, voiced.turn, heard))

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
        voiced.interrupted_at = None
        voiced.released = True
        voiced.commit()
        if voiced.sounded:
            self._outlet.observe(events.ReplyContinued(voiced.reply_id, voiced.turn, piece))
        self.feed(voiced, begin)

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
        self.feed(voiced)

    def announce(self, voiced: Voiced) -> None:
        """Let the caller hear an announcement, of which some sound is there, from now on."""
        self._voiced[voiced.attempt] = voiced
        voiced.released = True
        self.feed(voiced)

    # -- what the caller hears -------------------------------------------------------------------------------------

    def sounding(self, end: int) -> Voiced | None:
        """Return the attempt whose first sound lies before `end` on the line and was not reported yet."""
        for voiced in self._voiced.values():
            if voiced.turn:  # this is asked for each message
                continue
            playing = voiced.playing
            if playing is not None and playing.queued and playing.position < end:
                return voiced
        return None

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
                voiced.reply_id, voiced.turn, voiced.attempt, voiced.phrase, split, announced=voiced.announced
            )
        )

    def sounding_text(self) -> str:
        """Return the words around the one that the caller hears now."""
        voiced = self.audible
        if voiced is None or voiced.playing is None:
            return ""
        heard = len(voiced.track.heard(voiced.playing.heard(self._outlet.line.position)).split())
        words = voiced.track.intended.split()
        return " ".join(words[max(0, heard - _ECHO_WORDS) : heard + _ECHO_WORDS // 4])

    def close(self, why: Unsaid, heard_to: int | None = None) -> None:
        """Cancel what is under way, and settle what was heard: up to that position, or up to now."""
        for voiced in tuple(self._voiced.values()):
            if voiced.playing is not None and voiced.sounded:
                position = self._outlet.line.position if heard_to is None else heard_to
                voiced.interrupted_at = voiced.playing.heard(position)
                voiced.playing = None
            self.cancel(voiced.attempt, why)

    def note_heard(self) -> None:
        """Write what the caller has heard by now into the history, of a reply that goes on."""
        voiced = self.audible
        if voiced is not None and voiced.playing is not None and voiced.entry is not None:
            heard = voiced.track.heard(voiced.playing.heard(self._outlet.line.position))
            self._history.hear(voiced.entry, heard)

    @property
    def audible(self) -> Voiced | None:
        """The attempt that the caller hears."""
        return next((voiced for voiced in self._voiced.values() if voiced.sounded and voiced.playing), None)

    def feed(self, voiced: Voiced, begin: int = 0) -> None:
        """Give the line what the attempt has and the line has not, if it is released. What is over is not fed."""
        if not voiced.released or not voiced.track.samples:
            return
        if voiced.playing is None:
            voiced.playing = Playing(voiced.track, self._outlet.line, begin)
            voiced.playing.on_piece = partial(self._piece_began, voiced)
        voiced.playing.feed()
        if voiced.waits and voiced.playing.queued:
            voiced.playing.when_dry(partial(self._ran_dry, voiced))
        if voiced.whole and voiced.playing.queued:
            voiced.playing.finish(partial(self._played, voiced))
            self._place_marks(voiced)

    def _ran_dry(self, voiced: Voiced) -> None:
        if voiced.waits and self.audible is voiced:
            self._put(inputs.ReplyRanDry(voiced.attempt))

    def mark(self, name: str) -> None:
        """Put a mark behind all of what the caller hears."""
        voiced = next((each for each in self._voiced.values() if each.playing is not None), None)
        if voiced is not None and not voiced.whole:
            voiced.marks.append(name)
        else:
            self._outlet.line.mark(name)

    def _place_marks(self, voiced: Voiced) -> None:
        """Give the line the marks at its end: all of its sound is there before, or no more of it comes."""
        for name in voiced.marks:
            self._outlet.line.mark(name)
        voiced.marks.clear()

    def _unqueue(self, voiced: Voiced) -> None:
        if voiced.playing is not None and voiced.playing.queued:
            self._outlet.line.clear()
        voiced.playing = None

    def _piece_began(self, voiced: Voiced, number: int) -> None:
        piece = voiced.track.pieces[number]
        begin_ms = piece.begin // 8
        self._outlet.observe(events.SentenceBegan(voiced.reply_id, voiced.turn, number, piece.text, begin_ms))

    def _played(self, voiced: Voiced) -> None:
        if self._voiced.get(voiced.attempt) is not voiced:
            return
        del self._voiced[voiced.attempt]
        voiced.interrupted_at = None
        try:
            self._settle(voiced)
        finally:  # by a defect, too: else nothing more would be said in this call
            owes_text = voiced.reply is not None and voiced.reply.owes_text
            self._put(inputs.ReplyPlayed(voiced.attempt, owes_text))

    def _settle(self, voiced: Voiced) -> None:
        self._outlet.observe(settled(voiced, self._hear(voiced)))
        self._place_marks(voiced)

    def _hear(self, voiced: Voiced) -> str:
        """Write what was heard of it into the history."""
        track, at = voiced.track, voiced.interrupted_at
        heard = track.heard(track.samples if at is None else at)
        if voiced.entry is not None:
            self._history.hear(voiced.entry, heard)
        return heard
