"""Errors of a database and its driver: whose fault each is, and its name in a log line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError


class DriverError(OSError):
    """The driver raised what is none of its own errors: an answer that it cannot read, an address that is none.

    What it raised is the cause.
    """


DB_ERRORS: Final = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""Errors of a database that is away, slow, full or refuses (`TimeoutError` is an `OSError`)."""

# SQLSTATE classes of what lies in the data, and would be refused again: cardinality, data exception, integrity, limits.
_OF_THE_DATA: Final = ("21", "22", "23", "54")
_READ_ONLY: Final = "25006"  # read_only_sql_transaction: a standby, or a primary that was
# The server's limits for a statement, for a lock, and for a transaction.
_OVERTIME: Final = frozenset({"57014", "55P03", "25P04"})


@contextmanager
def driver_faults() -> Iterator[None]:
    """Around nothing but calls of the driver: what is none of `DB_ERRORS` becomes a `DriverError`."""
    try:
        yield
    except DB_ERRORS:
        raise
    except Exception as error:
        raise DriverError from error


def is_data_error(error: BaseException) -> bool:
    """Whether the same statement with the same data would fail again, on any server."""
    if isinstance(_cause(error), asyncpg.DataError):  # the driver's, before it sends anything
        return True
    return isinstance(error, DBAPIError) and (sqlstate(error) or "").startswith(_OF_THE_DATA)


def is_overtime(error: BaseException) -> bool:
    """Whether a statement took longer than the server's limit, or than the service's."""
    return sqlstate(error) in _OVERTIME or isinstance(_cause(error), TimeoutError)


def is_read_only(error: BaseException) -> bool:
    """Whether the server takes no writes, and another one may."""
    return sqlstate(error) == _READ_ONLY


def sqlstate(error: BaseException) -> str | None:
    """Return Postgres's code of an error, where it has one."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    found = getattr(origin, "sqlstate", None)
    return found if isinstance(found, str) else None


def error_name(error: BaseException) -> str:
    """Name an error without its text, which may quote what was being written."""
    name = type(_cause(error)).__name__
    if isinstance(error, DriverError):
        return f"{name} in the driver"
    code = sqlstate(error)
    return f"{name} (SQLSTATE {code})" if code else name


def journal_error(error: Exception) -> str:
    """Name a fault of the journal. An error of a disk contains no text of a caller."""
    return (
        f"the journal's disk: {error}" if isinstance(error, OSError) else f"the journal: {error_with_location(error)}"
    )


def error_with_location(error: BaseException) -> str:
    """Name an error that should not have come, and where it came from."""
    error = error.__cause__ or error
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    name = type(error).__name__
    return f"{name} in {at.tb_frame.f_code.co_qualname}:{at.tb_lineno}" if at is not None else name


def is_unreachable(error: BaseException) -> bool:
    """Whether the database cannot be reached now: no answer, or the answer that it is not up."""
    code = sqlstate(error)
    if code:
        return code.startswith(("08", "57P", "53300"))  # connection exceptions, going down or coming up, no place left
    return isinstance(_cause(error), OSError)


def _cause(error: BaseException) -> BaseException:
    """Return what the driver raised, below what it was wrapped in."""
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(origin, TimeoutError):  # its cause is the cancellation by which it came
        return origin
    return origin.__cause__ or origin
