"""`batkol demo`: the double, the service and one Hebrew call, all in this process, over real sockets.

The service runs as it would for Twilio: signatures on, the flag in a file that it watches. In the middle of the call
the file is rewritten, as an SRE would, to turn streaming off, and later on again.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from rich.console import Console

from batkol.app.build import running
from batkol.demo import files
from batkol.demo.screen import Screen, legend, table, totals
from batkol.demo.settings import PUBLIC_URL, settings_of_demo
from batkol.demo.traces import draw
from batkol.errors import ConfigurationError
from batkol.gonogo.flagstore import LiveDirectory
from batkol.recognizers.google.channels import NO_PROXY
from batkol.simulators.client.conversation import Conversation, Internal, Observed, observe
from batkol.simulators.client.internal_api import following, status
from batkol.simulators.client.otlp_collector import Collector
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.twilio.caller import CallPlan
from batkol.store.dev_postgres.server import passing
from batkol.store.postgres import migrate
from batkol.store.store import NoStore, Store
from batkol.telemetry.logs import Logs
from batkol.tracing.tracing import Tracing

log = structlog.get_logger()

STREAMING: Final = "streaming"
SINGLE: Final = "single"
Script = tuple[tuple[str, tuple[str, ...]], ...]

SCRIPT: Final[Script] = (
    (STREAMING, ("שלום", "אני", "רוצה", "פגישה", "היום")),
    (STREAMING, ("לא", "בוקר", "ערב", "תודה")),
    (SINGLE, ("כן", "מספר", "טלפון", "כתובת")),
    (SINGLE, ("כמה", "חשבון", "תודה")),
    (STREAMING, ("איפה", "כתובת", "למה", "לא", "היום")),
    (STREAMING, ("מתי", "פגישה", "בוקר", "היום", "שלום")),
)
"""The caller's words, and the flag's value during each utterance."""
SHORT_SCRIPT: Final[Script] = (
    (STREAMING, ("שלום", "אני", "רוצה")),
    (SINGLE, ("כן", "תודה")),
    (STREAMING, ("לא", "היום")),
)
"""The same for a short call."""

_TAKEN_S: Final = 10.0  # for the service to see the rewritten file
_FINAL_S: Final = 15.0
_STORED_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that is up."""

    home: Path
    live: Path
    log: Path
    url: str
    internal: Internal
    auth_token: str
    double: str  # host:port
    tracing: Tracing
    store: Store | NoStore
    not_kept: str  # why nothing is stored, as a sentence


async def run(console: Console, *, stay: bool, traces: bool, script: Script = SCRIPT) -> int:
    """Run the demo; returns 0 if every word was right and every flip took effect. Cancelling it ends everything.

    With `traces` the spans go to a collector over OTLP/gRPC, and are drawn from what it got.
    """
    home = Path(tempfile.mkdtemp(prefix="batkol-demo-"))
    passed: bool | None = None
    try:
        console.print("Starting a double of Google's speech service, and Batkol itself …")
        async with _collector(wanted=traces) as collector, _stage(home, collector) as stage:
            with Screen(console) as screen:
                screen.note(f"Google double {stage.double} · service {stage.url} · log {stage.log}")
                observed = await _call(stage, screen, script)
            passed = _judge(console, observed, script)
            await _print_stored(console, stage)
            if collector is not None:
                await stage.tracing.flush()
                draw(console, collector)
            if stay:
                await _stay(console, stage)
    except (asyncio.CancelledError, BrokenPipeError, SystemExit):
        passed = True  # Ctrl-C, or rich's word for a pipe without a reader: there is nothing to look into
        raise
    finally:
        if passed:
            shutil.rmtree(home)
        else:
            console.print(f"The service's log file: {home / 'service.log'}", soft_wrap=True)
    return 0 if passed else 1


@asynccontextmanager
async def _collector(*, wanted: bool) -> AsyncIterator[Collector | None]:
    if not wanted:
        yield None
        return
    async with Collector() as collector:
        yield collector


@asynccontextmanager
async def _stage(home: Path, collector: Collector | None) -> AsyncIterator[Stage]:
    live = home / "live"
    files.write(live)
    log = home / "service.log"
    auth_token = secrets.token_hex(16)
    exporters = [_to(collector)] if collector else []
    with log.open("w", encoding="utf-8") as written:
        logs = Logs(level="INFO", json=True, stream=written)
        try:
            async with AsyncExitStack() as stack:
                address = await stack.enter_async_context(_double())
                kept, not_kept = await _kept(home, stack)
                settings = settings_of_demo(address, live, auth_token, kept)
                service = await stack.enter_async_context(running(settings, exporters, logs.writer))
                internal = Internal(f"http://127.0.0.1:{service.internal_port}")
                url = f"http://127.0.0.1:{service.port}"
                tracing, store = service.tracing, service.store
                yield Stage(home, live, log, url, internal, auth_token, address, tracing, store, not_kept)
                await service.drain_calls()
        finally:
            logs.close()


