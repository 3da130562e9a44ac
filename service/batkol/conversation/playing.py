"""A reply on the line: where its samples lie, what was heard of it, and when each of its pieces begins."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from batkol.conversation.line import Line
from batkol.conversation.track import Track


class _Stretch(NamedTuple):
    position: int  # on the line
    sample: int  # in the track
    length: int


class Playing:
    """One track on its way to the caller, from sample `begin` of the track on."""

    def __init__(self, track: Track, line: Line, begin: int = 0) -> None:
        self._track = track
        self._line = line
        self._begin = begin
        self._fed = begin  # the sample of the track up to which the line has it
        self._stretches: list[_Stretch] = []
        self._finished = False
        self._watched = False
        self._announced = track.piece_at(begin)
        self.on_piece: Callable[[int], None] = lambda _: None
        """Called with the number of each piece when its playing begins."""

    @property
    def queued(self) -> bool:
        """Whether the line has any of its sound."""
        return bool(self._stretches)

    @property
    def position(self) -> int:
        """The position of its first sample on the line. Raises `IndexError` while nothing is queued."""
        return self._stretches[0].position

    @property
    def end(self) -> int:
        """The position behind its last sample that is queued. Raises `IndexError` while nothing is queued."""
        last = self._stretches[-1]
        return last.position + last.length

    def feed(self) -> bool:
        """Queue what the track has and the line has not; return whether there was any."""
        sound = self._track.sound_from(self._fed)
        if not sound:
            return False
        end = self._line.play(sound)
        self._stretches.append(_Stretch(end - len(sound), self._fed, len(sound)))
        self._fed += len(sound)
        self._announce()
        return True

    def finish(self, then: Callable[[], None]) -> None:
        """No more sound will come: call `then` when the caller has heard all of it. A second call changes nothing."""
        if not self._finished:
            self._finished = True
            self._line.flush()
            self._line.at(self.end - 1, then)

    def when_dry(self, then: Callable[[], None]) -> None:
        """Call `then` once, when the caller has heard all of it that is queued by then. One at a time waits."""
        if not self._watched:
            self._watched = True
            self._watch(self.end, then)

    def _watch(self, end: int, then: Callable[[], None]) -> None:
        def heard() -> None:
            if self.end != end:
                self._watch(self.end, then)
                return
            self._watched = False
            then()

        self._line.at(end - 1, heard)

    def heard(self, position: int) -> int:
        """Return the sample of the track that the caller had heard by that position of the line."""
        heard = self._begin
        for stretch in self._stretches:
            if position <= stretch.position:
                break
            heard = stretch.sample + min(stretch.length, position - stretch.position)
        return heard

    def last_end(self, until: int) -> int:
        """Return the position behind its last whole piece that is over by a position; 0 if there is none."""
        pieces = (piece for piece in self._track.pieces if piece.whole and piece.samples and piece.begin >= self._begin)
        ends = (self._position_of(piece.begin + piece.samples - 1) + 1 for piece in pieces)
        return max((end for end in ends if end <= until), default=0)

    def _announce(self) -> None:
        while self._announced < len(self._track.pieces):
            number, piece = self._announced, self._track.pieces[self._announced]
            if not piece.samples or piece.begin >= self._fed:
                return
            self._announced += 1
            self._line.at(self._position_of(piece.begin), partial(self._began, number))

    def _began(self, number: int) -> None:
        self.on_piece(number)

    def _position_of(self, sample: int) -> int:
        stretch = next(one for one in reversed(self._stretches) if one.sample <= sample or one is self._stretches[0])
        return stretch.position + max(0, sample - stretch.sample)
