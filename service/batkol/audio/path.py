"""The path of outbound sound, measured by marks that the peer echoes.

Two marks go with the first sound after silence. The first one is written before the sound: nothing is buffered, so its
echo takes the way there and back. The second one is written after the sound: its echo takes the way there, the peer's
buffer, the length of the sound, and the way back. The difference, less the sound, is the buffer (Twilio's jitter
buffer). Jitter is in both, and a median of the last few takes out most of it. ADR 0021 has the arithmetic.

The peer is not trusted: an echo that comes before the sound can have ended (the mark was cleared, or nothing was
buffered) is no measurement, and neither is one that is later than any telephone line.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Final

LONGEST_S: Final = 3.0
"""Seconds; an echo that takes longer measures something else than the path."""

_HALF_A_FRAME_S: Final = 0.010  # a peer that plays frames returns a mark with one: so much later on average
_KEPT: Final = 5  # measurements of each kind
_PENDING: Final = 8  # probes that wait for an echo; a peer that never answers costs no memory


class Path:
    """The measured path of one stream. `prefix` begins the names of its marks, and no other mark's name."""

    __slots__ = ("_number", "_pending", "_prefix", "_round_trips", "_with_buffer", "buffer_s", "there_s")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._number = 0
        self._pending: dict[str, tuple[float, deque[float]]] = {}
        self._round_trips: deque[float] = deque(maxlen=_KEPT)
        self._with_buffer: deque[float] = deque(maxlen=_KEPT)
        self.there_s = 0.0
        """Seconds from our writing to the peer's reading: half the way there and back. 0 while it is not known."""
        self.buffer_s = 0.0
        """Seconds from the peer's reading to its playing. 0 while it is not known."""

    def probe_silence(self, now: float) -> str:
        """Return the name of a mark that is written now, while nothing is buffered."""
        return self._probe(now, self._round_trips)

    def probe_sound(self, ends_at: float) -> str:
        """Return the name of a mark behind sound that would have been played at `ends_at` if the path took no time."""
        return self._probe(ends_at, self._with_buffer)

    def name(self) -> str:
        """Return the name of a mark that measures nothing."""
        self._number += 1
        return f"{self._prefix}{self._number}"

    def owns(self, name: str) -> bool:
        """Whether a mark is one of these, whether or not it still waits for its echo."""
        return name.startswith(self._prefix)

    def echo(self, name: str, now: float) -> None:
        """Take the echo of a mark."""
        due, measurements = self._pending.pop(name, (0.0, None))
        if measurements is not None and 0.0 <= now - due <= LONGEST_S:
            measurements.append(now - due)
            self._estimate()

    def void(self) -> None:
        """Forget the marks that wait for an echo: a `clear` brings them back at once."""
        self._pending.clear()

    def _estimate(self) -> None:
        if not self._round_trips:
            return
        round_trip = median(self._round_trips)
        self.there_s = round_trip / 2
        if self._with_buffer:
            self.buffer_s = max(0.0, median(self._with_buffer) - round_trip - _HALF_A_FRAME_S)

    def _probe(self, due: float, measurements: deque[float]) -> str:
        self._number += 1
        name = f"{self._prefix}{self._number}"
        if len(self._pending) >= _PENDING:
            del self._pending[next(iter(self._pending))]
        self._pending[name] = (due, measurements)
        return name
