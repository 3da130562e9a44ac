"""Everything that the demo's call needs, in this process: the doubles, a Postgres, and the service itself."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

from batkol.app.build import running
from batkol.conversation.track import Track
from batkol.demo import files
from batkol.demo.hearing import ReplyEar, pieces_of, tracks
from batkol.demo.script import GREETING, DemoScript
from batkol.demo.settings import Doubles, settings_of_demo
from batkol.errors import ConfigurationError
from batkol.google_api.endpoint import NO_PROXY
from batkol.simulators.client.conversation import Internal
from batkol.simulators.client.otlp_collector import Collector
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.server import LLMDouble
from batkol.store.dev_postgres.server import passing
from batkol.store.postgres import migrate
from batkol.store.store import NoStore, Store
from batkol.telemetry.logs import Logs
from batkol.tracing.tracing import Tracing
from batkol.voices.builtin import BuiltinVoice
from batkol.voices.espeak import EspeakVoice
from batkol.voices.espeak_library import REMEDY
from batkol.voices.voice import Voice

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that is up."""

    home: Path
    live: Path
    log: Path
    url: str
    internal: Internal
    auth_token: str
    doubles: Doubles
    tracing: Tracing
    store: Store | NoStore
    not_kept: str  # why nothing is stored, as a sentence
    hearing: ReplyEar
    no_espeak: str  # why the agent has the built-in voice, as a sentence


@asynccontextmanager
async def stage(home: Path, script: DemoScript, collector: Collector | None) -> AsyncIterator[Stage]:
    """Start everything. With a collector the service's spans go to it, over OTLP/gRPC."""
    live = home / "live"
    files.write(live)
    log_file = home / "service.log"
    auth_token = secrets.token_hex(16)
    exporters = [_to(collector)] if collector else []
    voice, no_espeak = voice_of_demo()
    with log_file.open("w", encoding="utf-8") as written:
        logs = Logs(level="INFO", json=True, stream=written)
        try:
            async with AsyncExitStack() as stack:
                doubles = await _doubles(script, stack)
                kept, not_kept = await _kept(home, stack)
                hearing = ReplyEar(await _tracks(voice, script))
                settings = settings_of_demo(doubles, live, auth_token, {**kept, "voice": voice.name})
                service = await stack.enter_async_context(running(settings, exporters, logs.writer))
                yield Stage(
                    home=home,
                    live=live,
                    log=log_file,
                    url=f"http://127.0.0.1:{service.port}",
                    internal=Internal(f"http://127.0.0.1:{service.internal_port}"),
                    auth_token=auth_token,
                    doubles=doubles,
                    tracing=service.tracing,
                    store=service.store,
                    not_kept=not_kept,
                    hearing=hearing,
                    no_espeak=no_espeak,
                )
                await service.drain_calls()
        finally:
            logs.close()


def _to(collector: Collector) -> OTLPSpanExporter:
    # The exporter's own type for options has texts alone; gRPC's has numbers.
    return OTLPSpanExporter(endpoint=collector.endpoint, insecure=True, channel_options=NO_PROXY)  # type: ignore[arg-type]


def voice_of_demo() -> tuple[Voice, str]:
    """Return a voice that can speak here, and why it is not espeak's."""
    try:
        return EspeakVoice(), ""
    except ConfigurationError as error:
        why = str(error).removesuffix(REMEDY)
        return BuiltinVoice(), f"{why}Install the extra with pip install '.[espeak]' in Batkol's folder."


async def _tracks(voice: Voice, script: DemoScript) -> dict[str, Track]:
    """Return how the agent will say everything: a phrase in one piece, an answer in several."""
    return await tracks(voice, {GREETING: [GREETING], **{turn.answer: pieces_of(turn.answer) for turn in script}})


async def _doubles(script: DemoScript, stack: AsyncExitStack) -> Doubles:
    speech = await stack.enter_async_context(SpeechDouble())
    model = await stack.enter_async_context(LLMDouble())
    model.script(*(Rule(turn.text, turn.answer) for turn in script))
    return Doubles(f"127.0.0.1:{await speech.start()}", await model.start())


async def _kept(home: Path, stack: AsyncExitStack) -> tuple[dict[str, Any], str]:
    """Return the settings of the store, a real Postgres where one can run, and why none can."""
    try:
        server = await stack.enter_async_context(passing())
    except ConfigurationError as error:
        log.warning("[DEMO] calls are not stored", err=str(error))
        return {"store": "none"}, str(error)
    await migrate.upgrade(server.address)
    return {"store": "postgres", "database_url": server.url, "journal_dir": home / "journal"}, ""
