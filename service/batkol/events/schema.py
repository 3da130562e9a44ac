"""JSON Schema of the events, from their structs and their description."""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec

from batkol.events.described import COMMON, EVENTS, FEED, EventDescription
from batkol.events.events import RIGHT, AnyEvent, Event, FeedGap
from batkol.fleet.membership import FleetPeers

STRUCTS: Final[tuple[type[Event], ...]] = get_args(AnyEvent)
"""The struct of every event of a call."""

FEED_STRUCTS: Final[tuple[type[msgspec.Struct], ...]] = (FeedGap, FleetPeers)
"""The structs of events of the feed itself."""


def name_of(struct: type[msgspec.Struct]) -> str:
    """Return the name of an event on the wire."""
    return str(struct.__struct_config__.tag)


def event_schemas(ref_template: str) -> dict[str, dict[str, Any]]:
    """Return the schema of each event, those of the feed included, by the name of its struct.

    Every field is sent in every event, those that a token may not read included, which are empty then. A later version
    may have more fields: the schemas allow them.
    """
    _, found = msgspec.json.schema_components((*STRUCTS, *FEED_STRUCTS), ref_template=ref_template)
    for struct in STRUCTS:
        event = EVENTS[name_of(struct)]
        _describe(found[struct.__name__], struct, EventDescription(event.when, {**COMMON, **event.fields}))
    for of_feed in FEED_STRUCTS:
        event = FEED[name_of(of_feed)]
        fields = {"type": COMMON["type"], **event.fields}
        _describe(found[of_feed.__name__], of_feed, EventDescription(event.when, fields))
    return found


def rights_of(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the right without which a field is empty, by the field's name on the wire."""
    fields = msgspec.inspect.type_info(struct).fields  # type: ignore[attr-defined]  # of a struct
    marked = ((field.encode_name, _extra(field.type).get(RIGHT)) for field in fields)
    return {name: str(right) for name, right in marked if right is not None}


def _extra(kind: msgspec.inspect.Type) -> dict[Any, Any]:
    return (kind.extra or {}) if isinstance(kind, msgspec.inspect.Metadata) else {}


def _describe(schema: dict[str, Any], struct: type[msgspec.Struct], event: EventDescription) -> None:
    rights = rights_of(struct)
    schema["title"], schema["description"] = name_of(struct), event.when
    schema["required"] = list(schema["properties"])
    for field, of_field in schema["properties"].items():
        of_field.pop("default", None)
        of_field["description"] = event.fields[field]
        if right := rights.get(field):
            of_field["x-right"] = right
            of_field["description"] += f" Empty without the right `{right}`."
