"""The description of the event feed in AsyncAPI 3.0 (https://www.asyncapi.com/docs/reference/specification/v3.0.0)."""

from __future__ import annotations

from typing import Any, Final

from batkol import __version__
from batkol.events.described import EVENTS, FEED
from batkol.events.schema import FEED_STRUCTS, STRUCTS, event_schemas, name_of

ABOUT: Final = """\
What happens in the calls, as server-sent events over HTTP: `id` is an opaque cursor, `event` the name of the event, and
`data` one JSON object. A reader that connects again sends the last cursor as `Last-Event-ID`. docs/agents.md has the
same tables, the order of the events, and the smallest bot that works.
"""
_SCHEMA: Final = "#/components/schemas/{name}"
_CHANNELS: Final = {
    "events": ("/v1/events", "The events of all calls of this pod, or of all pods with `?scope=fleet`."),
    "callEvents": ("/v1/calls/{callSid}/events", "The events of one live call, until its last stream is done."),
}


def asyncapi() -> dict[str, Any]:
    """Return the description."""
    messages = {name_of(each): _message(name_of(each), each.__name__) for each in (*STRUCTS, *FEED_STRUCTS)}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Batkol, events", "version": __version__, "description": ABOUT},
        "defaultContentType": "application/json",
        "channels": {key: _channel(*about, list(messages)) for key, about in _CHANNELS.items()},
        "operations": {f"send_{key}": _operation(key) for key in _CHANNELS},
        "components": {
            "messages": messages,
            "schemas": event_schemas(_SCHEMA),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
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
