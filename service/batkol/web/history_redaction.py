"""Rows of the history as a client may see them: without the right to it, a number or a text is empty.

A value that is null stays null. A filter by a number or by words is an answer about them, so it wants the right as
well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from batkol.rights import Right
from batkol.web.access import Reader, require

RIGHTS: Final[Mapping[str, frozenset[Right]]] = {
    "caller_number": frozenset({Right.NUMBERS}),
    "called_number": frozenset({Right.NUMBERS}),
    "text": frozenset({Right.TEXTS}),
    "revised_text": frozenset({Right.TEXTS}),
    "correction": frozenset({Right.TEXTS}),
    "name": frozenset({Right.NUMBERS, Right.TEXTS}),
    "notes": frozenset({Right.TEXTS}),
    "last_summary": frozenset({Right.TEXTS}),
    "fields": frozenset({Right.NUMBERS, Right.TEXTS}),
    "intended": frozenset({Right.TEXTS}),
    "heard": frozenset({Right.TEXTS}),
    "arguments": frozenset({Right.TEXTS}),
    "result": frozenset({Right.TEXTS}),
    "summary": frozenset({Right.TEXTS}),
}
"""The columns that want rights, of all tables; the others are shown to every client of the history."""


def shown(row: Mapping[Any, Any], reader: Reader) -> dict[str, Any]:
    """Return the row as this client may see it."""
    return {name: _empty(value) if _hidden(name, reader) else value for name, value in row.items()}


def check_number(number: str | None, reader: Reader) -> None:
    """Refuse a filter by number to a client that may see no numbers. Raises `HTTPException`."""
    if number is not None:
        require(reader, Right.NUMBERS)


def check_call_filter(number: str | None, words: str | None, reader: Reader) -> None:
    """Refuse a filter whose answer would tell what the client may not see. Raises `HTTPException`."""
    check_number(number, reader)
    if words is not None:
        require(reader, Right.TEXTS)


def _empty(value: Any) -> Any:
    """Return what is shown in place of a value, of the same kind."""
    return value if value is None else type(value)()


def _hidden(name: str, reader: Reader) -> bool:
    return not RIGHTS.get(name, frozenset()) <= reader.may
