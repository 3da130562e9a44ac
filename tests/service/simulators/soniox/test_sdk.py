"""Soniox's own SDK talks to the double: what it sends is taken, and it understands what comes."""

import asyncio

from soniox import AsyncSonioxClient
from soniox.types.realtime import RealtimeEvent, RealtimeSTTConfig

from batkol.simulators.soniox.server import SonioxDouble
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from batkol.voices.marked.voice import script

WORDS = ("שלום", "פגישה", "מחר")
AUDIO = script((WORDS,), tail_ms=400).mulaw
CONFIG = RealtimeSTTConfig(
    model="stt-rt-v5",
    audio_format="mulaw",
    sample_rate=8000,
    num_channels=1,
    language_hints=["he"],
    language_hints_strict=True,
    enable_language_identification=True,
    enable_endpoint_detection=True,
    max_endpoint_delay_ms=500,
    endpoint_sensitivity=0.5,
    endpoint_latency_adjustment_level=1,
    client_reference_id="call-1",
)
SETTINGS = SonioxDoubleSettings(api_key="a-key", pacing_factor=0, finalize_s=0.01)


def _client(url: str) -> AsyncSonioxClient:
    return AsyncSonioxClient(api_key="a-key", websocket_base_url=url)


async def test_the_sdk_streams_finalizes_keeps_alive_and_finishes() -> None:
    events: list[RealtimeEvent] = []
    async with SonioxDouble(SETTINGS) as double, asyncio.timeout(45):
        async with _client(await double.start()) as client, client.realtime.stt.connect(config=CONFIG) as session:
            await session.send_byte_chunk(AUDIO)
            await session.finalize()
            await session.keep_alive()
            while not any(token.text == "<fin>" for event in events for token in event.tokens):
                event = await session.receive_event()
                assert event is not None
                events.append(event)
            await session.finish()
            events += [event async for event in session.receive_events()]

        finals = [token for event in events for token in event.tokens if token.is_final]
        assert "".join(token.text for token in finals) == f"{' '.join(WORDS)}<fin>"
        assert all(token.start_ms is not None and token.language == "he" for token in finals[:-1])
        assert events[-1].finished
        assert events[-1].final_audio_proc_ms == events[-1].total_audio_proc_ms == len(AUDIO) // 8
        (record,) = double.records
        assert (record.keepalives, len(record.finalizes), record.start["client_reference_id"]) == (1, 1, "call-1")
        (asked,), (answered,) = record.finalizes_at, record.fins_at
        assert answered - asked >= 0.01


async def test_the_sdk_reads_a_refusal() -> None:
    unknown = CONFIG.model_copy(update={"model": "stt-rt-v0"})
    async with SonioxDouble(SETTINGS) as double, asyncio.timeout(45):
        async with _client(await double.start()) as client, client.realtime.stt.connect(config=unknown) as session:
            (refusal,) = [event async for event in session.receive_events()]

        assert (refusal.error_code, refusal.error_message, refusal.tokens) == (400, "Invalid model specified.", [])
