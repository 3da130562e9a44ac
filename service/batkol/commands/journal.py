"""`batkol journal status` and `batkol journal drain`."""

# ruff: noqa: PLC0415 - each command imports what it needs when it runs

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from batkol.commands.env_file import EnvFileOption
from batkol.commands.shared import bounded, exit_with
from batkol.commands.store import DatabaseUrl

JournalDir = Annotated[
    Path | None,
    typer.Option("--journal-dir", envvar="JOURNAL_DIR", help="The journal's folder; by default the service's folder."),
]
MemoryDir = Annotated[
    Path,
    typer.Option(
        "--memory-dir", envvar="JOURNAL_MEMORY_DIR", help="The tmpfs folder with the journal's newest records."
    ),
]

journal = typer.Typer(
    help="Inspect the journal of a stopped service, or deliver the journal's records to the database."
)


@journal.command()
def status(
    *,
    journal_dir: JournalDir = None,
    memory_dir: MemoryDir = Path("/dev/shm"),  # noqa: S108
    env_file: EnvFileOption = None,  # noqa: ARG001  its callback has read it
) -> None:
    """Print the contents of a journal, and change nothing."""
    from batkol.store.journal_commands import carry_out_status
    from batkol.store.settings import journal_home

    raise typer.Exit(carry_out_status(journal_dir or journal_home(), memory_dir, write_line=typer.echo))


@journal.command()
def drain(
    *,
    journal_dir: JournalDir = None,
    memory_dir: MemoryDir = Path("/dev/shm"),  # noqa: S108
    within: Annotated[
        float,
        typer.Option(
            "--within", metavar="S", callback=bounded(0), help="Longest duration of the delivery, in seconds."
        ),
    ] = 60.0,
    database_url: DatabaseUrl = "",
    env_file: EnvFileOption = None,  # noqa: ARG001  its callback has read it
) -> None:
    """Deliver what a journal holds to the database: exit code 0 if nothing is left, and nothing was lost."""
    from batkol.store.journal_commands import carry_out_drain
    from batkol.store.settings import journal_home

    folder = journal_dir or journal_home()
    exit_with(carry_out_drain(database_url, folder, memory_dir, within=within, write_line=typer.echo))
