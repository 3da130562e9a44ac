"""`batkol correct`."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from batkol.commands.env_file import EnvFileOption
from batkol.commands.shared import exit_with
from batkol.commands.store import DatabaseUrl


def correct(
    call_sid: Annotated[str, typer.Argument(metavar="SID", help="The SID of a call of the store: CA….")],
    number: Annotated[
        int | None, typer.Argument(metavar="NUMBER", help="An utterance: its number in the list of the call.")
    ] = None,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help='The words that were said; "" where nothing was said.')
    ] = None,
    *,
    as_heard: Annotated[bool, typer.Option("--as-heard", help="Write that the utterance was heard right.")] = False,
    rest_as_heard: Annotated[
        bool, typer.Option("--rest-as-heard", help="Write that all other utterances of the call were heard right.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the correction of the utterance.")] = False,
    by: Annotated[
        str, typer.Option(metavar="NAME", help="The name to keep with the correction; by default this user's.")
    ] = "",
    database_url: DatabaseUrl = "",
    env_file: EnvFileOption = None,  # noqa: ARG001  its callback has read it
) -> None:
    """List the utterances of a stored call, or write what was said in one: `batkol compare` measures with that."""
    from batkol.store.correcting import CorrectOptions, carry_out_correction

    options = CorrectOptions(
        call_sid=call_sid,
        number=number,
        text=text,
        as_heard=as_heard,
        rest_as_heard=rest_as_heard,
        remove=remove,
        by=by or _user(),
    )
    exit_with(carry_out_correction(database_url, options, write_line=typer.echo))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return "batkol correct"
