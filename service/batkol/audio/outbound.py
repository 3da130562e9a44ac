"""Sound on its way to the caller: what waits, what is written when, and what the caller has heard of it.

Positions are outbound audio time: the index of a sample over all sound that was ever queued and not thrown away before
it was written. A `clear` frees the positions of what waits. What was written keeps its positions, heard or not: the ear
skips the part that it does not hear. So positions never go back, and `append` after a `clear` returns later positions
than any that was heard. ADR 0021 explains why.

    0 ............ heard ......... written .......... queued_to
    |  played        | thrown away   |  waiting, dropped  |        at a `clear`
                     |               |  the next sound begins here
                     position stays here until the next sound is played

Sound is written at most `lead` ahead of the clock of what was written, in whole frames. Sound that begins waits up to
40 ms for the first 60 ms of it. A frame that is not whole waits for more sound, for 40 ms and until the sound before it
is nearly over, and is then filled with silence.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE, SILENCE
from batkol.audio.path import Path
from batkol.audio.play_clock import PlayClock

FRAME: Final = 160
"""Samples of 20 ms: Twilio plays whole frames without stutter."""

MESSAGE: Final = 12 * FRAME
"""Samples of a message while sound goes on: 240 ms. Smaller ones cost more CPU, larger ones leave less of the lead."""

BEGINNING: Final = 3 * FRAME
"""Samples that there must be before sound begins, 60 ms: a voice's first bytes are not a whole number of frames."""

GATHERS_S: Final = 0.040
"""Seconds after which sound begins with less than that."""

LONGEST: Final = 600 * SAMPLE_RATE
"""Ten minutes of mu-law, the most that Twilio buffers (31931)."""

SILENCE_S: Final = 1.0
"""Seconds without sound after which the next sound measures the path: the peer has played everything by then."""

_FILL_S: Final = 0.040  # an incomplete frame is filled so long before the sound before it ends
EARLY_S: Final = 0.001
"""Seconds by which a timer may come early."""


class Clear:
    """Order to throw away what the peer holds."""


CLEAR: Final = Clear()


