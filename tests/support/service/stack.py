"""The whole service against the doubles, in this process, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

from batkol.app.build import running
from batkol.app.patience import PRODUCTION, Patience
from batkol.app.service import Service
from batkol.events.events import CallEnded, Event, FinalText, PartialText, RevisedText, UtteranceStarted
from batkol.events.order import disorder
from batkol.settings import Settings
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.twilio.caller import CallPlan, CallReport, Script, place_call
from batkol.store.postgres.address import Address
from batkol.voices.marked.voice import SpokenAudio
from support.process.commands import command

TOKEN = "a-made-up-auth-token"
PUBLIC = "https://voice.example.test/prefix"
QUICK: Final = 2.0
"""The `speed` of callers where the clock of a call is not the subject: as fast as the service may send again."""

E = TypeVar("E", bound=Event)


@dataclass
class Heard:
    """All events of the service, by call."""

    events: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def of(self, call_sid: str, kind: type[E]) -> list[E]:
        return [event for event in self.events[call_sid] if isinstance(event, kind)]

    def finals(self, call_sid: str) -> list[FinalText]:
        return sorted(self.of(call_sid, FinalText), key=lambda final: final.index)

    def texts(self, call_sid: str) -> list[str]:
        """The record of a call: its finals as revised, without punctuation, empty ones left out."""
        texts = {final.index: final.text for final in self.finals(call_sid)}
        texts.update({revised.index: revised.text for revised in self.of(call_sid, RevisedText)})
        return [plain(text) for _, text in sorted(texts.items()) if text]

    async def until(self, happened: Callable[[], object], within: float = 45.0) -> None:
        """Wait until events have made something true."""
        async with asyncio.timeout(within):
            while not happened():
                self.changed.clear()
                await self.changed.wait()

    async def has_finals(self, call_sid: str, count: int) -> None:
        """Wait until the call has had that many finals."""
        await self.until(lambda: len(self.of(call_sid, FinalText)) >= count)


def plain(text: str) -> str:
    return text.rstrip(".?")


def words_of(spoken: SpokenAudio) -> list[str]:
    return [utterance.text for utterance in spoken.utterances]


@asynccontextmanager
async def double_of_its_own(*arguments: str) -> AsyncIterator[int]:
    """The double in a process of its own, for loads that one interpreter cannot carry; yields its gRPC port."""
    ports = ("--port", "0", "--control-port", "0")
    async with command(*ports, *arguments, module="batkol.simulators.google.server") as double:
        yield int((await double.line()).split("gRPC on 127.0.0.1:")[1].split(",")[0])


@dataclass
class Stack:
    service: Service
    double: SpeechDouble
    live: Path
    heard: Heard
    speed: float = 1.0
    """Of its callers."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.service.port}"

    @property
    def internal(self) -> str:
        return f"http://127.0.0.1:{self.service.internal_port}"

    def flip(self, *, on: bool) -> None:
        """Write the flag as an SRE would."""
        write_flag(self.live, on=on)

    def choose(self, recognizer: str) -> None:
        """Have the flag name a recognizer, as an SRE would."""
        write_flag(self.live, on=True, recognizer=recognizer)

    def order(self, *recognizers: str) -> None:
        """Have the tuning name these recognizers, in this order, as an SRE would."""
        write_tuning(self.live, {"recognition": {"recognizer": recognizers[0], "order": list(recognizers)}})

    def plan(self, audio: bytes = b"", **fields: Any) -> CallPlan:
        own: dict[str, Any] = {"auth_token": TOKEN, "public_url": PUBLIC, "speed": self.speed}
        return CallPlan(base_url=self.url, audio=audio, **{**own, **fields})

    async def call(
        self,
        audio: bytes = b"",
        script: Script | None = None,
        http: httpx.AsyncClient | None = None,
        **fields: Any,
    ) -> CallReport:
        report = await place_call(self.plan(audio, **fields), script, http)
        await self.heard.until(lambda: self.heard.of(report.call_sid, CallEnded))
        return report

    def modes(self, call_sid: str) -> list[str]:
        return [event.mode for event in self.heard.of(call_sid, UtteranceStarted)]

    def partials(self, call_sid: str) -> list[PartialText]:
        return self.heard.of(call_sid, PartialText)

    def ended(self, call_sid: str) -> CallEnded:
        (ended,) = self.heard.of(call_sid, CallEnded)
        return ended


def write_flag(live: Path, *, on: bool, recognizer: str = "") -> None:
    """Write the flags: whether calls stream, and with `recognizer`, which one they use."""
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on" if on else "off"}
    flags: dict[str, Any] = {"streaming-stt": flag}
    if recognizer:
        flags["recognizer"] = {"state": "ENABLED", "variants": {"it": recognizer}, "defaultVariant": "it"}
    _write(live / "flags.json", {"flags": flags})


def write_tuning(live: Path, tuning: dict[str, Any]) -> None:
    _write(live / "tuning.json", tuning)


def _write(path: Path, content: object) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(content))
    fresh.replace(path)


def settings(live: Path, double_port: int, **overrides: Any) -> Settings:
    values: dict[str, Any] = {
        "gcp_stt_endpoint": f"127.0.0.1:{double_port}",
        "gcp_stt_insecure": True,
        "twilio_auth_token": (TOKEN,),
        "public_base_url": PUBLIC,
        "live_source": f"file:{live}",
        "voice_agent": "test",
        "host": "127.0.0.1",
        "port": 0,
        "internal_port": 0,
        "drain_timeout_s": 5.0,
        "store": "none",
        "stt_check_at_start": False,  # tests count requests
    }
    return Settings(**{**values, **overrides})


@asynccontextmanager
async def stack(
    live: Path,
    *,
    streaming: bool = True,
    double: DoubleSettings | None = None,
    double_port: int = 0,
    patience: Patience = PRODUCTION,
    speed: float = 1.0,
    **overrides: Any,
) -> AsyncIterator[Stack]:
    """Bring everything up; `overrides` are settings of the service, `speed` is that of its callers.

    With `double_port` the double is elsewhere.
    """
    live.mkdir(exist_ok=True)
    write_flag(live, on=streaming)
    google = SpeechDouble(double or DoubleSettings())
    port = double_port or await google.start()
    try:
        async with running(settings(live, port, **overrides), patience=patience) as service:
            heard = Heard()
            with service.bus.subscribe(capacity=100_000) as subscription:

                async def collect() -> None:
                    async for event in subscription:
                        heard.events[event.call_sid].append(event)
                        heard.changed.set()

                collecting = asyncio.create_task(collect())
                try:
                    yield Stack(service, google, live, heard, speed)
                    assert [wrong for events in heard.events.values() for wrong in disorder(events)] == []
                finally:
                    collecting.cancel()
                    await asyncio.gather(collecting, return_exceptions=True)
    finally:
        await google.stop()


def stored(folder: Path, where: Address) -> dict[str, Any]:
    """Return the settings of a stack that keeps its calls there, with its journal in `folder`, which is made."""
    memory = folder / "memory"
    memory.mkdir(parents=True)
    return {
        "store": "postgres",
        "database_url": where.dsn,
        "journal_dir": folder / "journal",
        "journal_memory_dir": memory,
    }


def right_words(expected: Sequence[str], got: Sequence[str]) -> tuple[int, int]:
    """Words that came at their place, and all that should have."""
    said = [word for text in expected for word in text.split()]
    heard = [word for text in got for word in text.split()]
    return sum(a == b for a, b in zip(said, heard, strict=False)), len(said)
