"""A record as bytes that prove themselves: a mark, the length, a checksum, the number, the payload.

Both tiers keep records so. What a kill or a bad disk leaves between two whole frames is skipped: the mark is found
again behind it, and no text has its bytes, because they are not UTF-8.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

_MARK: Final = b"\xf5BK\xf6"
_HEADER: Final = struct.Struct("<4sIIQ")  # the mark, length of the payload, CRC-32 of number and payload, number
_NUMBER: Final = struct.Struct("<Q")

HEADER_BYTES: Final = _HEADER.size
LONGEST: Final = 1 << 20
"""Bytes of the longest payload; a length beyond it is no length."""


class Frame(NamedTuple):
    """A record and its number; numbers grow, and are not used again while something knows of them."""

    number: int
    payload: bytes


class FrameSpan(NamedTuple):
    """The place of a whole frame in some bytes: [start, end)."""

    number: int
    start: int
    end: int


def frame(number: int, payload: bytes) -> bytes:
    """Return the record as it is written. Raises `ValueError` for a payload that is longer than `LONGEST`."""
    if len(payload) > LONGEST:
        raise ValueError(f"a record of {len(payload)} bytes is longer than the limit of {LONGEST} bytes")
    return _HEADER.pack(_MARK, len(payload), _checksum(number, payload), number) + payload


def places(data: bytes) -> Iterator[FrameSpan]:
    """Yield where whole frames lie, in the order of the bytes, and pass over everything else."""
    at = data.find(_MARK)
    while 0 <= at <= len(data) - HEADER_BYTES:
        _, length, checksum, number = _HEADER.unpack_from(data, at)
        begin = at + HEADER_BYTES
        end = begin + length
        if length <= LONGEST and end <= len(data) and _checksum(number, data[begin:end]) == checksum:
            yield FrameSpan(number, at, end)
            at = data.find(_MARK, end)
        else:
            at = data.find(_MARK, at + 1)


def frames(data: bytes) -> Iterator[Frame]:
    """Yield the whole frames in some bytes."""
    for each in places(data):
        yield Frame(each.number, data[each.start + HEADER_BYTES : each.end])


def unframed(data: bytes, number: int) -> Frame | None:
    """Return the record that these bytes are, whole and under this number; else None."""
    if len(data) < HEADER_BYTES:
        return None
    mark, length, checksum, found = _HEADER.unpack_from(data)
    payload = data[HEADER_BYTES:]
    if mark != _MARK or found != number or length != len(payload) or _checksum(number, payload) != checksum:
        return None
    return Frame(number, payload)


def _checksum(number: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_NUMBER.pack(number)))