def _to(collector: Collector) -> OTLPSpanExporter:
    # The exporter's own type for options has texts alone; gRPC's has numbers.
    return OTLPSpanExporter(endpoint=collector.endpoint, insecure=True, channel_options=NO_PROXY)  # type: ignore[arg-type]


@asynccontextmanager
async def _double() -> AsyncIterator[str]:
    async with SpeechDouble() as double:
        yield f"127.0.0.1:{await double.start()}"


async def _kept(home: Path, stack: AsyncExitStack) -> tuple[dict[str, Any], str]:
    """Return the settings of the store, a real Postgres where one can run, and why none can."""
    try:
        server = await stack.enter_async_context(passing())
    except ConfigurationError as error:
        log.warning("[DEMO] calls are not stored", err=str(error))
        return {"store": "none"}, str(error)
    await migrate.upgrade(server.address)
    return {"store": "postgres", "database_url": server.url, "journal_dir": home / "journal"}, ""


async def _print_stored(console: Console, stage: Stage) -> None:
    store = stage.store
    if isinstance(store, NoStore):
        console.print(f"Calls are not stored: {stage.not_kept}", markup=False, soft_wrap=True)
        return
    await store.writer.flush(_STORED_S)
    counts = await store.counts()
    console.print("Stored in Postgres: " + " · ".join(_counted(*each) for each in counts.items()))


def _counted(name: str, count: int) -> str:
    return f"{count} {name.removesuffix('s') if count == 1 else name}"


async def _call(stage: Stage, screen: Screen, script: Script) -> Observed:
    store = LiveDirectory(stage.live, only_calls=None)

    async def talk(conversation: Conversation) -> None:
        now = STREAMING  # the flag's first value in the file
        for mode, words in script:
            if mode != now:
                await _flip(store, stage, screen, mode)
                now = mode
            await conversation.say(words)

    plan = CallPlan(base_url=stage.url, public_url=PUBLIC_URL, auth_token=stage.auth_token)
    return await observe(plan, stage.internal, talk, patience_s=_FINAL_S, on_event=screen.event)


async def _flip(store: LiveDirectory, stage: Stage, screen: Screen, mode: str) -> None:
    """Rewrite flags.json during the call, and wait until the service's status shows the change."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    revision = await store.set(streaming=mode == STREAMING)
    in_effect = False
    while not in_effect and loop.time() - begun < _TAKEN_S:
        in_effect = (await status(stage.internal.url)).live.flags_revision == revision
        await asyncio.sleep(0 if in_effect else 0.02)
    word = "on" if mode == STREAMING else "off"
    effect = f"in effect after {loop.time() - begun:.2f} s" if in_effect else "no effect"
    screen.note(f"\n⚑  flags.json rewritten during the call: streaming-stt {word}, {effect}")


def _judge(console: Console, observed: Observed, script: Script) -> bool:
    rows = observed.rows
    console.print(table(rows))
    console.print(legend(rows), style="dim", soft_wrap=True)
    console.print(totals(rows, observed.watch), soft_wrap=True)
    modes = [seen.mode for row in rows for seen in row.heard]
    wrong = []
    if len(rows) != len(script) or not all(row.perfect for row in rows):
        wrong.append("the service missed or misheard a word")
    if modes != [mode for mode, _ in script]:
        wrong.append("a call did not follow the flag")
    report = observed.report
    wrong += [f"Twilio would report a warning: {violation.code}, {violation.text}" for violation in report.violations]
    for sentence in wrong:
        console.print(f"✗ {sentence}", style="bold red", highlight=False, markup=False, soft_wrap=True)
    return not wrong


async def _stay(console: Console, stage: Stage) -> None:
    """Leave everything up, and show what others do with it, until Ctrl-C."""
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop_requested.set)
    commands = files.to_try(
        url=stage.url,
        public_url=PUBLIC_URL,
        internal=stage.internal.url,
        auth_token=stage.auth_token,
        live=stage.live,
        log=stage.log,
    )
    console.print(commands, highlight=False, markup=False, soft_wrap=True)
    showing = asyncio.create_task(_show(console, stage), name="demo.show")
    try:
        await stop_requested.wait()
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)


async def _show(console: Console, stage: Stage) -> None:
    with Screen(console) as screen:
        async with following(stage.internal.url) as events:
            async for event in events:
                screen.event(event)
