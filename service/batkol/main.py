"""The command line: `batkol serve | demo | call | gonogo | speech-double`.

Each command imports what it needs when it runs: the service never loads a simulator, and a simulator's command does
not wait for the service's libraries.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
import uvloop

from batkol.errors import BatkolError

if TYPE_CHECKING:
    from batkol.settings import Settings

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
    from batkol.telemetry.logs import Logs

    settings = _settings()
    logs = Logs(level=settings.log_level, json=_json(settings))
    try:
        uvloop.run(_serve(settings))
    except BatkolError as error:
        _refuse(error)
    finally:
        logs.close()


async def _serve(settings: Settings) -> None:
    from batkol.app import running

    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, told.set)  # a second one changes nothing: the drain goes on
    async with running(settings) as service:
        _spare_the_collector()
        await told.wait()
        await service.leave()


def _spare_the_collector() -> None:
    """What is there at start stays: looking through it again and again for garbage is time taken from the calls."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


Url = Annotated[str, typer.Argument(help="Where the service is reached: http(s)://host[:port][/prefix].")]
PublicUrl = Annotated[
    str | None,
    typer.Option("--public-url", envvar="PUBLIC_BASE_URL", help="Its PUBLIC_BASE_URL, where that is not URL."),
]
AuthToken = Annotated[
    str,
    typer.Option("--auth-token", envvar="TWILIO_AUTH_TOKEN", help="Signs as Twilio does; without it, nothing does."),
]
ApiToken = Annotated[str, typer.Option("--api-token", envvar="API_TOKEN", help="Bearer token of the internal API.")]
From = Annotated[str, typer.Option("--from", help="The caller's number.")]
To = Annotated[str, typer.Option("--to", help="The number called.")]
NoColor = Annotated[bool, typer.Option("--no-color", envvar="NO_COLOR", help="Print no colours.")]


@app.command()
def demo(
    *,
    stay: Annotated[bool, typer.Option("--stay", help="Keep everything up after the call, until Ctrl-C.")] = False,
    traces: Annotated[bool, typer.Option("--traces", help="Draw the trace of each utterance at the end.")] = False,
    no_color: NoColor = False,
) -> None:
    """Watch one Hebrew call: the Google double, the service and a caller, all in this process."""
    from batkol.demo import run

    _run(run(_console(no_color=no_color), stay=stay, traces=traces))


@app.command()
def gonogo(
    url: Url,
    *,
    internal: Annotated[str, typer.Option(help="Its internal API; by default port 8081 of the same host.")] = "",
    live_dir: Annotated[
        Path | None, typer.Option(help="The directory with its flags.json; by default the one it says it watches.")
    ] = None,
    all_calls: Annotated[
        bool, typer.Option("--all-calls", help="Flip the flag for every call, not for the rehearsal's own alone.")
    ] = False,
    log_file: Annotated[Path | None, typer.Option(help="Its log, to count the lines of the session in.")] = None,
    deadline: Annotated[float, typer.Option(min=1, help="Seconds to wait for any one thing.")] = 15,
    cadence_ms: Annotated[str, typer.Option(help="Least and most median time between partials.")] = "150,400",
    expect_words: Annotated[
        bool, typer.Option(help="Compare words; not with the real Google, which hears the voice as it may.")
    ] = True,
    public_url: PublicUrl = None,
    auth_token: AuthToken = "",
    api_token: ApiToken = "",
    caller: From = "+972500000001",
    called: To = "+972300000001",
    no_color: NoColor = False,
) -> None:
    """The rollout checklist: exit code 0 for GO, 1 for NO-GO, 2 where it could not be carried out."""
    from batkol.gonogo.checks import Limits
    from batkol.gonogo.command import Options, carry_out, internal_beside
    from batkol.gonogo.rehearsal import Target
    from batkol.simulators.conversation import Internal

    target = Target(
        url=url,
        internal=Internal(internal or internal_beside(url), api_token),
        public_url=public_url or None,
        auth_token=_newest(auth_token),
        caller=caller,
        called=called,
    )
    limits = Limits(cadence_ms=_pair(cadence_ms), expect_words=expect_words)
    asked = Options(
        target=target, live_dir=live_dir, all_calls=all_calls, limits=limits, deadline_s=deadline, log_file=log_file
    )
    _run(carry_out(asked, _console(no_color=no_color)))


