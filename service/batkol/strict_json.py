"""Strict reading of JSON that people write: no ambiguity is decided silently.

RFC 8259 leaves to the reader which value counts where a key stands twice, and how large a number may be. Python takes
the last value and calls a large number infinite. Here what cannot be decided is kept as what it is, so that the
next reader can refuse the part that holds it and keep the rest.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, NoReturn, TypeAlias

Json: TypeAlias = Any  # what a JSON decoder returns
BOM = b"\xef\xbb\xbf"
_WIDE = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
_DIGITS = 400  # of a whole number; the largest floating-point number has 309
COMMENT = "$comment"


class NotJsonError(ValueError):
    """The text is not JSON; the message names the place, and quotes nothing."""


class DuplicateKeys(dict[str, Json]):
    """An object in which a key stands twice, with the last value of each."""

    doubled: frozenset[str] = frozenset()


class NumberTooLarge:
    """A number that no program would read as it is written."""


def read(raw: bytes) -> Json:
    """Decode UTF-8, with or without a byte order mark. Raises `NotJsonError`."""
    for mark, name in _WIDE:
        if raw.startswith(mark):
            raise NotJsonError(f"it is {name}; save it as UTF-8")
    try:
        return json.loads(
            raw.removeprefix(BOM).decode(),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_fraction,
            parse_constant=_refuse,
        )
    except UnicodeDecodeError as error:
        raise NotJsonError(f"it is not UTF-8 from byte {error.start} on") from error
    except json.JSONDecodeError as error:
        raise NotJsonError(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise NotJsonError("it is nested too deeply") from error


def of_variable(text: str, example: str, *, keys_shown: bool = True) -> Json:
    """Read the JSON of an environment variable. Raises `ValueError`, a clause that quotes no value of it.

    `keys_shown` is false where a key may be what no log line may have.
    """
    if not_text := unwritable(text):
        raise ValueError(not_text)
    try:
        value = read(text.encode())
    except NotJsonError as error:
        raise ValueError(f"must be JSON such as {example}: {error}") from None
    if doubled := next(duplicate_keys(value), None):
        key = doubled[:60] if keys_shown else "a key"
        raise ValueError(f"has {key} twice in one object, and only one of the two could count; remove one of them")
    try:
        if not_text := unwritable(json.dumps(value, ensure_ascii=False)):
            raise ValueError(not_text)
    except TypeError:  # a `NumberTooLarge`
        raise ValueError("has a number that is too large for any program; write a smaller one") from None
    return value


def unwritable(text: str) -> str:
    """Return why a text cannot be sent or stored, a clause; "" for one that can."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"is not UTF-8 at character {error.start + 1}; write the text again, and save it as UTF-8"
    return ""


def duplicate_keys(value: Json, path: str = "") -> Iterator[str]:
    """Yield where in a document a key stands twice, as `recognition.batchMilliseconds`."""
    if isinstance(value, DuplicateKeys):
        yield from (f"{path}{key}" for key in sorted(value.doubled))
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from duplicate_keys(inner, f"{path}{key}.")
    elif isinstance(value, list):
        for inner in value:
            yield from duplicate_keys(inner, path)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    marked = DuplicateKeys(members)
    counts = Counter(key for key, _ in pairs)
    marked.doubled = frozenset(key for key, count in counts.items() if count > 1 and key != COMMENT)
    return marked if marked.doubled else members


def _integer(digits: str) -> Json:
    return int(digits) if len(digits) <= _DIGITS else NumberTooLarge()


def _fraction(digits: str) -> Json:
    number = float(digits)
    return number if math.isfinite(number) else NumberTooLarge()


def _refuse(name: str) -> NoReturn:
    raise NotJsonError(f"{name} is not JSON")
