from __future__ import annotations

from typing import Any

from batkol.events.events import (
    ReplyEnded,
    ReplyFailed,
    ReplyInterrupted,
    ReplyResumed,
    ReplySentence,
    ReplyStarted,
)
from batkol.simulators.client.call_record import CallWatch


def about(turn: int, **fields: Any) -> dict[str, Any]:
    return {"call_sid": "CA1", "seq": 1, "at": 0.0, "reply_id": f"r{turn}" if turn else "", "turn": turn, **fields}


def test_the_replies_of_a_call_are_kept_by_their_numbers() -> None:
    watch = CallWatch("CA1")
    split: dict[str, Any] = dict.fromkeys(
        ("latency_ms", "text_ms", "first_token_ms", "first_piece_ms", "first_sound_ms", "commit_ms")
    )
    for event in (
        ReplyStarted(**about(1), phrase="greeting", latency_ms=None),
        ReplyStarted(**about(2), phrase=None, latency_ms=500.0),
        ReplySentence(**about(2), index=0, text="א", begin_ms=0),
        ReplyInterrupted(**about(2), heard="א"),
        ReplyResumed(**about(2), index=0),
        ReplySentence(**about(2), index=0, text="א", begin_ms=0),
        ReplySentence(**about(2), index=1, text="ב", begin_ms=900),
        ReplyEnded(**about(2), intended="א ב ג", heard="א", interrupted=True, **split),
        ReplyFailed(**about(0), part="voice", reason="deadline"),
    ):
        watch.observe(event)

    greeting, answer = watch.replies.all
    assert [reply.phrase for reply in (greeting, answer)] == ["greeting", None]
    assert watch.replies.get(2) is answer
    assert watch.replies.get(3) is None
    assert (answer.pieces, answer.interrupted, greeting.interrupted) == (["א", "ב"], True, False)
    assert (len(answer.interruptions), len(answer.resumptions)) == (1, 1)
    assert [failure.part for failure in watch.replies.failures] == ["voice"]