@app.command()
def call(
    url: Url,
    *,
    wav: Annotated[Path | None, typer.Option(help="Say this: mono, 8000 Hz, 16-bit PCM or mu-law.")] = None,
    words: Annotated[str | None, typer.Option(help="Say these, of the voice's words; a comma makes a pause.")] = None,
    calls: Annotated[int, typer.Option(min=1, help="So many at once.")] = 1,
    abrupt: Annotated[bool, typer.Option("--abrupt", help="End by a lost connection.")] = False,
    internal: Annotated[str, typer.Option(help="Its internal API: shows partials and finals.")] = "",
    public_url: PublicUrl = None,
    auth_token: AuthToken = "",
    api_token: ApiToken = "",
    caller: From = "+972500000001",
    called: To = "+972300000001",
    no_color: NoColor = False,
) -> None:
    """Place simulated Twilio calls to a service; exit code 1 if one of them did not go as a call should."""
    from batkol.simulators.caller import CallPlan, Ending
    from batkol.simulators.calling import Calling, carry_out, sound
    from batkol.simulators.conversation import Internal

    try:
        audio, said = sound(wav, words)
    except BatkolError as error:
        _refuse(error)
    plan = CallPlan(
        base_url=url,
        public_url=public_url or None,
        auth_token=_newest(auth_token),
        audio=audio,
        tail_ms=1000,
        ending=Ending.ABRUPT if abrupt else Ending.HANG_UP,
        caller=caller,
        called=called,
    )
    watched = Internal(internal, api_token) if internal else None
    _run(carry_out(Calling(plan, calls, watched, said), _console(no_color=no_color)))


@app.command("speech-double")
def speech_double(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="gRPC; 0 takes a free one.")] = 9090,
    control_port: Annotated[int, typer.Option(help="HTTP: faults and statistics; 0 takes a free one.")] = 9091,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A limit or pace, such as stream_limit_s=30."),
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="JSON", help='A fault, such as \'{"kind": "stall", "lasts_s": 5}\'.')
    ] = None,
) -> None:
    """Run the strict double of Google Cloud Speech, which hears the synthetic voice."""
    from batkol.simulators.doubling import Doubling, carry_out, faults_from, settings_from

    try:
        doubling = Doubling(settings_from(settings or ()), host, port, control_port, faults_from(fault or ()))
    except BatkolError as error:
        _refuse(error)
    _run(carry_out(doubling, _console(no_color=True)))


def _run(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a command to its exit code; Ctrl-C and SIGTERM cancel it, so that it puts back what it changed."""
    try:
        code = uvloop.run(_until_told(work))
    except BatkolError as error:
        _refuse(error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(130) from None
    raise typer.Exit(code)


async def _until_told(work: Coroutine[Any, Any, int]) -> int:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


def _console(*, no_color: bool) -> Any:
    from rich.console import Console

    width = None if sys.stdout.isatty() else 140  # a pipe has no width, and eighty columns break the tables
    return Console(no_color=no_color, highlight=False, width=width)


def _newest(auth_token: str) -> str | None:
    """During a rotation there are several, comma-separated; any of them signs."""
    return auth_token.partition(",")[0].strip() or None


def _pair(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter("--cadence-ms wants two numbers, such as 150,400") from None
    return low, high


def _settings() -> Settings:
    from batkol.settings import read

    try:
        return read()
    except BatkolError as error:
        _refuse(error)


def _refuse(error: BatkolError) -> NoReturn:
    typer.echo(f"batkol: {error}", err=True)
    raise typer.Exit(2)


def _json(settings: Settings) -> bool:
    from batkol.settings import LogFormat

    if settings.log_format is LogFormat.AUTO:
        return not sys.stderr.isatty()
    return settings.log_format is LogFormat.JSON
