"""Faults of a double as text: what all doubles take, and what all refuse, on the command line and over HTTP.

A fault that a double does not know would never happen, and a test that waits for it would prove nothing. So an unknown
kind, an unknown field and a value that means nothing are refused, with the kinds and the fields that there are.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Protocol, TypeVar, get_type_hints

import msgspec
from msgspec import Meta

from batkol.answers import UNREADABLE
from batkol.errors import BatkolError

Times = Annotated[int, Meta(ge=1)]
"""Streams or requests that a fault hits."""
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Number = Annotated[int, Meta(ge=1)]
"""The number of a stream, session or request of the double, from 1."""
ErrorStatus = Annotated[int, Meta(ge=400, le=599)]
"""An HTTP status that refuses."""
Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class NoFaultError(BatkolError):
    """The text is no fault of this double. It says why, and what there is."""


class DoubleFault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong. Each double's own class has a field `kind`, of a `StrEnum` of its own."""

    def __post_init__(self) -> None:
        """Refuse a kind that is none, also where a program makes the fault and no text is read."""
        kinds, kind = _kinds(type(self)), getattr(self, "kind", None)
        if not isinstance(kind, kinds):
            raise ValueError(  # noqa: TRY004 - of a text
                f"{kind!r} is no kind of fault; the kinds are {', '.join(kinds)}"
            )


F = TypeVar("F", bound=DoubleFault)


class Faulty(Protocol):
    """The part of a double that takes faults."""

    def inject(self, *faults: Any) -> None: ...
    def faults(self) -> list[Any]: ...


def faults_in(kind: type[F], text: str | bytes) -> tuple[F, ...]:
    """Read one fault, or a list of them, as JSON. Raises `NoFaultError`."""
    wanted: Any = kind | list[kind]  # type: ignore[valid-type]
    try:
        content = text.encode() if isinstance(text, str) else text
        read = msgspec.json.decode(content, type=wanted)
    except (*UNREADABLE, UnicodeEncodeError) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeError) else str(error)
        raise NoFaultError(f"{why}. {_known(kind)}") from None
    return tuple(read) if isinstance(read, list) else (read,)


def inject(body: bytes, controlled: Faulty, kind: type[DoubleFault]) -> tuple[int, Any]:
    """Put the faults of an HTTP request in force; return status and answer."""
    try:
        faults = faults_in(kind, body)
    except NoFaultError as error:
        return 400, {"error": f"This is no fault: {error} Send one such as {example(kind)}, or a list."}
    controlled.inject(*faults)
    return 200, controlled.faults()


def example(kind: type[DoubleFault]) -> str:
    """Return the JSON of a fault that the double has."""
    return msgspec.json.encode({"kind": next(iter(_kinds(kind)))}).decode()


def _known(kind: type[DoubleFault]) -> str:
    fields = ", ".join(name for name in kind.__struct_fields__ if name != "kind")
    return f"The kinds are {', '.join(_kinds(kind))}; the other fields are {fields}."


def _kinds(kind: type[DoubleFault]) -> type[StrEnum]:
    found: type[StrEnum] = get_type_hints(kind)["kind"]
    return found
