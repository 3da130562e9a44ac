"""`batkol migrate` and `batkol erase`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from alembic.util import CommandError

from batkol.errors import ConfigurationError
from batkol.quantity import quantity
from batkol.store.postgres import migrate
from batkol.store.postgres.address import Address, address
from batkol.store.postgres.connections import Database
from batkol.store.postgres.erase import erase
from batkol.store.postgres.faults import DB_ERRORS, error_name, is_unreachable
from batkol.store.postgres.remedies import with_remedy

WriteLine = Callable[[str], None]

_NO_URL: Final = (
    "there is no DATABASE_URL; set it, in the environment or in .env, to the database's URL, "
    "postgresql://user:password@host/name"
)


async def carry_out_migration(
    url: str, *, down: str, check: bool, may_be_away: bool = False, write_line: WriteLine
) -> int:
    """Migrate the tables to this version or down to another, or check them; returns the exit code.

    Raises `ConfigurationError` where the database refuses, or cannot be reached and may not be away.
    """
    where = named(url)
    for warning in where.warnings:
        write_line(warning)
    try:
        if check:
            return await _check(where, write_line)
        reached = await (migrate.downgrade(where, down) if down else migrate.upgrade(where))
    except CommandError as error:  # Alembic's own, about versions
        raise ConfigurationError(f"{where.shown} cannot be migrated, and is unchanged: {error}") from None
    except DB_ERRORS as error:
        if may_be_away and is_unreachable(error):
            write_line(f"{where.shown} cannot be reached ({error_name(error)}); its tables are unchanged")
            return 0
        raise ConfigurationError(
            f"{where.shown} cannot be migrated, and is unchanged: {with_remedy(error_name(error))}"
        ) from None
    newer = (
        "" if down or migrate.knows(reached) else f", which is newer than {migrate.head()}; its tables are unchanged"
    )
    write_line(f"{where.shown} is at {reached}{newer}")
    return 0


async def _check(where: Address, write_line: WriteLine) -> int:
    found, wanted = await migrate.current(where), migrate.head()
    if found == wanted:
        write_line(f"{where.shown} is at {found}, the revision of this version")
        return 0
    if not migrate.knows(found):
        write_line(f"{where.shown} is at {found}, which a newer version created; this version needs {wanted}")
        return 1
    write_line(f"{where.shown} is at {found or 'no revision'}, and this version needs {wanted}; run `batkol migrate`")
    return 1


async def carry_out_erasure(url: str, number: str, *, write_line: WriteLine) -> int:
    """Forget a caller; returns the exit code, 1 where nothing of this caller is stored.

    Raises `ConfigurationError` as above, and for what names no one caller.
    """
    where = named(url)
    database = Database(where)
    try:
        erased = await erase(database.reading, number)
    except DB_ERRORS as error:
        raise ConfigurationError(f"nothing was erased from {where.shown}: {with_remedy(error_name(error))}") from None
    finally:
        await database.close()
    pending = "records that pods deliver later arrive without text and number"
    if not (erased.calls or erased.leads):
        write_line(
            f"no call and no lead of this caller is stored, so nothing was erased; {pending}. Check the spelling "
            "of the number"
        )
        return 1
    write_line(
        f"erased: {quantity(erased.utterances, 'utterance')}, {quantity(erased.corrections, 'correction')}, "
        f"{quantity(erased.replies, 'reply', 'replies')}, {quantity(erased.tool_calls, 'tool call')} and "
        f"{quantity(erased.summaries, 'summary', 'summaries')} of {quantity(erased.calls, 'call')}, "
        f"{quantity(erased.events, 'event')} for sinks, and {quantity(erased.leads, 'lead')}"
    )
    write_line(pending)
    return 0


def named(url: str) -> Address:
    """Return the database that a command is for. Raises `ConfigurationError`."""
    if not url:
        raise ConfigurationError(_NO_URL)
    return address(url)
