"""The pace of a phone call: how much sound and how many keys a peer can have sent by now.

Twilio, and the phone in the console, send a second of sound in a second. After a stall of the network all of it comes
at once, but the clock has gone on meanwhile: so a stream is ahead of the clock only by what was said before its call
began here, and by one gap in its timestamps. A peer that sends more is not a telephone: it would have the recognizer
hear, and its owner pay for, days of sound in seconds, by one message with a later timestamp for each 30 s of silence.

Pure: the caller brings the clock. Sound costs one comparison a message.
"""

from __future__ import annotations

from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.errors import PeerError

AHEAD_S: Final = 120.0
"""Seconds of sound by which a stream may be ahead of the clock: what is kept before a call begins, and a long gap."""

KEYS_AT_ONCE: Final = 500
KEYS_A_SECOND: Final = 20
"""Keys that may go on for ever: a telephone's tones are at least 80 ms apart."""


class FloodError(PeerError):
    """The peer sends more than a phone call has."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"The peer sent more {what} than a phone call has by now: it is not Twilio, or a client in a loop; the "
            "service closes the stream.",
            close_code=1008,
        )


class Allowance:
    """Number of events that a peer may cause: so many at once, and so many a second for ever. It does not add up."""

    __slots__ = ("_a_second", "_at", "_at_once", "_left")

    def __init__(self, at_once: int, a_second: float, now: float) -> None:
        self._left: float = at_once
        self._at_once, self._a_second, self._at = at_once, a_second, now

    def take(self, now: float) -> bool:
        """Take one; false where none is left."""
        self._left = min(self._at_once, self._left + (now - self._at) * self._a_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class PhonePace:
    """One call's."""

    __slots__ = ("_keys", "_since", "free_to")

    def __init__(self, now: float) -> None:
        """`now` in seconds, as of every method, of a clock that never goes back."""
        self._since = now
        self._keys = Allowance(KEYS_AT_ONCE, KEYS_A_SECOND, now)
        self.free_to = int(AHEAD_S * SAMPLE_RATE)
        """The position in the stream up to which `check_sound` need not be asked."""

    def check_sound(self, position: int, filled: int, now: float) -> None:
        """Take note that the stream has come to `position`, with `filled` samples that the service put in by the clock.

        Raises `FloodError`.
        """
        self.free_to = filled + int((now - self._since + AHEAD_S) * SAMPLE_RATE)
        if position > self.free_to:
            raise FloodError("sound")

    def check_key(self, now: float) -> None:
        """Take note of a key. Raises `FloodError`."""
        if not self._keys.take(now):
            raise FloodError("keys")
