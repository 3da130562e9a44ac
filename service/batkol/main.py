"""The command line: `batkol serve | demo | call | gonogo | speech-double`."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import NoReturn

import typer
import uvloop

from batkol.app import running
from batkol.errors import BatkolError
from batkol.settings import LogFormat, Settings, read
from batkol.telemetry.logs import Logs

app = typer.Typer(
    help="Phone calls become text: a media and speech-to-text service for Twilio calls, Hebrew first.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def batkol() -> None:
    """Phone calls become text: a media and speech-to-text service for Twilio calls, Hebrew first."""


@app.command()
def serve() -> None:
    """Run the service. Everything is set by environment variables; see docs/configuration.md."""
    settings = _settings()
    logs = Logs(level=settings.log_level, json=_json(settings))
    try:
        uvloop.run(_serve(settings))
    except BatkolError as error:
        _refuse(error)
    finally:
        logs.close()


async def _serve(settings: Settings) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, told.set)  # a second one changes nothing: the drain goes on
    async with running(settings) as service:
        await told.wait()
        await service.leave()


def _settings() -> Settings:
    try:
        return read()
    except BatkolError as error:
        _refuse(error)


def _refuse(error: BatkolError) -> NoReturn:
    typer.echo(f"batkol: {error}", err=True)
    raise typer.Exit(2)


def _json(settings: Settings) -> bool:
    if settings.log_format is LogFormat.AUTO:
        return not sys.stderr.isatty()
    return settings.log_format is LogFormat.JSON
