"""Events of made-up calls."""

from __future__ import annotations

from batkol.events.events import (
    CallEnded,
    CallStarted,
    FinalText,
    KeyPressed,
    PartialText,
    TentativeText,
    TentativeWithdrawn,
)

CALL = "CA" + "0" * 32
STREAM = "MZ" + "0" * 32


def started(seq: int = 1, call_sid: str = CALL, stream_sid: str = STREAM) -> CallStarted:
    return CallStarted(
        call_sid=call_sid, stream_sid=stream_sid, seq=seq, at=0.0, agent="", direction="inbound", streaming=True
    )


def partial(seq: int, index: int = 0, text: str = "", stream_sid: str = STREAM, call_sid: str = CALL) -> PartialText:
    return PartialText(
        call_sid=call_sid,
        stream_sid=stream_sid,
        seq=seq,
        at=0.0,
        utterance_id=f"{call_sid}-{index}",
        index=index,
        text=text,
        stability=0.0,
        number=seq,
    )


def tentative(seq: int, index: int = 0) -> TentativeText:
    return TentativeText(
        call_sid=CALL, stream_sid=STREAM, seq=seq, at=0.0, utterance_id="u", index=index, number=seq, text="", end_ms=0
    )


def withdrawn(seq: int, index: int = 0) -> TentativeWithdrawn:
    return TentativeWithdrawn(
        call_sid=CALL,
        stream_sid=STREAM,
        seq=seq,
        at=0.0,
        utterance_id="u",
        index=index,
        number=seq,
        reason="speech",
    )


def final(seq: int, index: int = 0, text: str = "", stream_sid: str = STREAM, call_sid: str = CALL) -> FinalText:
    return FinalText(
        call_sid=call_sid,
        stream_sid=stream_sid,
        seq=seq,
        at=0.0,
        utterance_id=f"{call_sid}-{index}",
        index=index,
        text=text,
        source="final",
        mode="streaming",
        begin_ms=0,
        end_ms=0,
        words=1,
        partials=0,
        first_partial_ms=None,
        latency_ms=0.0,
    )


def key(seq: int, call_sid: str = CALL) -> KeyPressed:
    return KeyPressed(call_sid=call_sid, stream_sid=STREAM, seq=seq, at=0.0, digit="5")


def ended(seq: int, call_sid: str = CALL, stream_sid: str = STREAM) -> CallEnded:
    return CallEnded(
        call_sid=call_sid,
        stream_sid=stream_sid,
        seq=seq,
        at=0.0,
        reason="stop",
        duration_s=0.0,
        utterances=0,
        words=0,
        finals={},
        fallbacks=0,
        sessions=0,
        gap_ms=0,
        close_code=1000,
    )
