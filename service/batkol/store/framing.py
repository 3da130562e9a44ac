"""How records lie in a file: one after the other, each with its length, a checksum and its number.

A process that is killed leaves a last frame of which a part is missing, and a machine that loses power perhaps pages of
zeros or of something older. What follows the first frame that is not whole is no record.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

_HEADER: Final = struct.Struct("<IIQ")  # length of the payload, CRC-32 of what follows it, number
_NUMBER: Final = struct.Struct("<Q")

HEADER_BYTES: Final = _HEADER.size
LONGEST: Final = 1 << 20
"""Bytes of the longest payload; a length beyond it is no length."""


class Frame(NamedTuple):
    """A record as it was found; `end` is the offset of what follows."""

    number: int
    payload: bytes
    end: int


def frame(number: int, payload: bytes) -> bytes:
    """Return the record as it is written. Raises `ValueError` for a payload that is longer than `LONGEST`."""
    if len(payload) > LONGEST:
        raise ValueError(f"a record of {len(payload)} bytes is longer than {LONGEST}, and would not be read back")
    return _HEADER.pack(len(payload), _checksum(number, payload), number) + payload


def frames(data: bytes, start: int = 0) -> Iterator[Frame]:
    """Yield the frames from `start` on, up to the first that is not whole."""
    at = start
    while len(data) - at >= HEADER_BYTES:
        length, checksum, number = _HEADER.unpack_from(data, at)
        end = at + HEADER_BYTES + length
        if length > LONGEST or end > len(data):
            return
        payload = data[at + HEADER_BYTES : end]
        if _checksum(number, payload) != checksum:
            return
        yield Frame(number, payload, end)
        at = end


def _checksum(number: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_NUMBER.pack(number)))
