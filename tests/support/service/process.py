"""`batkol serve` as a process of its own, for what is done to processes: signals, and a loop that stands still."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from batkol.client import ClientError, FeedEndedError
from batkol.events.events import AnyEvent, CallEnded, FinalText, RevisedText, UtteranceStarted
from batkol.simulators.client.watching import watching
from batkol.simulators.twilio.caller import CallPlan
from support.process import forked
from support.process.forked import ForkedProcess
from support.service.stack import PUBLIC, TOKEN, plain, write_flag
from support.time.waiting import eventually

SERVE: Final = "from batkol.main import app; app(['serve', '--env-file', '/dev/null'])"
_STALLING: Final = (
    "import signal, time; signal.signal(signal.SIGUSR1, lambda *_: time.sleep({stall_s})); " + SERVE
)  # a signal's handler runs on the loop's own thread, wherever it is


_CHATTY: Final = """
import signal, threading, structlog
told = threading.Event()
signal.signal(signal.SIGUSR2, lambda *_: told.set())
def chat():
    told.wait()
    log = structlog.get_logger()
    for number in range(20_000): log.info("x" * 500, number=number)
threading.Thread(target=chat, daemon=True).start()
"""
_FEW: Final = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({descriptors}, {descriptors})); "


@dataclass
class Served:
    """A running process, its ports, and what a subscriber of its own hears."""

    process: asyncio.subprocess.Process | ForkedProcess
    log: Path
    port: int = 0
    internal_port: int = 0
    events: list[AnyEvent] = field(default_factory=list)
    speed: float = 1.0
    """Of its callers."""
    subscription_ended: bool = False
    """Whether the service ended the subscription in good order, and did not just go away."""

    @property
    def internal(self) -> str:
        return f"http://127.0.0.1:{self.internal_port}"

    def plan(self, audio: bytes, **fields: Any) -> CallPlan:
        own: dict[str, Any] = {"public_url": PUBLIC, "auth_token": TOKEN, "speed": self.speed}
        return CallPlan(base_url=f"http://127.0.0.1:{self.port}", audio=audio, **{**own, **fields})

    def tell(self, name: signal.Signals) -> None:
        self.process.send_signal(name)

    async def exited(self, within: float = 40.0) -> int:
        async with asyncio.timeout(within):
            return await self.process.wait()

    async def until(self, kind: type[Any], count: int = 1) -> None:
        """Wait until so many events of that kind were heard."""
        async with asyncio.timeout(45):
            while sum(isinstance(event, kind) for event in self.events) < count:
                await asyncio.sleep(0.01)

    async def ready(self) -> None:
        """Wait until it takes calls: it listens before Google has answered its first look."""

        async def is_ready() -> bool:
            return (await http.get("/readyz")).status_code == 200

        async with httpx.AsyncClient(base_url=self.internal, trust_env=False, timeout=30) as http:
            await eventually(is_ready)

    async def speaking(self) -> None:
        await self.until(UtteranceStarted)

    @property
    def texts(self) -> list[str]:
        """The finals as revised, without punctuation, empty ones left out."""
        texts = {event.index: event.text for event in self.events if isinstance(event, FinalText)}
        texts |= {event.index: event.text for event in self.events if isinstance(event, RevisedText)}
        return [plain(text) for _, text in sorted(texts.items()) if text]

    @property
    def ended(self) -> CallEnded:
        (ended,) = (event for event in self.events if isinstance(event, CallEnded))
        return ended

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log, as far as its lines are written to their ends."""
        return [json.loads(line) for line in self.log.read_text().split("\n")[:-1]]

    def said(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"].startswith(event)]

    @property
    def faults(self) -> list[dict[str, Any]]:
        """Lines with a traceback, or of a level that wakes somebody."""
        return [line for line in self.lines if "exception" in line or line["level"] in {"error", "critical"}]


@asynccontextmanager
async def serving(
    folder: Path,
    double_port: int,
    *,
    stall_s: float = 0.0,
    subscribe: bool = True,
    descriptors: int = 0,
    unread: bool = False,
    speed: float = 1.0,
    path: str = "",
    first: str = "",
    **environment: str,
) -> AsyncIterator[Served]:
    """Run it; with `stall_s`, SIGUSR1 makes its loop stand still for so long. `descriptors`: `ulimit -n`.

    Where no variable is read at import, it is forked from a process that has imported it (`support.process.forked`).
    `path`: a folder from which it may import. `first`: Python code that it runs before the service.
    `unread`: its stderr is a pipe that nobody reads any more once it listens, and SIGUSR2 makes it log 20,000 lines.
    """
    live = folder / "live"
    live.mkdir(exist_ok=True)
    write_flag(live, on=True)
    log = folder / "serve.log"
    code = first + (_STALLING.format(stall_s=stall_s) if stall_s else SERVE)
    if descriptors:
        code = _FEW.format(descriptors=descriptors) + code
    if unread:
        code = _CHATTY + code
    if path:
        code = f"import sys; sys.path.insert(0, {path!r}); {code}"
    reading, out = os.pipe() if unread else (-1, os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
    process = await _run(code, out, {**os.environ, **_settings(live, double_port), **environment}, environment)
    os.close(out)
    served = Served(process, log, speed=speed)
    following_task: asyncio.Task[None] | None = None
    try:
        if unread:
            await asyncio.to_thread(_copy_until_it_listens, reading, log)
        await _listening(served)
        if subscribe:
            listening = asyncio.Event()
            following_task = asyncio.create_task(_follow(served, listening))
            await asyncio.wait_for(listening.wait(), 20)
        yield served
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if unread:
            os.close(reading)
        if following_task is not None:
            await asyncio.wait_for(following_task, 10)


async def _run(
    code: str, err: int, environment: dict[str, str], given: Mapping[str, str]
) -> asyncio.subprocess.Process | ForkedProcess:
    if forked.can_be_forked(given):
        return await forked.start(code, environment, err)
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, stderr=err, env=environment)


def _copy_until_it_listens(reading: int, log: Path) -> None:
    """Copy the lines of the log; what comes after these stays in the pipe."""
    got = b""
    while b"[CFG] listening" not in got or not got.endswith(b"\n"):
        part = os.read(reading, 4096)
        assert part, got.decode()
        got += part
    log.write_bytes(b"".join(line for line in got.splitlines(keepends=True) if line.startswith(b"{")))


async def _listening(served: Served) -> None:
    async with asyncio.timeout(60):
        while not (said := _whole_lines(served, "[CFG] listening")):
            assert served.process.returncode is None, served.log.read_text()
            await asyncio.sleep(0.05)
    served.port, served.internal_port = said[0]["port"], said[0]["internal_port"]


def _whole_lines(served: Served, event: str) -> Sequence[dict[str, Any]]:
    lines = served.log.read_text().split("\n")[:-1]
    return [line for line in map(json.loads, filter(None, lines)) if line["event"] == event]


async def _follow(served: Served, listening: asyncio.Event) -> None:
    with suppress(ClientError):
        async with watching(served.internal) as events:
            listening.set()
            try:
                async for event in events:
                    served.events.append(event)
            except FeedEndedError:
                served.subscription_ended = True


def _settings(live: Path, double_port: int) -> dict[str, str]:
    return {
        "GCP_STT_ENDPOINT": f"127.0.0.1:{double_port}",
        "GCP_STT_INSECURE": "true",
        "TWILIO_AUTH_TOKEN": TOKEN,
        "PUBLIC_BASE_URL": PUBLIC,
        "LIVE_SOURCE": f"file:{live}",
        "HOST": "127.0.0.1",
        "PORT": "0",
        "INTERNAL_PORT": "0",
        "LOG_FORMAT": "json",
        "DRAIN_TIMEOUT_S": "30",
        "STORE": "none",
    }
