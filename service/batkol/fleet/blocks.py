"""A pod's feed, taken apart into its events without reading them: bytes in, blocks out.

This reads what a Batkol writes (lines end in a line feed, one `data` line an event), not all that WHATWG HTML 9.2.6
allows. Each event of each pod comes through here, so an event costs a few operations on bytes.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from batkol.errors import BatkolError
from batkol.fleet.cursor import MOST_DIGITS

LONGEST: Final = 1 << 20
"""Bytes of one event; it has a few hundred."""


class EndlessEventError(BatkolError):
    """A feed sends an event without an end."""


class Block(NamedTuple):
    """One event as it came, without its `id` line."""

    boot: str  # of the pod that it is of; "" where the event has no number
    n: int
    body: bytes  # with the empty line at its end; b"" where only the position moved on

    @property
    def data(self) -> bytes:
        """The event as JSON."""
        for line in self.body.split(b"\n"):
            if line.startswith(b"data: "):
                return line[6:]
        return b""


class BlockReader:
    """Keeps what is not yet whole."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[Block]:
        """Return the events that this piece completes; comments are left out. Raises `EndlessEventError`."""
        *whole, self._rest = (self._rest + piece).split(b"\n\n")
        if len(self._rest) > LONGEST:
            raise EndlessEventError("it sends an event without an end")
        blocks = (_block(text) for text in whole)
        return [block for block in blocks if block is not None]


def _block(text: bytes) -> Block | None:
    position, kept = b"", list[bytes]()
    for line in text.split(b"\n"):
        if line.startswith(b"id: "):
            position = line[4:]
        elif line.startswith((b"event: ", b"data: ")):
            kept.append(line)
    boot, _, number = position.rpartition(b"-")
    body = b"\n".join([*kept, b"", b""]) if kept else b""
    if boot and boot.isascii() and number.isdigit() and len(number) <= MOST_DIGITS:
        return Block(boot.decode(), int(number), body)
    return Block("", 0, body) if body else None
