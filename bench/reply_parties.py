"""The service that replies and its doubles, each in a process of its own, and the events that the service publishes."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import httpx
import msgspec

from batkol.client import ClientError
from batkol.events.events import Event
from batkol.simulators.client.watching import watching
from batkol.simulators.llm.records import RequestRecord
from cases import HERE
from parties import Party, free_port

SHORT_ANSWER: Final = "תודה רופא מחר פגישה."  # none of its words is one of the filler's
STANDARD: Final = "fixed:350"
_LIVE: Final = HERE.parent / "config" / "live"
_BATKOL: Final = (sys.executable, "-m", "batkol")

E = TypeVar("E", bound=Event)


class Program(Party):
    """A program that listens on one port."""

    def __init__(self, folder: Path, port: int, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
        super().__init__(f"{command[len(_BATKOL)]}-{port}", folder)
        self._port = port
        self._command = command
        self._environment = environment

    async def start(self) -> None:
        self.spawn([*self._command], self._environment)
        await self.listening(self._port)

    @property
    def last_lines(self) -> str:
        return self._log.read_text()[-40000:]


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """Differences from the standard profile: an LLM of fixed 350 ms, a voice of 150 ms, Google's published times."""

    llm: str = STANDARD
    answer: str = SHORT_ANSWER  # empty: three sentences, the first with the caller's words
    google: tuple[str, ...] = ()  # settings of the speech double
    voice: tuple[str, ...] = ()  # settings of the voice double
    settings: Mapping[str, str] = field(default_factory=dict)  # of the service
    at_once: bool = False  # the whole answer comes with its first token

    @property
    def llm_options(self) -> tuple[str, ...]:
        answer = ("--answer", f"={self.answer}") if self.answer else ()
        return ("--profile", self.llm, *answer, *(("--set", "tokens_per_s=0") if self.at_once else ()))


@dataclass
class Observed:
    """The service's events by call, with the monotonic time at which each was read."""

    events: dict[str, list[tuple[float, Event]]] = field(default_factory=lambda: defaultdict(list))
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    broken: Exception | None = None  # the events came no longer

    def of(self, call_sid: str, kind: type[E]) -> list[tuple[float, E]]:
        return [(at, event) for at, event in self.events[call_sid] if isinstance(event, kind)]

    async def until(self, happened: Callable[[], object], within: float) -> bool:
        """Wait until events have made something true; false if that takes longer than `within` seconds."""
        try:
            async with asyncio.timeout(within):
                while not happened():
                    if self.broken is not None:
                        raise SystemExit(f"the service's events broke off: {self.broken!r}")
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            return False
        return True


@dataclass
class World:
    """The service and its doubles, up."""

    url: str
    service_pid: int
    observed: Observed
    _llm: str

    async def requests(self) -> list[RequestRecord]:
        """Return what the language model's double was asked."""
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            told = (await http.get(f"{self._llm}/control/stats")).json()
        return msgspec.convert(told["records"], list[RequestRecord])


@asynccontextmanager
async def doubles(arrangement: Arrangement) -> AsyncIterator[tuple[str, str]]:
    """Bring up the doubles of the language model and of the voice alone; yield their base URLs."""
    with tempfile.TemporaryDirectory(prefix="batkol-bench-") as name:
        llm, voice = free_port(), free_port()
        model = (*_BATKOL, "llm-double", "--port", str(llm), *arrangement.llm_options)
        speaker = (*_BATKOL, "voice-double", "--port", str(voice), "--control-port", "0")
        async with (
            Program(Path(name), llm, model, dict(os.environ)),
            Program(Path(name), voice, speaker, dict(os.environ)),
        ):
            yield f"http://127.0.0.1:{llm}/v1", f"http://127.0.0.1:{voice}/v1"


@asynccontextmanager
async def world(arrangement: Arrangement) -> AsyncIterator[World]:
    """Bring up the service and its doubles, and end each by its own id."""
    with tempfile.TemporaryDirectory(prefix="batkol-bench-") as name:
        folder = Path(name)
        google, llm, voice, port, internal = (free_port() for _ in range(5))
        shutil.copytree(_LIVE, folder / "live")
        options = [option for each in arrangement.google for option in ("--set", each)]
        service = {
            **_service_settings(folder, google=google, port=port, internal=internal),
            "ANSWERER_URL": f"http://127.0.0.1:{llm}/v1",
            "VOICE_URL": f"http://127.0.0.1:{voice}/v1",
            **arrangement.settings,
        }
        plain = dict(os.environ)
        speech = (*_BATKOL, "speech-double", "--port", str(google), "--control-port", "0", *options)
        model = (*_BATKOL, "llm-double", "--port", str(llm), *arrangement.llm_options)
        settings = (option for each in arrangement.voice for option in ("--set", each))
        speaker = (*_BATKOL, "voice-double", "--port", str(voice), "--control-port", "0", *settings)
        async with AsyncExitStack() as stack:
            for command, listens in ((speech, google), (model, llm), (speaker, voice)):
                await stack.enter_async_context(Program(folder, listens, command, plain))
            served = Program(folder, port, (*_BATKOL, "serve"), service)
            await stack.enter_async_context(served)
            observed = Observed()
            following_events = asyncio.create_task(_follow(f"http://127.0.0.1:{internal}", observed))
            await asyncio.sleep(2)  # the phrases are synthesized
            try:
                yield World(f"http://127.0.0.1:{port}", served.pid, observed, f"http://127.0.0.1:{llm}")
            except BaseException:
                print(f"the service's last lines:\n{served.last_lines}", file=sys.stderr)
                raise
            finally:
                following_events.cancel()
                await asyncio.wait((following_events,))


async def _follow(url: str, observed: Observed) -> None:
    try:
        async with watching(url) as events:
            async for event in events:
                observed.events[event.call_sid].append((time.monotonic(), event))
                observed.changed.set()
    except ClientError as error:
        observed.broken = error
        observed.changed.set()


def _service_settings(folder: Path, *, google: int, port: int, internal: int) -> dict[str, str]:
    """Production's, but for who is called and who signs."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PATH", "HOME", "LANG"))}
    return kept | {
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        "TWILIO_VALIDATE_SIGNATURES": "false",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "INTERNAL_PORT": str(internal),
        "GCP_STT_ENDPOINT": f"127.0.0.1:{google}",
        "GCP_STT_INSECURE": "true",
        "LIVE_SOURCE": f"file:{folder / 'live'}",
        "FLAGS_PROVIDER": "live",
        "VAD": "silero",
        "STORE": "none",
        "LOG_FORMAT": "json",
        "MAX_CALLS": "200",
        "AGENT_REPLIES": "true",
        "ANSWERER": "openai",
        "ANSWERER_MODEL": "double",
        "VOICE": "openai",
        "VOICE_MODEL": "tts-1",
        "VOICE_API_KEY": "any",
    }
