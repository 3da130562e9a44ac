"""A reader of server-sent events to the letter of WHATWG HTML, 9.2.6: bytes in, events out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dispatched:
    """An event as a page gets it."""

    type: str
    data: str
    last_event_id: str

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.data)
        return value


class EventSource:
    """One reader over all its connections: an event that is not whole at the end of one is forgotten, the id is not."""

    def __init__(self) -> None:
        self.last_event_id = ""
        self.retry_ms: int | None = None
        self.comments: list[str] = []
        self._forget()

    def _forget(self) -> None:
        self._bytes = b""
        self._id = self.last_event_id
        self._type = ""
        self._data: list[str] = []

    @property
    def is_within_event(self) -> bool:
        """Whether what came last is a part of an event."""
        return bool(self._bytes or self._data or self._type)

    def reconnected(self) -> None:
        """Begin to read another connection."""
        self._forget()

    def feed(self, piece: bytes) -> list[Dispatched]:
        """Return the events that the piece completes. The service ends its lines with LF alone."""
        *lines, self._bytes = (self._bytes + piece).split(b"\n")
        return [event for line in lines if (event := self._line(line.decode())) is not None]

    def _line(self, line: str) -> Dispatched | None:
        assert "\r" not in line
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "":
                self.comments.append(line)
            case "event":
                self._type = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdecimal():
                self.retry_ms = int(value)
        return None

    def _dispatch(self) -> Dispatched | None:
        self.last_event_id = self._id
        data, kind = self._data, self._type
        self._data, self._type = [], ""
        return Dispatched(kind or "message", "\n".join(data), self.last_event_id) if data else None
