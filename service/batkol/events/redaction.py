"""Events as a reader may see them: without the right to it, a number or a text is empty.

Which field wants which right stands at the field, in `batkol.events.events`.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Final, TypeVar, get_args, get_type_hints

import msgspec

from batkol.events.events import RIGHT, Event
from batkol.rights import Right

_DECIDING: Final = frozenset({Right.NUMBERS, Right.TEXTS})
"""The rights that decide what is shown of an event."""

_Event = TypeVar("_Event", bound=Event)


def view(may: AbstractSet[Right]) -> frozenset[Right]:
    """Return those of the rights that decide what an event shows: readers with the same view see the same bytes."""
    return _DECIDING.intersection(may)


def redacted(event: _Event, may: AbstractSet[Right]) -> _Event:
    """Return the event as a reader with these rights may see it; the event itself, if that is all of it."""
    empty = _emptied(type(event), view(may))
    return msgspec.structs.replace(event, **empty) if empty else event


def right_of(kind: type[Event]) -> Mapping[str, Right]:
    """Return the fields of an event that want a right, with that right."""
    return _rights(kind)


@cache
def _emptied(kind: type[Event], seen: frozenset[Right]) -> Mapping[str, object]:
    """Return the fields that are empty for such a reader, with their empty values. There are four views."""
    hints = get_type_hints(kind)
    return {name: _empty(hints[name]) for name, right in _rights(kind).items() if right not in seen}


@cache
def _rights(kind: type[Event]) -> Mapping[str, Right]:
    found: dict[str, Right] = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        for note in get_args(hint)[1:]:
            if isinstance(note, msgspec.Meta) and note.extra and RIGHT in note.extra:
                found[name] = Right(note.extra[RIGHT])
    return found


def _empty(hint: object) -> object:
    """Return the value of a field that may not be seen. A field of another type has no empty value, and no right."""
    if hint is str:
        return ""
    if hint == dict[str, str]:
        return {}
    raise AssertionError(f"a field that wants a right is a text or texts by name, not {hint}")
