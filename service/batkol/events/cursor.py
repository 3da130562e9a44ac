"""The cursor of the event feed: a place in the events of one process, opaque to those who keep it."""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Self

_FORM: Final = re.compile(r"([0-9a-f]{16})-(0|[1-9][0-9]{0,17})", re.ASCII)


class MalformedCursorError(ValueError):
    """A text that no process can have given as a cursor."""


class Cursor(NamedTuple):
    """The place behind the event with this number, in the process of this boot. Number 0 is before the first one."""

    boot: str
    """16 hexadecimal digits, random for each process."""
    number: int

    def __str__(self) -> str:
        """Return the text that is sent, and that `parse` reads."""
        return f"{self.boot}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a cursor. Raises `MalformedCursorError`."""
        if (found := _FORM.fullmatch(text)) is None:
            raise MalformedCursorError
        return cls(found[1], int(found[2]))
