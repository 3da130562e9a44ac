"""Checks of the service's messages, as strict as Twilio's, and the playout that Twilio would make of them.

Warnings 31950 and 31951 (https://www.twilio.com/docs/api/errors) name what Twilio refuses: binary messages,
texts that are not JSON, unknown events, missing *or extra* fields, another stream's SID. Twilio reports each
once per stream; here every one is reported. Fields are checked by hand, apart from the service's own message
classes.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LONGEST_BUFFER: Final = 600.0
"""Seconds of sound that Twilio keeps to be played; what comes on top is thrown away (31931)."""
MOST_MARKS: Final = 10_000
"""Marks that are kept until they are due: a service that floods costs the caller no memory."""
LONGEST_NAME: Final = 1024
"""Characters of a mark's name."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A line that Twilio would have logged, by its own number."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Sound:
    """A media message: mu-law to play."""

    mulaw: bytes


@dataclass(frozen=True, slots=True)
class MarkAsked:
    """A mark message: to be echoed when what came before has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """A clear message."""


Command = Sound | MarkAsked | Cleared

_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "media": frozenset(("event", "streamSid", "media")),
    "mark": frozenset(("event", "streamSid", "mark")),
    "clear": frozenset(("event", "streamSid")),
}
_INNER: Final[Mapping[str, str]] = {"media": "payload", "mark": "name"}


def inspect(message: str | bytes, stream_sid: str) -> Command | Violation:
    """Return what the message asks for, or what is wrong with it."""
    if isinstance(message, bytes):
        return Violation(31950, "a binary message; Twilio takes text only")
    content = _object(message)
    if content is None:
        return Violation(31951, "a text that is not a JSON object")
    event = content.get("event")
    if not isinstance(event, str) or event not in _FIELDS:
        return Violation(31951, "an unknown event")
    if content.keys() != _FIELDS[event]:
        return Violation(31951, f"`{event}` with the fields {_listed(content)}, not {_listed(_FIELDS[event])}")
    if content["streamSid"] != stream_sid:
        return Violation(31951, f"`{event}` for another stream's SID")
    return _command(event, content)


def _object(message: str) -> Mapping[str, object] | None:
    try:
        content = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _command(event: str, content: Mapping[str, object]) -> Command | Violation:
    if event == "clear":
        return Cleared()
    inner, name = content[event], _INNER[event]
    if not isinstance(inner, dict) or inner.keys() != {name} or not isinstance(inner[name], str):
        return Violation(31951, f"`{event}` holds something else than the text `{name}`")
    value: str = inner[name]
    return _mark(value) if event == "mark" else _sound(value)


def _mark(name: str) -> Command | Violation:
    if not 0 < len(name) <= LONGEST_NAME:
        return Violation(31951, f"`mark` with a name of {len(name)} characters; give it 1 to {LONGEST_NAME}")
    return MarkAsked(name)


def _sound(value: str) -> Command | Violation:
    try:
        mulaw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return Violation(31951, "a payload that is not base64")
    if mulaw.startswith((b"RIFF", b".snd")):
        return Violation(31951, "a payload with a file's header; Twilio plays it as noise")
    return Sound(mulaw)


def _listed(fields: Mapping[str, object] | frozenset[str]) -> str:
    return ", ".join(sorted(fields))[:200] or "(none)"


class TwilioBuffer:
    """Twilio's buffer, played at 8000 samples a second: when does a mark come back?

    A jitter buffer holds sound that comes after silence for `holds_s` seconds before it is played.
    """

    __slots__ = ("_ends_at", "_holds_s", "_marks", "_rate")

    def __init__(self, *, speed: float = 1.0, holds_s: float = 0.0) -> None:
        self._rate = 8000.0 * speed
        self._holds_s = holds_s
        self._ends_at = float("-inf")  # when the last sample in the buffer will have been played
        self._marks: deque[tuple[float, str]] = deque()

    def playing(self, now: float) -> bool:
        return self._ends_at > now

    @property
    def ends_at(self) -> float:
        """Time at which the last sample in the buffer will have been played."""
        return self._ends_at

    def append(self, samples: int, now: float) -> bool:
        """Buffer sound; false where it is thrown away because ten minutes are buffered already (31931)."""
        begins_at = self._ends_at if self._ends_at > now else now + self._holds_s
        ends_at = begins_at + samples / self._rate
        if (ends_at - now) * self._rate > LONGEST_BUFFER * 8000.0:
            return False
        self._ends_at = ends_at
        return True

    def mark(self, name: str, now: float) -> bool:
        """Remember a mark; it is due when all sound before it has been played, at once if there is none.

        False where it is dropped, because `MOST_MARKS` are waiting already.
        """
        if len(self._marks) >= MOST_MARKS:
            return False
        self._marks.append((max(now, self._ends_at), name))
        return True

    def clear(self, now: float) -> None:
        """Throw the sound away; every pending mark is due now, as Twilio does it."""
        self._ends_at = min(self._ends_at, now)
        self._marks = deque((min(due, now), name) for due, name in self._marks)

    def due(self, now: float) -> list[str]:
        """Return the marks whose time has come, in their order, and forget them."""
        echoes = []
        while self._marks and self._marks[0][0] <= now:
            echoes.append(self._marks.popleft()[1])
        return echoes
