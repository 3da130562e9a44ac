"""The command line: `batkol-operator run | crd`."""

# ruff: noqa: PLC0415 -- each command imports what it needs: `crd` needs no cluster

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

import typer

from batkol_operator.environment import tidy
from batkol_operator.errors import OperatorError
from batkol_otel.environment import mend

app = typer.Typer(
    help="The operator of Batkol: creates and maintains the objects of each VoiceAgent.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def operator() -> None:
    """The operator of Batkol: creates and maintains the objects of each VoiceAgent."""
    tidy()


@app.command()
def run() -> None:
    """Run the operator. Environment variables configure it; see docs/kubernetes.md."""
    # The kernel keeps from a container's first process what it has no handler for: SIGTERM while it loads what follows.
    signal.signal(signal.SIGTERM, _end)
    ignored = mend()  # before anything of OpenTelemetry's is imported
    from batkol_operator.bootstrap import Overrides, run_operator
    from batkol_operator.logs import OperatorLogs
    from batkol_operator.settings import OperatorSettings

    try:
        settings = OperatorSettings.read()
        logs = OperatorLogs(level=settings.log_level, format_=settings.log_format)
        if settings.pod_name:
            os.environ.setdefault("POD_ID", settings.pod_name)  # kopf's name among its peers
        try:
            asyncio.run(_until_signal(run_operator(settings, Overrides(otel_ignored=ignored))))
        finally:
            logs.close()
    except OperatorError as error:
        _refuse(error)


@app.command()
def crd() -> None:
    """Print the CustomResourceDefinition, as YAML."""
    import yaml  # type: ignore[import-untyped]  # has no types

    from batkol_operator.model.crd import crd as definition

    yaml.safe_dump(definition(), sys.stdout, sort_keys=False, allow_unicode=True, width=120)


def _end(*_: object) -> None:
    sys.exit(0)


async def _until_signal(work: Coroutine[Any, Any, None]) -> None:
    """Run the operator. Until kopf handles signals itself, SIGTERM and SIGINT abandon the start, which may hang."""
    import structlog

    this, told = asyncio.current_task(), asyncio.Event()

    def abandon() -> None:
        if this is not None and not told.is_set():
            told.set()
            this.cancel()

    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, abandon)
    try:
        await work
    except asyncio.CancelledError:
        if not told.is_set():
            raise
        structlog.get_logger().info("[OPERATOR] start abandoned: the process received a signal to end")


def _refuse(error: OperatorError) -> NoReturn:
    typer.echo(str(error), err=True)
    raise typer.Exit(2)
