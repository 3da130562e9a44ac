"""Events as they go out of the service, made for tests."""

from __future__ import annotations

from datetime import UTC, datetime

from batkol.events.events import FinalText, encode
from batkol.sinks.delivery import Envelope

AT = datetime(2026, 11, 29, 14, 5, 7, 250_000, UTC)
TEXT = 'שלום "עולם" ☎'


def final(stream: str = "MZ1", seq: int = 1, *, text: str = TEXT, agent: str = "reception") -> Envelope:
    """Return a final of a stream."""
    event = FinalText(
        call_sid=f"CA{stream[2:]}", stream_sid=stream, seq=seq, at=AT.timestamp(), utterance_id=f"CA-{seq}", index=seq,
        text=text, source="final", mode="streaming", begin_ms=0, end_ms=900, words=2, partials=1,
        first_partial_ms=210.5, latency_ms=120.0,
    )  # fmt: skip
    return Envelope(event.id, "final", AT, event.call_sid, stream, seq, agent, encode(event))


def finals(streams: int, each: int) -> list[Envelope]:
    """Return finals of several streams, interleaved."""
    return [final(f"MZ{number}", seq) for seq in range(1, each + 1) for number in range(streams)]
