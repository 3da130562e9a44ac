"""Server-sent events out of bytes: WHATWG HTML, 9.2.6, with bounds."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Final

import msgspec

from batkol.client.errors import UnexpectedAnswerError

LONGEST: Final = 1 << 20
"""Characters of one event, and of one line; an event has a few hundred."""
LONGEST_CURSOR: Final = 16 << 10
"""Characters of an `id`; it goes back as a header, and one of a fleet has some tens for each pod."""
LONGEST_RETRY_MS: Final = 600_000


class ServerSentEvent(msgspec.Struct, frozen=True):
    """One server-sent event, as it came. `id` is the newest so far."""

    event: str
    data: str
    id: str


class Parser:
    """Text in, in pieces of any size; messages out. Keeps what is not yet whole."""

    def __init__(self) -> None:
        self.cursor = ""
        """The newest `id`, one of a message without data included."""
        self.retry_s: float | None = None
        """The newest `retry`, in seconds."""
        self._decode = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode
        self._rest = ""
        self._event = ""
        self._data: list[str] = []
        self._length = 0  # of the data
        self._id = ""

    def feed(self, piece: bytes) -> Iterator[ServerSentEvent]:
        """Yield what this piece completes. Raises `UnexpectedAnswerError` for what has no end."""
        text = self._rest + self._decode(piece)
        # A carriage return at the very end may be half of CRLF: it waits for the next piece.
        whole, held = (text[:-1], "\r") if text.endswith("\r") else (text, "")
        *lines, rest = whole.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = rest + held
        if len(self._rest) > LONGEST:
            raise _endless("a line")
        for line in lines:
            message = self._line(line)
            if self._length > LONGEST:
                raise _endless("an event")
            if message is not None:
                yield message

    def _line(self, line: str) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")  # a line that begins with a colon, a comment, has no name
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
                self._length += len(value) + 1
            case "id" if "\0" not in value:
                self._id = _cursor(value)
            case "retry" if value.isascii() and value.isdigit() and len(value) < 10:
                self.retry_s = min(int(value), LONGEST_RETRY_MS) / 1000
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        data, event = self._data, self._event
        self._data, self._event, self._length = [], "", 0
        self.cursor = self._id
        return ServerSentEvent(event or "message", "\n".join(data), self._id) if data else None


def _cursor(value: str) -> str:
    """Return an `id` that can be sent back as a header. Raises `UnexpectedAnswerError` for another."""
    if len(value) > LONGEST_CURSOR or not (value.isascii() and value.isprintable()):
        raise UnexpectedAnswerError("The event feed sent an id that is no cursor. Is this URL Batkol's internal API?")
    return value


def _endless(what: str) -> UnexpectedAnswerError:
    return UnexpectedAnswerError(f"The event feed sent {what} without an end. Is this URL Batkol's internal API?")
