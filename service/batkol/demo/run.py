"""`batkol demo`: the doubles, the service and one Hebrew conversation, all in this process, over real sockets.

The service runs as it would for Twilio: signatures on, the flag in a file that it watches. In the middle of the call
the file is rewritten, as an SRE would, to turn streaming off, and later on again.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from batkol.demo import files, recording
from batkol.demo.screen import Screen, legend, print_wrapped, table, totals
from batkol.demo.script import SCRIPT, STREAMING, DemoScript
from batkol.demo.settings import PUBLIC_URL
from batkol.demo.stage import Stage, stage
from batkol.demo.talk import Talk, TurnSeen
from batkol.demo.traces import draw
from batkol.demo.verdict import faults, totals_of_replies
from batkol.events.events import ReplyEnded
from batkol.gonogo.flagstore import LiveDirectory
from batkol.paths import in_full
from batkol.quantity import quantity
from batkol.simulators.client.conversation import Observed, observe
from batkol.simulators.client.otlp_collector import Collector
from batkol.simulators.client.watching import watching
from batkol.simulators.twilio.caller import CallPlan
from batkol.store.store import NoStore

_TAKEN_S: Final = 10.0  # for the service to see the rewritten file
_PATIENCE_S: Final = 15.0  # for each final and each step of a reply
_STORED_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of the command line."""

    stay: bool = False
    traces: bool = False
    listen: Path | None = None  # the file for a recording of both sides
    script: DemoScript = SCRIPT


async def run(console: Console, options: DemoOptions) -> int:
    """Run the demo; returns 0 if everything went as the script says. Cancelling it ends everything.

    With `traces` the spans go to a collector over OTLP/gRPC, and are drawn from what it got. Raises
    `ConfigurationError` for a recording that cannot be written.
    """
    if options.listen is not None:
        recording.check_writable(options.listen)
    home = Path(tempfile.mkdtemp(prefix="batkol-demo-"))
    passed: bool | None = None
    try:
        print_wrapped(console, "Starting Batkol, and doubles of Google's speech and of a language model …")
        async with _collector(wanted=options.traces) as collector, stage(home, options.script, collector) as up:
            passed = await _show_call(console, up, options)
            if collector is not None:
                await up.tracing.flush()
                draw(console, collector)
            if options.stay:
                await _stay(console, up)
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


async def _show_call(console: Console, up: Stage, options: DemoOptions) -> bool:
    """Place the call and print what came of it; return whether all of it was right."""
    with Screen(console) as screen:
        doubles = up.doubles
        screen.note(f"Google's double {doubles.speech} · the model's double {doubles.model}")
        screen.note(f"Batkol {up.url} · its log {up.log}")
        if up.no_espeak:
            screen.note(f"The agent speaks with the built-in voice, which hums the words that it lacks. {up.no_espeak}")
        observed, seen = await _call(up, screen, options.script)
    passed = _judge(console, observed, seen, options.script)
    if options.listen is not None:
        seconds = recording.write(options.listen, observed.report, observed.spoken)
        said = f"Recorded {seconds:.1f} s in {options.listen}: left the caller, right what the caller heard"
        print_wrapped(console, said)
    await _print_stored(console, up)
    return passed


async def _print_stored(console: Console, up: Stage) -> None:
    store = up.store
    if isinstance(store, NoStore):
        print_wrapped(console, f"Calls are not stored: {up.not_kept}")
        return
    await store.writer.flush(_STORED_S)
    counts = await store.counts()
    shown = (quantity(count, name.removesuffix("s"), name) for name, count in counts.items())
    print_wrapped(console, "Stored in Postgres: " + " · ".join(shown))


async def _call(up: Stage, screen: Screen, script: DemoScript) -> tuple[Observed, Sequence[TurnSeen]]:
    store = LiveDirectory(up.live, only_calls=None, keeps=False)

    async def flip(mode: str) -> None:
        await _flip(store, up, screen, mode)

    talk = Talk(script, screen, up.hearing, flip)
    plan = CallPlan(base_url=up.url, public_url=PUBLIC_URL, auth_token=up.auth_token)
    observed = await observe(plan, up.internal, talk.carry_out, patience_s=_PATIENCE_S, on_event=talk.observe)
    return observed, talk.seen


async def _flip(store: LiveDirectory, up: Stage, screen: Screen, mode: str) -> None:
    """Rewrite flags.json during the call, and wait until the service's status shows the change."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    revision = await store.set(streaming=mode == STREAMING)
    in_effect = False
    while not in_effect and loop.time() - begun < _TAKEN_S:
        in_effect = (await up.internal.status()).live.flags_revision == revision
        await asyncio.sleep(0 if in_effect else 0.02)
    word = "on" if mode == STREAMING else "off"
    effect = f"in effect after {loop.time() - begun:.2f} s" if in_effect else "no effect"
    screen.note(f"\n⚑  flags.json rewritten: streaming-stt {word}, {effect}")


def _judge(console: Console, observed: Observed, seen: Sequence[TurnSeen], script: DemoScript) -> bool:
    rows = observed.rows
    console.print(table(rows, console.width))
    print_wrapped(console, legend(rows), "dim")
    print_wrapped(console, totals(rows, observed.watch))
    print_wrapped(console, totals_of_replies(seen, observed))
    wrong = list(faults(seen, observed, script))
    for sentence in wrong:
        print_wrapped(console, f"✗ {sentence}", "bold red")
    return not wrong


async def _stay(console: Console, up: Stage) -> None:
    """Leave everything up, and show what others do with it, until Ctrl-C."""
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop_requested.set)
    commands = files.to_try(
        url=up.url,
        public_url=PUBLIC_URL,
        internal=up.internal.url,
        auth_token=up.auth_token,
        model=up.doubles.model,
        live=up.live,
        log=up.log,
        batkol=files.program(Path(sys.executable).with_name("batkol"), in_full(Path())),
        stored=not isinstance(up.store, NoStore),
    )
    console.print(commands, highlight=False, markup=False, soft_wrap=True)
    showing = asyncio.create_task(_show(console, up), name="demo.show")
    try:
        await stop_requested.wait()
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)


async def _show(console: Console, up: Stage) -> None:
    with Screen(console) as screen:
        async with watching(up.internal.url) as events:
            async for event in events:
                screen.event(event)
                if isinstance(event, ReplyEnded):
                    screen.reply(event, event.heard)
