"""The command line: `batkol serve`, `demo`, `chat`, `compare`, `call`, `gonogo`, doubles, and those of the store.

Each command imports what it needs when it runs: the service never loads a simulator, and a simulator's command does
not wait for the service's libraries.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
import uvloop

from batkol import __version__
from batkol.chat.command import chat
from batkol.commands.call import call
from batkol.commands.correct import correct
from batkol.commands.doubles import llm_double, soniox_double, speech_double, twilio_double, voice_double
from batkol.commands.env_file import FILE, NO_FILE, EnvFileNews, EnvFileOption
from batkol.commands.gonogo import gonogo
from batkol.commands.journal import journal
from batkol.commands.shared import NoColor, console, exit_with, refuse
from batkol.commands.sinks import sinks
from batkol.commands.store import erase, migrate
from batkol.compare.command import compare
from batkol.environment import remove_reserved, strip_variables
from batkol.errors import BatkolError, ConfigurationError
from batkol_otel.environment import mend

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batkol.settings import Settings
    from batkol.telemetry.logs import LogWriter

RESERVED: Final = "batkol.reserved"
DOUBLES: Final = ("speech-double", "soniox-double", "llm-double", "voice-double", "twilio-double")
FOR_PEOPLE: Final = frozenset({"demo", "chat", "compare", "call", "gonogo", *DOUBLES})
"""Commands whose output a person reads: lines of gRPC's own C library have no place in it."""

app = typer.Typer(
    help="Transcribe phone calls: a media and speech-to-text service for Twilio calls, Hebrew first.",
    epilog="First steps: `batkol demo` needs no account; docs/quickstart.md leads to a real call.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"batkol {__version__}")
        raise typer.Exit


@app.callback()
def batkol(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001  its callback has printed it
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Phone calls become text: a media and speech-to-text service for Twilio calls, Hebrew first."""
    strip_variables()
    context.meta[RESERVED] = remove_reserved()
    if context.invoked_subcommand in FOR_PEOPLE:
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC reads it when it is imported
    context.obj = mend()  # before anything of OpenTelemetry's is imported, which FastAPI and the store do as well


@app.command()
def serve(context: typer.Context, env_file: EnvFileOption = None) -> None:  # noqa: ARG001  its callback has read it
    """Run the service. Everything is set by environment variables; see docs/configuration.md."""
    # The kernel keeps from a container's first process what it has no handler for: SIGTERM while it loads what follows.
    signal.signal(signal.SIGTERM, _end)

    from batkol.settings import LogPartials
    from batkol.telemetry.logs import Logs
    from batkol.telemetry.stderr import Stderr

    stderr = Stderr()
    news: EnvFileNews | None = context.meta.get(FILE)
    settings = _settings(news)
    if settings.log_partials is LogPartials.AUTO and sys.stderr.isatty():
        settings = settings.model_copy(update={"log_partials": LogPartials.TRUE})
    logs = Logs(level=settings.log_level, json=_json(settings), stream=stderr.out, lost_elsewhere=lambda: stderr.lost)
    _log_file(news)
    _log_reserved(context.meta[RESERVED])
    try:
        uvloop.run(_serve(settings, logs.writer, context.obj))
    except BatkolError as error:
        refuse(error)
    finally:
        logs.close()
    if settings.plugins:
        abandon_threads()


def _end(*_: object) -> None:
    sys.exit(0)


async def _serve(settings: Settings, logs: LogWriter, otel_ignored: Mapping[str, str]) -> None:
    import structlog

    from batkol.app.build import running
    from batkol.supervision.garbage import freeze_startup_objects

    ended, starting = asyncio.Event(), True
    this = asyncio.current_task()

    def stop() -> None:
        """Begin the drain; a second signal changes nothing. A start, which may hang, is given up: there is no call."""
        if starting and this is not None and not ended.is_set():
            this.cancel()
        ended.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop)
    try:
        async with running(settings, logs=logs, otel_ignored=otel_ignored) as service:
            starting = False
            freeze_startup_objects()
            await ended.wait()
            await service.drain_calls()
            await service.answer_peers()
    except asyncio.CancelledError:
        if not (starting and ended.is_set()):
            raise
        structlog.get_logger().info("[CFG] start abandoned: the process received a signal to end")


def abandon_threads() -> None:
    """End the process at once if a thread of a plug-in is left: the interpreter waits for those of thread pools."""
    others = (each for each in threading.enumerate() if each is not threading.main_thread())
    if any(each.name.startswith("plugin.") or not each.daemon for each in others):
        os._exit(0)


@app.command()
def demo(
    *,
    stay: Annotated[
        bool, typer.Option("--stay", help="Keep the service and the double running after the call, until Ctrl-C.")
    ] = False,
    traces: Annotated[
        bool, typer.Option("--traces", help="Draw the trace of each utterance at the end of the call.")
    ] = False,
    short: Annotated[bool, typer.Option("--short", help="Have a short conversation.")] = False,
    listen: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.wav",
            help="Record both sides in a stereo WAV file: left the caller, right what the caller heard.",
        ),
    ] = None,
    no_color: NoColor = False,
) -> None:
    """Watch one Hebrew conversation: a caller who interrupts, the service, and doubles of Google and a language model.

    All of it runs in this process. Exit code 1: a word was misheard, a reply is missing, or an interruption went wrong.
    """
    from batkol.demo.run import DemoOptions, run
    from batkol.demo.script import SCRIPT, SHORT_SCRIPT

    options = DemoOptions(stay=stay, traces=traces, listen=listen, script=SHORT_SCRIPT if short else SCRIPT)
    exit_with(run(console(no_color=no_color, pipe_columns=80), options))


app.command()(chat)
app.command()(compare)
app.command()(gonogo)
app.command()(migrate)
app.command()(erase)
app.command()(correct)
app.add_typer(journal, name="journal")
app.add_typer(sinks, name="sinks")
app.command()(call)
app.command("speech-double")(speech_double)
app.command("soniox-double")(soniox_double)
app.command("llm-double")(llm_double)
app.command("voice-double")(voice_double)
app.command("twilio-double")(twilio_double)


def _settings(news: EnvFileNews | None) -> Settings:
    from batkol.settings import read

    try:
        return read()
    except BatkolError as error:
        refuse(ConfigurationError("\n  ".join((str(error), *_hints(news)))))


def _hints(news: EnvFileNews | None) -> Sequence[str]:
    """Return what a person at a terminal may have overlooked. A pod has no file, and needs none."""
    if news is not None:
        return news.warnings
    return (NO_FILE,) if sys.stderr.isatty() else ()


def _log_file(news: EnvFileNews | None) -> None:
    import structlog

    if news is None:
        return
    log = structlog.get_logger()
    if news.names is not None:
        log.info("[CFG] variables read from a file", file=str(news.path), names=news.names, overridden=news.overridden)
    for warning in news.warnings:
        log.warning(f"[CFG] {warning}")


def _log_reserved(names: Sequence[str]) -> None:
    import structlog

    if names:
        structlog.get_logger().warning(
            "[CFG] variables ignored: only the VoiceAgent sets them; remove them from the objects in spec.pod.envFrom",
            names=names,
        )


def _json(settings: Settings) -> bool:
    from batkol.settings import LogFormat

    if settings.log_format is LogFormat.AUTO:
        return not sys.stderr.isatty()
    return settings.log_format is LogFormat.JSON
