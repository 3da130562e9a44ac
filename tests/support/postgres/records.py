"""Records as calls make them, for tests of what becomes of them."""

from __future__ import annotations

from typing import Any

from batkol.events.events import CallEnded, CallStarted, FinalText, RevisedText
from batkol.events.identity import Identity
from batkol.store.journal.record import Who
from batkol.store.journal.records import AnyRecord, CallBegan, CallOver, CallStatus, FinalRecord, RevisionRecord
from batkol.store.journal.reply_records import ReplyProgressRecord, ReplyRecord, ToolRecord

CALLER, CALLED = "+972541234567", "+97231234567"
AT = 1_790_000_000.0
"""Unix seconds: when the calls of these tests begin."""


def sid(number: int = 0) -> str:
    return f"CA{number:032x}"


def who(call: int = 0, stream: int = 0, **fields: Any) -> Who:
    given: dict[str, Any] = {
        "call_sid": sid(call),
        "stream_sid": f"MZ{call * 100 + stream:032x}",
        "account_sid": "AC" + "0" * 32,
        "agent": "reception",
        "caller": CALLER,
        "called": CALLED,
        "direction": "inbound",
        "pod": "pod-1",
        "started_at": AT + 60.0 * call + 10.0 * stream,
        "stream": stream + 1,
    }
    return Who(**{**given, **fields})


def began(of: Who | None = None, *, mode: str = "streaming") -> CallBegan:
    of = of or who()
    return CallBegan(who=of, seq=1, at=of.started_at, mode=mode)


def _what(index: int, of: Who) -> dict[str, Any]:
    """What a final is, whoever is told of it."""
    return {
        "seq": 10 * index + 5,
        "at": of.started_at + 2.0 * (index + 1),
        "utterance_id": f"{of.call_sid}-{index}",
        "index": index,
        "text": f"משפט {index}",
        "source": "final",
        "mode": "streaming",
        "begin_ms": 2000 * index,
        "end_ms": 2000 * index + 1200,
        "words": 2,
        "partials": 3,
        "first_partial_ms": 310.5,
    }


def heard(index: int = 0, of: Who | None = None, **fields: Any) -> FinalRecord:
    of = of or who()
    return FinalRecord(**{**_what(index, of), "who": of, "final_ms": 420.25, "trace_id": "ab" * 16, **fields})


def revised(index: int = 0, of: Who | None = None, **fields: Any) -> RevisionRecord:
    of = of or who()
    given: dict[str, Any] = {
        "who": of,
        "seq": 10 * index + 7,
        "at": of.started_at + 2.0 * (index + 1) + 0.5,
        "utterance_id": f"{of.call_sid}-{index}",
        "index": index,
        "text": f"משפט מתוקן {index}",
        "revised_ms": 900.0,
    }
    return RevisionRecord(**{**given, **fields})


def replying(reply: int = 1, sentence: int = 0, of: Who | None = None) -> ReplyProgressRecord:
    """The playing of a sentence of a reply begins; each has two words."""
    of = of or who()
    return ReplyProgressRecord(
        **_of_reply(reply, of),
        seq=100 * reply + sentence,
        at=of.started_at + 3.0 * reply + sentence,
        latency_ms=740.0,
        heard=" ".join(f"תשובה {each}" for each in range(sentence)),
        sentence=f"תשובה {sentence}",
    )


def replied(reply: int = 1, of: Who | None = None, **fields: Any) -> ReplyRecord:
    """A reply of three sentences is over."""
    of = of or who()
    split = ("text_ms", "first_token_ms", "first_piece_ms", "first_sound_ms", "commit_ms")
    given: dict[str, Any] = {
        **_of_reply(reply, of),
        "seq": 100 * reply + 50,
        "at": of.started_at + 3.0 * reply + 2.5,
        "intended": "תשובה 0 תשובה 1 תשובה 2",
        "heard": "תשובה 0 תשובה 1 תשובה",
        "interrupted": True,
        "latency_ms": 740.0,
        **{name: 100.0 + index for index, name in enumerate(split)},
        "attempts": 2,
        "answerer": "openai",
        "voice": "google",
        "answerer_variant": "b",
        "voice_variant": "",
        "prompt_tokens": 210,
        "completion_tokens": 17,
        "fault": None,
    }
    return ReplyRecord(**{**given, **fields})


