"""`batkol sinks`: the sinks that events are handed on to, from the command line."""

# ruff: noqa: PLC0415 - each command imports what it needs when it runs

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import typer

from batkol.commands.env_file import EnvFileOption
from batkol.commands.shared import exit_with
from batkol.commands.store import DatabaseUrl

sinks: Final = typer.Typer(
    help="Show the sinks that events are handed on to, and send events again.", no_args_is_help=True
)

Agent = Annotated[str, typer.Option(help="Only sinks of this agent (VOICE_AGENT).")]


def _moment(option: str, value: str) -> datetime | None:
    from batkol.sinks.commands import moment

    try:
        return moment(value) if value else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


@sinks.command("list")
def list_sinks(
    *,
    agent: Agent = "",
    database_url: DatabaseUrl = "",
    env_file: EnvFileOption = None,  # noqa: ARG001  its callback has read it
) -> None:
    """List each sink: the pod that delivers, the events that wait, and the dead letters."""
    from batkol.sinks.commands import carry_out_list

    exit_with(carry_out_list(database_url, agent=agent, write_line=typer.echo))


@sinks.command()
def replay(
    *,
    sink: Annotated[str, typer.Option(help="Only events of this sink.")] = "",
    agent: Agent = "",
    event_id: Annotated[
        list[str] | None, typer.Option("--id", help="Only events with this id; may be repeated.")
    ] = None,
    begin: Annotated[
        str, typer.Option("--from", help="All events that happened at this time or later: 2026-01-31T12:00:00Z.")
    ] = "",
    end: Annotated[str, typer.Option("--to", help="Events before this time.")] = "",
    database_url: DatabaseUrl = "",
    env_file: EnvFileOption = None,  # noqa: ARG001  its callback has read it
) -> None:
    """Send events again: all dead letters, or those of a sink, or events by their ids or by their time."""
    from batkol.sinks.commands import ReplayRequest, carry_out_replay

    wanted = ReplayRequest(
        agent=agent, sink=sink, ids=tuple(event_id or ()), begin=_moment("--from", begin), end=_moment("--to", end)
    )
    exit_with(carry_out_replay(database_url, wanted, write_line=typer.echo))
