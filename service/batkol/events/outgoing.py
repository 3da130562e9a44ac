"""Events as they leave the service through the store: as JSON that a database takes, and without a person."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from batkol.events.events import AnyEvent, CallStarted, Event, encode
from batkol.events.redaction import redacted
from batkol.rights import Right

LARGEST: Final = 256 << 10
"""Bytes of an event; the texts of a larger one are cut. A reply of three minutes is some 10 KB."""

LONGEST_TEXT: Final = 20_000
"""Characters that are left of each text then."""

OUTGOING: Final = (
    "call.started", "final", "revised", "reply.sentence", "reply.interrupted", "reply.ended", "tool.called",
    "call.ended",
)  # fmt: skip
"""The types of events of which the store keeps something: these are handed on by the outbox."""

_CUT: Final = "…"
_DECODER: Final[msgspec.json.Decoder[AnyEvent]] = msgspec.json.Decoder(AnyEvent)
_NO_RIGHTS: Final[frozenset[Right]] = frozenset()


def outgoing(event: Event) -> str:
    """Return the event as JSON: the same as a reader of the feed with all rights gets. Never raises.

    Texts are cut where the event would be larger than `LARGEST`, or has half a character.
    """
    try:
        data = encode(event)
    except UnicodeEncodeError:
        data = encode(_shortened(event))
    if len(data) > LARGEST:
        data = encode(_shortened(event))
    return data.decode()


def decode(data: str) -> Event:
    """Read an event. Raises `msgspec.DecodeError` for what is none, or one of a newer version."""
    return _DECODER.decode(data)


def seen_with(data: str, may: frozenset[Right]) -> str:
    """Return the event's JSON as a reader with these rights sees it. Raises as `decode`."""
    return encode(redacted(decode(data), may)).decode()


def without_person(data: str) -> str:
    """Return the event's JSON without the person at the other end of the line, and their words. Raises as `decode`.

    Our own number stays.
    """
    event = decode(data)
    blank = redacted(event, _NO_RIGHTS)
    if isinstance(event, CallStarted) and isinstance(blank, CallStarted):
        own = "from_" if event.direction.startswith("outbound") else "to"
        blank = msgspec.structs.replace(blank, **{own: getattr(event, own)})
    return encode(blank).decode()


def _shortened(event: Event) -> Event:
    """Return the event with texts that are short enough, and that can be written as UTF-8."""
    return msgspec.structs.replace(
        event, **{name: _short(value) for name, value in msgspec.structs.asdict(event).items()}
    )


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {_short(name): _short(each) for name, each in value.items()}
    if not isinstance(value, str):
        return value
    if len(value) > LONGEST_TEXT:
        value = value[: LONGEST_TEXT - len(_CUT)] + _CUT
    return value.encode("utf-8", "replace").decode()
