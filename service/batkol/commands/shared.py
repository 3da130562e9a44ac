"""Options and exit codes that the commands share."""

from __future__ import annotations

import asyncio
import io
import math
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final, NoReturn

import typer
import uvloop

from batkol.commands.unread_pipe import guard_stdout
from batkol.environment import check_token, stripped
from batkol.errors import BatkolError
from batkol.interrupt import ending
from batkol.urls import base_url

_FEWEST_COLUMNS: Final = 20


def bounded(least: float, most: float = math.inf) -> Callable[[float], float]:
    """Return the check of a number, which `nan` and `inf` do not pass. A range would widen a column of `--help`."""

    def check(value: float) -> float:
        if not (math.isfinite(value) and least <= value <= most):
            bound = f"from {least:g} on" if most == math.inf else f"from {least:g} to {most:g}"
            raise typer.BadParameter(f"it must be a number {bound}")
        return value

    return check


def _token(value: str) -> str:
    return _checked(value, check_token)


def _auth_tokens(value: str) -> str:
    for token in value.split(","):
        _checked(stripped(token), check_token)
    return value


def _base(value: str | None) -> str | None:
    return _checked(value, base_url) if value else value


def _checked(value: str, check: Callable[[str], object]) -> str:
    try:
        check(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return value


Url = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        callback=_base,
        help="The service's public URL, without /twilio/voice: https://host, or http://127.0.0.1:8080 on this machine.",
    ),
]
PublicUrl = Annotated[
    str | None,
    typer.Option(
        "--public-url",
        envvar="PUBLIC_BASE_URL",
        callback=_base,
        help="The service's PUBLIC_BASE_URL, if it differs from URL.",
    ),
]
AuthToken = Annotated[
    str,
    typer.Option(
        "--auth-token",
        envvar="TWILIO_AUTH_TOKEN",
        callback=_auth_tokens,
        help="The Twilio auth token that signs the requests; without a token, the requests have no signature.",
    ),
]
ApiToken = Annotated[
    str,
    typer.Option("--api-token", envvar="API_TOKEN", callback=_token, help="The bearer token of the internal API."),
]
From = Annotated[str, typer.Option("--from", help="The caller's phone number.")]
To = Annotated[str, typer.Option("--to", help="The phone number that the caller dials.")]
NoColor = Annotated[bool, typer.Option("--no-color", envvar="NO_COLOR", help="Print without colours.")]


def exit_with(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a command to its exit code; Ctrl-C, SIGTERM and a lost terminal cancel it: it puts back what it changed."""
    try:
        code = uvloop.run(_until_signal(work))
    except BatkolError as error:
        refuse(error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(130) from None
    raise typer.Exit(code)


async def _until_signal(work: Coroutine[Any, Any, int]) -> int:
    task = asyncio.current_task()
    if task is not None:
        for number in ending():  # a second one does not break off what is being put back
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await work


def console(*, no_color: bool, stderr: bool = False, pipe_columns: int = 140) -> Any:
    """Return what prints to stdout. A reader that left, or stopped reading when a signal comes, ends the command.

    A pipe or a file has `COLUMNS` columns, or without that variable `pipe_columns`. With `stderr` it prints to stderr.
    """
    from rich.console import Console  # noqa: PLC0415 - not for `serve`

    sizes = ("COLUMNS", "LINES")  # which rich reads as numbers if `str.isdigit` says so, as of a superscript
    readable = {name: value for name, value in os.environ.items() if name not in sizes or value.isdecimal()}
    if stderr:
        return Console(no_color=no_color, highlight=False, stderr=True, _environ=readable)
    guard_stdout()
    if isinstance(sys.stdout, io.TextIOWrapper):  # in a locale without Hebrew, an escape is better than a traceback
        sys.stdout.reconfigure(errors="backslashreplace")
    width = None if sys.stdout.isatty() else _columns_asked() or pipe_columns
    return Console(no_color=no_color, highlight=False, width=width, _environ=readable)


def _columns_asked() -> int | None:
    """Return the width that the environment asks for; None for no number, or one too small for words."""
    asked = os.environ.get("COLUMNS", "")
    return int(asked) if asked.isdecimal() and int(asked) >= _FEWEST_COLUMNS else None


def newest(auth_token: str) -> str | None:
    """During a rotation there are several, comma-separated; any of them signs."""
    return auth_token.partition(",")[0].strip() or None


def refuse(error: BatkolError) -> NoReturn:
    typer.echo(f"batkol: {error}", err=True)
    raise typer.Exit(2)
