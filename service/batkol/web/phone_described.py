"""The phone's part of the description in AsyncAPI: its messages both ways, as their structs have them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from batkol.twilio.messages import (
    Connected,
    Dtmf,
    Mark,
    Media,
    OutboundClear,
    OutboundMark,
    OutboundMedia,
    Start,
    Stop,
)
from batkol.web.phone_messages import PhoneConnected

CHANNEL: Final = "phone"
SECURITY: Final = {
    "phoneToken": {
        "type": "httpApiKey",
        "name": "Sec-WebSocket-Protocol",
        "in": "header",
        "description": "The subprotocols `batkol.phone` and `bearer.` with the token in base64url, without `=`.",
    }
}

_ABOUT: Final = (
    "A call from the phone in the console, in the messages of Twilio's media streams. The service begins with "
    "`connected`, which has the SIDs that the `start` of the client repeats. A token with the right `line` is needed."
)
_FROM_CLIENT: Final[dict[type[msgspec.Struct], str]] = {
    Connected: "Optional; means nothing.",
    Start: "Begins the call, with the SIDs of the service's `connected`. `customParameters` has `from` and `to`.",
    Media: "Sound of the caller: mu-law, 8000 Hz, in base64. `timestamp` in ms, `chunk` from 1.",
    Dtmf: "A key that the caller pressed.",
    Mark: "A mark of the service comes back: what was sent before it was played, or dropped by `clear`.",
    Stop: "Ends the call.",
}
_FROM_SERVICE: Final[dict[type[msgspec.Struct], str]] = {
    PhoneConnected: "The first message: the SIDs of the call.",
    OutboundMedia: "Sound for the caller, to be played behind what waits.",
    OutboundMark: "Asks for an echo when all sound before it was played.",
    OutboundClear: "Drops all sound that waits; its marks come back at once.",
}


def channels() -> dict[str, Any]:
    """Return the channel of the phone."""
    names = [_name(each) for each in (*_FROM_CLIENT, *_FROM_SERVICE)]
    return {
        CHANNEL: {
            "address": "/v1/phone",
            "description": _ABOUT,
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
            "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
        }
    }


def operations() -> dict[str, Any]:
    """Return the operations of the service on the channel."""
    return {
        "receive_phone": _operation("receive", _FROM_CLIENT),
        "send_phone": _operation("send", _FROM_SERVICE),
    }


def messages(schema: str) -> dict[str, Any]:
    """Return the messages, by name; `schema` is the place of a schema."""
    return {
        _name(struct): {
            "name": _name(struct),
            "title": str(struct.__struct_config__.tag),
            "summary": about,
            "contentType": "application/json",
            "payload": {"$ref": schema.format(name=struct.__name__)},
        }
        for struct, about in (*_FROM_CLIENT.items(), *_FROM_SERVICE.items())
    }


def schemas(schema: str) -> dict[str, Any]:
    """Return the schemas of the messages, by the names of their structs."""
    _, found = msgspec.json.schema_components((*_FROM_CLIENT, *_FROM_SERVICE), ref_template=schema)
    return found


def _name(struct: type[msgspec.Struct]) -> str:
    return f"phone.{struct.__name__}"


def _operation(action: str, structs: dict[type[msgspec.Struct], str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{CHANNEL}"},
        "messages": [{"$ref": f"#/channels/{CHANNEL}/messages/{_name(each)}"} for each in structs],
        "security": [{"$ref": "#/components/securitySchemes/phoneToken"}],
    }