class Outbound:
    """The outbound sound of one stream. Times are seconds of one clock that never goes back."""

    __slots__ = (
        *(
            "_appended_at",
            "_clock",
            "_gathers_until",
            "_lead",
            "_low_s",
            "_marks",
            "_orders",
            "_path",
            "_probe",
            "_shown",
            "_silence_probed",
        ),
        *("_thrown_away", "_under_way", "_waiting"),
    )

    def __init__(self, path: Path, *, lead: int) -> None:
        self._path = path
        self._lead = lead  # samples
        self._low_s = (lead - MESSAGE) / SAMPLE_RATE  # of them are left when the next message is written
        self._clock = PlayClock()
        self._waiting = bytearray()
        self._marks: deque[tuple[int, str]] = deque()  # (written after that position, name)
        self._orders: deque[Clear | str] = deque()  # written before any sound
        self._probe = ""  # a mark of the path's that is written before the next sound
        self._silence_probed = False  # by a mark before the sound that is next
        self._under_way = 0  # samples that are being written
        self._appended_at = -math.inf
        self._gathers_until = -math.inf  # sound that begins waits so long for more
        self._shown = 0  # the last position that was given: positions never go back
        self._thrown_away = (0, 0)  # the last samples that were written and are never heard

    # -- what is queued ----------------------------------------------------------------------------------------------

    @property
    def written(self) -> int:
        """The end of the sound that was handed to the socket."""
        return self._clock.end + self._under_way

    @property
    def queued_to(self) -> int:
        """The end of all sound."""
        return self.written + len(self._waiting)

    def room(self, now: float) -> int:
        """Return how many samples may still be queued: ten minutes less what waits here and at the peer."""
        buffered = max(0.0, self._clock.ends_at - now) * SAMPLE_RATE
        return LONGEST - round(buffered) - self._under_way - len(self._waiting)

    def append(self, mulaw: bytes, now: float) -> int:
        """Queue sound and return the position of its end. The caller sees to it that there is `room`."""
        if not self._waiting and not self._under_way and self._clock.ends_at <= now:
            self._gathers_until = now + GATHERS_S
        self._waiting += mulaw
        self._appended_at = now
        return self.queued_to

    def flush(self) -> None:
        """Fill the incomplete frame with silence: no more sound follows for now."""
        self._gathers_until = -math.inf
        if odd := len(self._waiting) % FRAME:
            self._waiting += bytes([SILENCE]) * (FRAME - odd)

    def mark(self, name: str) -> None:
        """Queue a mark: it is written when all sound before it is."""
        self._marks.append((self.queued_to, name))

    def clear(self, now: float) -> int:
        """Throw away what waits, order the peer to do the same, and return the position that the ear has come to.

        A `clear` takes the same way as the sound, so the way there does not count: what is not heard is what the peer
        has in its buffer. Marks that wait are written behind the `clear`, and come back at once.
        """
        heard = max(self._shown, self._clock.at(now - self._path.buffer_s))
        self._shown = heard
        self._clock.stop(heard)
        self._clock.skip(self._under_way)
        self._under_way = 0
        self._waiting.clear()
        self._gathers_until = -math.inf
        self._thrown_away = (heard, self.written)
        self._probe, self._silence_probed = "", False
        self._path.void()
        orders = [order for order in self._orders if isinstance(order, str)]
        self._orders = deque([CLEAR, *orders, *(name for _, name in self._marks)])
        self._marks.clear()
        return heard

    # -- what is written ---------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """Time at which `next` has something to write: minus infinity for at once, None until something is queued."""
        if self._orders or self._probe or (self._marks and self._mark_is_due):
            return -math.inf
        if self._waiting and len(self._waiting) < BEGINNING and self._gathers_until > -math.inf:
            return self._gathers_until
        if len(self._waiting) >= FRAME:
            return self._clock.ends_at - self._low_s
        return self._fill_at if self._waiting else None

    def next(self, now: float) -> Clear | str | bytes | None:
        """Return what is to be written now: a `clear`, a mark's name, or sound; None before the deadline.

        `sent` is called when sound has been written, before the next one is asked for.
        """
        if self._orders:
            return self._orders.popleft()
        if self._probe:
            probe, self._probe = self._probe, ""
            return probe
        if self._mark_is_due:
            return self._marks.popleft()[1]
        samples = self._samples_due(now)
        if not samples:
            return None
        if not self._silence_probed and self._was_silent(now):
            self._silence_probed = True
            return self._path.probe_silence(now)
        sound = bytes(self._waiting[:samples])
        del self._waiting[:samples]
        self._gathers_until = -math.inf
        self._under_way = samples
        return sound

    def sent(self, now: float) -> None:
        """Note that the sound which `next` returned was written by now. Nothing happens if it was cleared meanwhile."""
        if not self._under_way:
            return
        measures, self._silence_probed = self._silence_probed, False
        self._clock.append(self._under_way, now, self._path.buffer_s)
        self._under_way = 0
        if measures:
            self._probe = self._path.probe_sound(self._clock.ends_at)

    @property
    def _mark_is_due(self) -> bool:
        return bool(self._marks) and self._marks[0][0] <= self._clock.end

    @property
    def _fill_at(self) -> float:
        return max(self._clock.ends_at - _FILL_S, self._appended_at + _FILL_S)

    def _was_silent(self, now: float) -> bool:
        return now - self._clock.ends_at >= SILENCE_S

    def _samples_due(self, now: float) -> int:
        """Return how many samples are to be written now: whole frames, up to the next mark."""
        deadline = self.deadline
        if deadline is None or now < deadline - EARLY_S:
            return 0
        if len(self._waiting) < FRAME:
            self.flush()
        room = self._lead - int(max(0.0, self._clock.ends_at - now - EARLY_S) * SAMPLE_RATE)
        samples = min(len(self._waiting), max(FRAME, room))
        if self._marks:
            samples = min(samples, -(-(self._marks[0][0] - self._clock.end) // FRAME) * FRAME)
        return samples // FRAME * FRAME

    # -- what the ear has come to ------------------------------------------------------------------------------------

    def position(self, now: float) -> int:
        """Return the position that the ear has come to: an estimate by the measured path, never above `written`."""
        self._shown = max(self._shown, self._clock.at(now - self._path.there_s - self._path.buffer_s))
        return self._shown

    def played_at(self, position: int) -> float | None:
        """Return when the last sample before a position is played at the ear; None while it is not written."""
        at = self._clock.when(position)
        return None if at is None else at + self._path.there_s + self._path.buffer_s

    def was_thrown_away(self, position: int) -> bool:
        """Whether the last sample before a position was written and is never heard, because of the last `clear`."""
        heard, written = self._thrown_away
        return heard < position <= written

    def silent_s(self, now: float) -> float:
        """Return for how long the ear has heard nothing: 0 while sound waits or plays, infinity before the first."""
        if self._waiting or self._under_way:
            return 0.0
        return max(0.0, now - self._clock.ends_at - self._path.there_s - self._path.buffer_s)
