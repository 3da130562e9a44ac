"""The description of events and phone in AsyncAPI 3.0 (https://www.asyncapi.com/docs/reference/specification/v3.0.0)."""

from __future__ import annotations

from typing import Any, Final

from batkol import __version__
from batkol.events.described import EVENTS, FEED
from batkol.events.schema import FEED_STRUCTS, STRUCTS, event_schemas, name_of
from batkol.web import phone_described as phone

ABOUT: Final = """\
What happens in the calls, as server-sent events over HTTP: `id` is an opaque cursor, `event` the name of the event, and
`data` one JSON object. A reader that connects again sends the last cursor as `Last-Event-ID`. docs/agents.md has the
same tables, the order of the events, and the smallest bot that works. The channel `phone` is the console's
phone, over a WebSocket.
"""
_SCHEMA: Final = "#/components/schemas/{name}"
_CHANNELS: Final = {
    "events": ("/v1/events", "The events of all calls of this pod, or of all pods with `?scope=fleet`."),
    "callEvents": ("/v1/calls/{callSid}/events", "The events of one live call, until its last stream is done."),
}


def asyncapi() -> dict[str, Any]:
    """Return the description."""
    events = {name_of(each): _message(name_of(each), each.__name__) for each in (*STRUCTS, *FEED_STRUCTS)}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Batkol, events", "version": __version__, "description": ABOUT},
        "defaultContentType": "application/json",
        "channels": {key: _channel(*about, list(events)) for key, about in _CHANNELS.items()} | phone.channels(),
        "operations": {f"send_{key}": _operation(key) for key in _CHANNELS} | phone.operations(),
        "components": {
            "messages": events | phone.messages(_SCHEMA),
            "schemas": event_schemas(_SCHEMA) | phone.schemas(_SCHEMA),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}} | phone.SECURITY,
        },
    }


def _message(name: str, struct: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "summary": {**EVENTS, **FEED}[name].when,
        "contentType": "application/json",
        "payload": {"$ref": _SCHEMA.format(name=struct)},
    }


def _channel(address: str, description: str, names: list[str]) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": address,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
    }
    if "{callSid}" in address:
        channel["parameters"] = {"callSid": {"description": "Twilio's SID of the call."}}
    return channel


def _operation(key: str) -> dict[str, Any]:
    return {
        "action": "send",  # by the service
        "channel": {"$ref": f"#/channels/{key}"},
        "bindings": {"http": {"method": "GET", "bindingVersion": "0.3.0"}},
        "security": [{"$ref": "#/components/securitySchemes/token"}],
    }
