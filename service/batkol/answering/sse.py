"""Server-sent events, of which only the data counts: bytes in, the data of each event out (WHATWG HTML, 9.2.6).

Data stays bytes: lines end at bytes that no UTF-8 sequence contains, so a letter that arrives in two halves needs no
care. `httpx-sse` and the `openai` package decode, split and copy what comes several times (ADR 0022).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from batkol.errors import BatkolError

LONGEST: Final = 256 * 1024
"""Bytes of one line, and of one event's data; a chunk of an answer has some 250."""

_MARK: Final = b"\xef\xbb\xbf"


class EndlessError(BatkolError):
    """A line or an event is longer than `LONGEST`. The text is a clause about the answer and quotes nothing of it."""


class EventReader:
    """Bytes in, in pieces of any size; data of whole events out. Keeps what is not yet whole."""

    def __init__(self) -> None:
        self._rest = bytearray()  # of a line
        self._data: list[bytes] = []
        self._length = 0  # of the data
        self._begins = True
        self._after_return = False  # the last line ended in CR, whose LF may be still to come

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the data of the events that this piece completes. Raises `EndlessError`."""
        if self._after_return and piece:
            piece, self._after_return = piece.removeprefix(b"\n"), False
        if b"\r" in piece:
            self._after_return = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, *others = piece.split(b"\n")
        self._rest += first
        if len(self._rest) > LONGEST:
            raise EndlessError("a line of it has no end")
        for after in others:
            whole, self._rest = bytes(self._rest), bytearray(after)
            if (data := self._line(whole)) is not None:
                yield data
        if len(self._rest) > LONGEST:
            raise EndlessError("a line of it has no end")

    def _line(self, line: bytes) -> bytes | None:
        if self._begins:
            line, self._begins = line.removeprefix(_MARK), False
        if line.startswith(b"data:") or line == b"data":
            value = line[6:] if line.startswith(b"data: ") else line[5:]
            self._length += len(value) + 1
            if self._length > LONGEST:
                raise EndlessError("an event of it has no end")
            self._data.append(value)
        elif not line and self._data:
            data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            self._data, self._length = [], 0
            return data
        return None  # a comment, or a field that says nothing about an answer
