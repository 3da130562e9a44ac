"""The cursor of a page: the end of the page before it, as an opaque token."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

import msgspec

from batkol.store.postgres.queries import PagePosition

LONGEST: Final = 1000
"""Characters of a cursor."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LARGEST: Final = 2**63 - 1  # of Postgres's bigint

Key = TypeVar("Key", str, int)


class BadCursorError(ValueError):
    """The cursor was not issued by this API."""


def cursor_of(at: datetime, key: str | int) -> str:
    """Return the token of the place that a row has; Postgres's times are whole microseconds, and so stay exact."""
    packed = msgspec.msgpack.encode(((at - _EPOCH) // _MICROSECOND, key))
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def position_of(token: str, kind: type[Key]) -> PagePosition:
    """Read a token whose key is of that kind. Raises `BadCursorError`."""
    try:
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        micros, key = msgspec.msgpack.decode(packed, type=tuple[int, kind])  # type: ignore[valid-type]
        at = _EPOCH + micros * _MICROSECOND
    except (binascii.Error, ValueError, OverflowError, msgspec.MsgspecError):
        raise BadCursorError from None
    if "\x00" in str(key) or (isinstance(key, int) and abs(key) > _LARGEST):
        raise BadCursorError
    return PagePosition(at, key)
