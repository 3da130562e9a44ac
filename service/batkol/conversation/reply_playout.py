"""The sound of a call's replies on the line: what is queued of each, what the caller hears, and which marks follow.

The attempts themselves belong to `replies`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from batkol.conversation import events, inputs
from batkol.conversation.history import History
from batkol.conversation.line import Line
from batkol.conversation.playing import Playing
from batkol.conversation.voiced import Voiced

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


class ReplyPlayout:
    """One per call. `voiced` are the attempts under way; `played` is called with each whose last sound was heard."""

    def __init__(
        self,
        outlet: Outlet,
        history: History,
        voiced: Mapping[int, Voiced],
        put: Callable[[inputs.Input], None],
        played: Callable[[Voiced], None],
    ) -> None:
        self._outlet = outlet
        self._history = history
        self._voiced = voiced
        self._put = put
        self._played = played

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
        begins = not voiced.playing.queued and not voiced.sounded and voiced.phrase is None and not voiced.announced
        fed = voiced.playing.feed()
        if fed and begins:
            self._put(inputs.SoundQueued(voiced.attempt))
        elif fed and voiced.dry:
            voiced.dry = False
            self._put(inputs.ReplyWentOn(voiced.attempt))
        if not voiced.playing.queued:
            return
        if not voiced.whole:
            voiced.playing.when_dry(partial(self._ran_dry, voiced, voiced.playing))
        else:
            voiced.playing.finish(partial(self._played, voiced))
            self.place_marks(voiced)

    def _ran_dry(self, voiced: Voiced, playing: Playing) -> None:
        if not voiced.whole and voiced.playing is playing:
            voiced.dry = True
            self._put(inputs.ReplyRanDry(voiced.attempt))

    def unqueue(self, voiced: Voiced) -> None:
        """Take back what is queued of an attempt of which nothing was heard."""
        if voiced.playing is not None and voiced.playing.queued:
            self._outlet.line.clear()
        voiced.playing = None

    def mark(self, name: str) -> None:
        """Put a mark behind all of what the caller hears."""
        voiced = next((each for each in self._voiced.values() if each.playing is not None), None)
        if voiced is not None and not voiced.whole:
            voiced.marks.append(name)
        else:
            self._outlet.line.mark(name)

    @property
    def marks(self) -> int:
        """The marks that have not come back, those behind what the caller hears among them."""
        return self._outlet.line.marks + sum(len(voiced.marks) for voiced in self._voiced.values())

    def place_marks(self, voiced: Voiced) -> None:
        """Give the line the marks at its end: all of its sound is there before, or no more of it comes."""
        for name in voiced.marks:
            self._outlet.line.mark(name)
        voiced.marks.clear()

    # -- what was heard ----------------------------------------------------------------------------------------------

    def first_before(self, end: int) -> Voiced | None:
        """Return the attempt whose first sound lies before `end` on the line and was not reported yet."""
        for voiced in self._voiced.values():
            if voiced.turn:  # this is asked for each message
                continue
            playing = voiced.playing
            if playing is not None and playing.queued and playing.position < end:
                return voiced
        return None

    def sounding_text(self) -> str:
        """Return the words around the one that the caller hears now."""
        voiced = self.audible if self._voiced else None  # this is asked for each input
        if voiced is None or voiced.playing is None:
            return ""
        heard = len(voiced.track.heard(voiced.playing.heard(self._outlet.line.position)).split())
        words = voiced.track.intended.split()
        return " ".join(words[max(0, heard - _ECHO_WORDS) : heard + _ECHO_WORDS // 4])

    def note_heard(self) -> None:
        """Write what the caller has heard by now into the history, of a reply that goes on."""
        voiced = self.audible
        if voiced is not None and voiced.playing is not None and voiced.entry is not None:
            heard = voiced.track.heard(voiced.heard_at(voiced.playing, self._outlet.line.position))
            self._history.set_heard(voiced.entry, heard)

    def record_heard(self, voiced: Voiced) -> str:
        """Write what was heard of a reply that is over into the history, and return it."""
        track, at = voiced.track, voiced.interrupted_at
        heard = track.heard(track.samples if at is None else at)
        if voiced.entry is not None:
            self._history.set_heard(voiced.entry, heard)
        return heard

    def _piece_began(self, voiced: Voiced, number: int) -> None:
        piece = voiced.track.pieces[number]
        begin_ms = piece.begin // 8
        self._outlet.observe(events.SentenceBegan(voiced.reply_id, voiced.turn, number, piece.text, begin_ms))
