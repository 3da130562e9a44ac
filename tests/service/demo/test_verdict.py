"""The verdict on the demo's call: silent about a good call, a sentence about each thing that went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from batkol.demo.hearing import HeardReply
from batkol.demo.script import STREAMING, DemoTurn
from batkol.demo.talk import TurnSeen
from batkol.demo.verdict import faults, totals_of_replies
from batkol.events.events import (
    AnyEvent,
    FinalText,
    ReplyEnded,
    ReplyFailed,
    ReplyInterrupted,
    ReplyStarted,
    UtteranceEnded,
    UtteranceStarted,
)
from batkol.simulators.client.call_record import CallWatch, Said
from batkol.simulators.client.conversation import Observed
from batkol.simulators.twilio.plan import CallReport

GREETING = "שלום"
SCRIPT = (
    DemoTurn(("אני", "רוצה", "תור"), "יש תור בשמונה ובעשר.", hum_at=0, interrupted_at=0),
    DemoTurn(("לא", "ערב"), "בשש."),
)
SAID = Said(SCRIPT[0].words, 2000, 3000)
HUM = Said((), 5000, 5250)
SECOND = Said(SCRIPT[1].words, 7000, 8000)

Change = Callable[[AnyEvent], AnyEvent | None]


def about(**fields: Any) -> dict[str, Any]:
    return {"call_sid": "CA1", "seq": 1, "at": 0.0, **fields}


def utterance(index: int, said: Said, text: str) -> list[AnyEvent]:
    base = about(utterance_id=f"u{index}", index=index)
    mode: dict[str, Any] = {"mode": STREAMING, "begin_ms": said.begin_ms}
    return [
        UtteranceStarted(**base, **mode, speech_ms=said.begin_ms, flag_variant="on", flag_reason="STATIC"),
        UtteranceEnded(**base, end_ms=said.end_ms + 60),
        FinalText(
            **base, **mode, text=text, source="final", end_ms=said.end_ms, words=0, partials=0, first_partial_ms=None,
            latency_ms=500,
        ),
    ]  # fmt: skip


def reply(
    turn: int, intended: str, heard: str, *, phrase: str | None = None, interrupted: bool = False
) -> list[AnyEvent]:
    base = about(reply_id=f"r{turn}", turn=turn)
    ms: dict[str, Any] = {"latency_ms": None if phrase else 560.0 + turn}
    parts: dict[str, Any] = dict.fromkeys(
        ("text_ms", "first_token_ms", "first_piece_ms", "first_sound_ms", "commit_ms"), None if phrase else 100.0
    )
    made: list[AnyEvent] = [ReplyStarted(**base, phrase=phrase, **ms)]
    if interrupted:
        made.append(ReplyInterrupted(**base, heard=heard))
    return [*made, ReplyEnded(**base, intended=intended, heard=heard, interrupted=interrupted, **ms, **parts)]


def good_call() -> list[AnyEvent]:
    return [
        *reply(1, GREETING, GREETING, phrase="greeting"),
        *utterance(0, SAID, "אני רוצה תור."),
        *utterance(1, HUM, ""),
        *reply(2, "יש תור בשמונה ובעשר.", "יש תור", interrupted=True),
        *utterance(2, SECOND, "לא ערב."),
        *reply(3, "בשש.", "בשש."),
    ]


def judged(change: Change = lambda event: event, *more: AnyEvent, heard: str = "יש תור", cut: bool = True) -> list[str]:
    """Return the sentences about the good call in which each event was changed, or left out."""
    watch = CallWatch("CA1")
    for event in (*good_call(), *more):
        if (changed := change(event)) is not None:
            watch.observe(changed)
    report = CallReport("CA1", 0.020, media_start=100.0)
    observed = Observed(report, watch, (SAID, HUM, SECOND))
    at = watch.replies.get
    seen = [
        TurnSeen(None, at(1), HeardReply(GREETING, 101.0, cut=False)),
        TurnSeen(SCRIPT[0], at(2), HeardReply(heard, 107.4, cut=cut), hum=HUM, interruption=SECOND),
        TurnSeen(SCRIPT[1], at(3), HeardReply("בשש.", 110.0, cut=False)),
    ]
    assert totals_of_replies(seen, observed)
    return list(faults(seen, observed, SCRIPT))


def without(kind: type[Any], **fields: Any) -> Change:
    """Return a change that leaves out the events of a kind that have these values."""

    def leave_out(event: AnyEvent) -> AnyEvent | None:
        fits = all(getattr(event, name, None) == value for name, value in fields.items())
        return None if isinstance(event, kind) and fits else event

    return leave_out


def with_values(kind: type[Any], turn: int, **values: Any) -> Change:
    def put(event: AnyEvent) -> AnyEvent:
        mine = isinstance(event, kind) and getattr(event, "turn", getattr(event, "index", None)) == turn
        return msgspec.structs.replace(event, **values) if mine else event

    return put


def test_a_call_that_went_as_the_script_says_has_no_fault() -> None:
    assert judged() == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (with_values(FinalText, 2, text="לא בוקר."), "the service missed or misheard a word"),
        (with_values(FinalText, 1, text="כן"), "the service missed or misheard a word"),
        (with_values(FinalText, 0, mode="single"), "a call did not follow the flag"),
        (without(ReplyEnded, turn=3), "the agent replied 2 times in the place of 3"),
        (without(ReplyEnded, turn=3), "reply 3: it is missing"),
        (with_values(ReplyStarted, 3, phrase="apology"), "reply 3: the caller heard the phrase apology"),
        (with_values(ReplyStarted, 1, phrase=None), "reply 1: the caller heard no greeting"),
        (with_values(ReplyEnded, 3, intended="בשבע."), "reply 3: it is not what the model answered"),
        (with_values(ReplyEnded, 2, heard=""), "reply 2: the caller did not hear what the service reports"),
        (without(UtteranceStarted, index=1), "reply 2: the detector did not hear the mm-hm, which so proves nothing"),
        (
            with_values(ReplyEnded, 2, interrupted=False),
            "reply 2: the agent was interrupted by what is no interruption",
        ),
    ],
)
def test_each_thing_that_went_wrong_is_a_sentence(change: Change, sentence: str) -> None:
    assert sentence in judged(change)


def test_an_interruption_of_a_mm_hm_is_a_false_one() -> None:
    again = ReplyInterrupted(**about(reply_id="r2", turn=2), heard="יש")

    assert judged(lambda event: event, again) == ["reply 2: the agent was interrupted by what is no interruption"]


def test_a_reply_that_went_on_was_not_interrupted() -> None:
    assert "reply 2: the caller's words did not interrupt it" in judged(cut=False)


def test_a_failure_of_the_model_is_a_sentence_of_its_own() -> None:
    failed = ReplyFailed(**about(reply_id="", turn=0), part="answerer", reason="deadline")

    assert judged(lambda event: event, failed) == ["the answerer failed (deadline)"]


def test_what_the_ear_heard_is_held_against_the_service_to_a_word() -> None:
    assert judged(heard="יש תור בשמונה") == []
    assert judged(heard="יש תור בשמונה ובעשר.") == ["reply 2: the caller did not hear what the service reports"]
