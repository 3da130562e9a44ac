"""Sound of a voice on its way to the telephone: 16-bit samples of any rate in, mu-law at 8 kHz out.

soxr's filter (HQ: 20 bits, linear phase) works on blocks: a stream holds back the newest 73 ms, and 0.2 ms of CPU
convert a second of sound. `PhoneStream` therefore converts the beginning apart, all of it again with each chunk, so
that the first sound leaves with the first chunk; the stream takes over at the first sample that was not given out yet.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import soxr

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE

Pcm = npt.NDArray[np.int16]

QUALITY: Final = "HQ"
_HEAD_S: Final = 0.2
"""Seconds from the beginning that may be converted again; the stream has caught up long before."""
_EDGE_S: Final = 0.008
"""Seconds at the end of a beginning that the filter would still change: what is not there yet counts as silence."""


def at_8k(pcm: Pcm, rate: int) -> Pcm:
    """Convert a whole sound. The first sample stays the first one."""
    converted: Pcm = soxr.resample(pcm, rate, SAMPLE_RATE, QUALITY)
    return converted


class PhoneStream:
    """Converts one stream of little-endian 16-bit samples, cut anywhere, even within a sample.

    Without `early` the beginning waits for the filter: for sound that follows other sound.
    """

    __slots__ = ("_given", "_head", "_made", "_odd", "_rate", "_stream")

    def __init__(self, rate: int, *, early: bool = True) -> None:
        self._rate = rate
        self._stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="int16", quality=QUALITY)
        self._odd = b""
        self._head: Pcm | None = np.empty(0, dtype=np.int16) if early else None
        self._made = 0  # samples that came out of the stream
        self._given = 0  # samples that were returned

    def feed(self, linear16: bytes) -> bytes:
        """Take the next bytes; return the mu-law that is certain by now, or b""."""
        linear16 = self._odd + linear16
        whole = len(linear16) & ~1
        self._odd = linear16[whole:]
        return self._convert(np.frombuffer(linear16[:whole], dtype="<i2"), last=False)

    def finish(self) -> bytes:
        """Return the rest. Half a sample at the end is no sample. Nothing may be fed afterwards."""
        return self._convert(np.empty(0, dtype=np.int16), last=True)

    def _convert(self, pcm: Pcm, *, last: bool) -> bytes:
        fresh = self._stream.resample_chunk(pcm, last=last)
        self._made += len(fresh)
        early = self._early(pcm, last=last)
        if self._made > self._given:
            fresh = fresh[max(0, len(fresh) - (self._made - self._given)) :]
            self._given = self._made
            return mulaw.encode(fresh)
        return early

    def _early(self, pcm: Pcm, *, last: bool) -> bytes:
        if self._head is None or last:
            return b""
        self._head = np.concatenate((self._head, pcm))
        if self._made > self._given or len(self._head) > _HEAD_S * self._rate:
            self._head = None
            return b""
        sure = int((len(self._head) / self._rate - _EDGE_S) * SAMPLE_RATE)
        if sure <= self._given:
            return b""
        converted = soxr.resample(self._head, self._rate, SAMPLE_RATE, QUALITY)[self._given : sure]
        self._given += len(converted)
        return mulaw.encode(converted)
