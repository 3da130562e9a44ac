"""References inside a description (`$ref`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def refs(node: object) -> Iterator[str]:
    """Yield every reference of a description."""
    match node:
        case {"$ref": str(ref)}:
            yield ref
        case dict():
            for each in node.values():
                yield from refs(each)
        case list():
            for each in node:
                yield from refs(each)


def at(document: Any, ref: str) -> Any:
    """Return what a reference leads to. Raises `KeyError`."""
    for part in ref.removeprefix("#/").split("/"):
        document = document[part]
    return document
