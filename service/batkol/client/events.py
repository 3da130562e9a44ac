"""The events of the feed: those of calls, and its own."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

from batkol.answers import UNREADABLE
from batkol.client.errors import UnexpectedAnswerError
from batkol.client.sse import ServerSentEvent
from batkol.events.events import AnyEvent, FeedGap


class PeerPod(msgspec.Struct, frozen=True, kw_only=True):
    """A pod of the fleet, as the pod that answers sees it."""

    pod: str = ""
    reachable: bool = True
    why: str | None = None  # it is not reachable


class PeersChanged(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="peers"):
    """The pods whose events a fleet's feed has, when that changes."""

    peers: tuple[PeerPod, ...] = ()


class UnknownEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a newer service, which this version of the client has no type for. Safe to pass over."""

    type: str
    data: str  # JSON, as it came

    def fields(self) -> dict[str, Any]:
        """Return its fields. Raises `UnexpectedAnswerError` if they are no JSON object."""
        try:
            return msgspec.json.decode(self.data, type=dict[str, Any])
        except UNREADABLE as error:
            raise UnexpectedAnswerError(f"The data of a `{self.type[:40]}` event is no JSON object.") from error


FeedEvent: TypeAlias = AnyEvent | FeedGap | PeersChanged | UnknownEvent
"""Everything that the event feed hands on. After a `FeedGap`, `Batkol.calls` has the state of the live calls."""

_Known: TypeAlias = AnyEvent | FeedGap | PeersChanged

_DECODER: Final[msgspec.json.Decoder[_Known]] = msgspec.json.Decoder(_Known)
_KNOWN: Final = frozenset(str(kind.__struct_config__.tag) for kind in _Known.__args__)


def decode(message: ServerSentEvent) -> FeedEvent:
    """Return the event of a message. Unknown fields are passed over.

    Raises `UnexpectedAnswerError` for an event of a known type that cannot be read: to pass it over would lose words
    without a sign.
    """
    if message.event not in _KNOWN:
        return UnknownEvent(type=message.event, data=message.data)
    try:
        return _DECODER.decode(message.data)
    except UNREADABLE as error:
        raise UnexpectedAnswerError(
            f"The service sent a `{message.event}` event that this version cannot read ({_where(error)}). "
            "Use the batkol package of the service's own version."
        ) from None  # the error's context may quote the caller


def _where(error: Exception) -> str:
    """Say what is wrong with an event. Its own text names fields and types, and a wrong tag, and quotes no value."""
    return str(error) if type(error) is msgspec.ValidationError else type(error).__name__