def _of_reply(reply: int, of: Who) -> dict[str, Any]:
    return {
        "who": of,
        "reply_id": f"{of.stream_sid}-r{reply}",
        "turn": reply,
        "reply_kind": "answer",
        "phrase": None,
        "started_at": of.started_at + 3.0 * reply - 0.1,
    }


def tool(of: Who | None = None, *, seq: int = 500, name: str = "save_lead", **fields: Any) -> ToolRecord:
    of = of or who()
    given: dict[str, Any] = {
        "turn": 1,
        "at": of.started_at + 4.0,
        "arguments": '{"name": "דנה", "party": 4}',
        "outcome": "done",
        "duration_ms": 80.5,
        "result": "saved",
    }
    return ToolRecord(who=of, seq=seq, name=name, **{**given, **fields})


def over(of: Who | None = None, *, reason: str = "stop", **figures: Any) -> CallOver:
    of = of or who()
    return CallOver(
        who=of, seq=1000, at=of.started_at + 9.0, reason=reason, figures={"duration_s": 9.0, "words": 4, **figures}
    )


def status(call: int = 0, **fields: Any) -> CallStatus:
    """What Twilio tells of a call that began at `AT`, 30 s later."""
    of = who(call)
    given: dict[str, Any] = {
        "call_sid": of.call_sid,
        "account_sid": of.account_sid,
        "status": "completed",
        "ended_at": of.started_at + 30.0,
        "duration_s": 31,
        "at": of.started_at + 30.5,
    }
    return CallStatus(**{**given, **fields})


def identity(call: int = 0, **fields: Any) -> Identity:
    of = who(call)
    given: dict[str, Any] = {
        "call_sid": of.call_sid,
        "stream_sid": of.stream_sid,
        "account_sid": of.account_sid,
        "agent": of.agent,
        "from_": of.caller,
        "to": of.called,
    }
    return Identity(**{**given, **fields})


def started_event(call: int = 0) -> CallStarted:
    of = who(call)
    return CallStarted(
        call_sid=of.call_sid, seq=1, at=of.started_at, stream_sid=of.stream_sid, agent=of.agent, direction="inbound",
        streaming=True,
    )  # fmt: skip


def final_event(index: int = 0, call: int = 0, **fields: Any) -> FinalText:
    of = who(call)
    return FinalText(**{**_what(index, of), "call_sid": of.call_sid, "latency_ms": 420.25, **fields})


def revised_event(index: int = 0, call: int = 0) -> RevisedText:
    of = who(call)
    return RevisedText(
        call_sid=of.call_sid, seq=10 * index + 7, at=of.started_at + 3, utterance_id=f"{of.call_sid}-{index}",
        index=index, text="מתוקן", latency_ms=900.0,
    )  # fmt: skip


def ended_event(call: int = 0) -> CallEnded:
    of = who(call)
    return CallEnded(
        call_sid=of.call_sid, seq=1000, at=of.started_at + 9, reason="stop", duration_s=9.0, utterances=2, words=4,
        finals={"final": 2}, fallbacks=0, sessions=1, gap_ms=0, close_code=1000,
    )  # fmt: skip


def talk(call: int = 0, finals: int = 2, **fields: Any) -> list[AnyRecord]:
    """All records of a call of one stream."""
    of = who(call, **fields)
    return [began(of), *(heard(index, of) for index in range(finals)), revised(0, of), over(of)]


def finals_of(*calls: int) -> list[tuple[str, int, str]]:
    """What the database then has of these calls, as `texts` returns it."""
    return [(sid(call), index, f"משפט {index}") for call in calls for index in range(2)]
