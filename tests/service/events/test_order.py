"""The order of a stream's events. That real conversations and random calls keep it, their own tests check."""

from __future__ import annotations

from typing import Any

import pytest

from batkol.events.events import (
    CallEnded,
    CallStarted,
    Event,
    FinalText,
    KeyPressed,
    ReplyEnded,
    ReplyFailed,
    ReplyStarted,
    TentativeText,
    TentativeWithdrawn,
    UtteranceStarted,
)
from batkol.events.order import disorder

SPOKEN = {"utterance_id": "u", "index": 0}
REPLY = {"reply_id": "r", "turn": 1}
REST: dict[type[Event], dict[str, Any]] = {
    CallStarted: {"agent": "", "direction": "inbound", "streaming": True},
    UtteranceStarted: {
        **SPOKEN, "begin_ms": 0, "speech_ms": 0, "mode": "streaming", "flag_variant": None, "flag_reason": None,
    },
    TentativeText: {**SPOKEN, "number": 1, "text": "", "end_ms": 0},
    TentativeWithdrawn: {**SPOKEN, "number": 1, "reason": "text"},
    FinalText: {
        **SPOKEN, "text": "", "source": "final", "mode": "streaming", "begin_ms": 0, "end_ms": 0, "words": 0,
        "partials": 0, "first_partial_ms": None, "latency_ms": 0.0,
    },
    KeyPressed: {"digit": "1"},
    ReplyStarted: {**REPLY, "phrase": None, "latency_ms": None},
    ReplyFailed: {**REPLY, "part": "voice", "reason": "quota"},
    ReplyEnded: {
        **REPLY, "intended": "", "heard": "", "interrupted": False, "latency_ms": None, "text_ms": None,
        "first_token_ms": None, "first_piece_ms": None, "first_sound_ms": None, "commit_ms": None,
    },
    CallEnded: {
        "reason": "stop", "duration_s": 0.0, "utterances": 0, "words": 0, "finals": {}, "fallbacks": 0, "sessions": 0,
        "gap_ms": 0, "close_code": None,
    },
}  # fmt: skip


def stream(*kinds: type[Event], sid: str = "MZ1", **changes: Any) -> list[Event]:
    """Events of one stream, numbered."""
    found: list[Event] = []
    for seq, kind in enumerate(kinds, 1):
        own = {**REST[kind], **{name: value for name, value in changes.items() if name in kind.__struct_fields__}}
        found.append(kind(call_sid="CA1", stream_sid=sid, seq=seq, at=0.0, **own))
    return found


WHOLE = (
    CallStarted, UtteranceStarted, TentativeText, TentativeWithdrawn, TentativeText, KeyPressed, FinalText,
    ReplyStarted, ReplyEnded, CallEnded,
)  # fmt: skip


def test_a_whole_stream_is_in_order_and_so_is_what_a_slow_reader_has_of_it() -> None:
    events = stream(*WHOLE)

    assert disorder(events) == []
    assert disorder(event for event in events if not isinstance(event, TentativeText)) == []


def test_two_streams_mix_and_each_has_its_own_order() -> None:
    one, other = stream(*WHOLE), stream(*WHOLE, sid="MZ2")

    assert disorder(event for pair in zip(one, other, strict=True) for event in pair) == []


def test_a_failure_before_any_sound_belongs_to_no_reply() -> None:
    assert disorder(stream(CallStarted, ReplyFailed, ReplyFailed, reply_id="")) == []


@pytest.mark.parametrize(
    ("events", "wrong"),
    [
        (stream(KeyPressed), "MZ1-1 is dtmf, and the first event of a stream is call.started"),
        (stream(CallStarted, CallStarted), "MZ1-2 is call.started, and the first event"),
        (stream(CallStarted, CallEnded, KeyPressed), "MZ1-3 comes after call.ended"),
        (stream(CallStarted, FinalText), "MZ1-2: final follows nothing of utterance 0"),
        (stream(CallStarted, UtteranceStarted, FinalText, TentativeText), "tentative follows final of utterance 0"),
        (stream(CallStarted, UtteranceStarted, FinalText, FinalText), "final follows final of utterance 0"),
        (stream(CallStarted, UtteranceStarted, TentativeText, TentativeText), "MZ1-4 is a tentative while one stands"),
        (stream(CallStarted, ReplyEnded), "reply.ended follows nothing of reply r"),
        (stream(CallStarted, ReplyStarted, ReplyEnded, ReplyEnded), "reply.ended follows reply.ended"),
        ([*stream(CallStarted), *stream(CallStarted)], "MZ1-1 comes after number 1"),
    ],
)
def test_what_is_out_of_order_is_named(events: list[Event], wrong: str) -> None:
    assert any(wrong in each for each in disorder(events))
