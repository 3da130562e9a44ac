"""`batkol migrate` and `batkol erase`: the database, from the command line."""

# ruff: noqa: PLC0415 - each command imports what it needs when it runs

from __future__ import annotations

from typing import Annotated

import typer

from batkol.commands.env_file import EnvFileOption
from batkol.commands.shared import exit_with

DatabaseUrl = Annotated[
    str,
    typer.Option(
        "--database-url", envvar="DATABASE_URL", help="The database's URL: postgresql://user:password@host/name."
    ),
]


def migrate(
    *,
    down: Annotated[
        str, typer.Option(metavar="REVISION", help="Migrate down to this revision instead; `base` drops all tables.")
    ] = "",
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL for an empty database and change nothing.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only check the version of the tables: exit code 1 if the version is wrong.")
    ] = False,
    if_reachable: Annotated[
        bool, typer.Option("--if-reachable", help="Succeed without a change if the database cannot be reached.")
    ] = False,
    database_url: DatabaseUrl = "",
    env_file: EnvFileOption = None,  # noqa: ARG001  its callback has read it
) -> None:
    """Apply the database migrations. Several pods may migrate at once."""
    from batkol.store.commands import carry_out_migration
    from batkol.store.postgres.migrate import sql as printed

    if sql:
        typer.echo(printed())
        return
    exit_with(
        carry_out_migration(database_url, down=down, check=check, may_be_away=if_reachable, write_line=typer.echo)
    )


def erase(
    number: Annotated[
        str,
        typer.Argument(
            metavar="NUMBER", help="The phone number or address, as Twilio writes it: +972…, sip:…, client:…"
        ),
    ],
    *,
    database_url: DatabaseUrl = "",
    env_file: EnvFileOption = None,  # noqa: ARG001  its callback has read it
) -> None:
    """Delete the transcripts and the phone number of a number's callers."""
    from batkol.store.commands import carry_out_erasure

    exit_with(carry_out_erasure(database_url, number, write_line=typer.echo))
