"""Checks over calls that never were: each finding turns its own line, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from batkol.events.events import AnyEvent, CallEnded, FinalText, PartialText, UtteranceStarted
from batkol.gonogo.checks import (
    Check,
    LogLines,
    RehearsalLimits,
    RehearsedCall,
    as_is,
    flag_off,
    flag_on,
    flipped,
    in_effect,
)
from batkol.gonogo.report import is_go, show
from batkol.simulators.client.call_record import CallWatch, Said
from batkol.simulators.client.conversation import Observed
from batkol.simulators.twilio.caller import CallOutcome, CallReport
from batkol.simulators.twilio.plan import StreamEnd
from batkol.terminal_text import isolated

SID = "CA1"


def part(modes: tuple[str, ...], **changes: Any) -> RehearsedCall:
    """A call in which everything went well, but for `changes`."""
    given: dict[str, Any] = {
        "gap_s": 0.2, "partials": 8, "text": "שלום תודה.", "sources": None, "sessions": int("streaming" in modes),
        "closed_by": "caller", "close_code": 1000, "ended": True, "lines": None, "streams_left": 0,
        "limits": RehearsalLimits(),
        "heard": modes, "violation": False, "fallbacks": 0,
    } | changes  # fmt: skip
    report = CallReport(SID, 0.02, outcome=CallOutcome.COMPLETED, streams=1)
    report.ends.append(StreamEnd(given["closed_by"], given["close_code"], ""))
    if given["violation"]:
        report.complain(31951, "an unknown event")
    watch = CallWatch(SID)
    for index, mode in enumerate(given["heard"]):
        for event in utterance(index, mode, given):
            watch.observe(event)
    if given["ended"]:
        watch.observe(
            CallEnded(call_sid=SID, seq=9, at=9.0, reason="stop", duration_s=6.0, utterances=2, words=4, finals={},
                      fallbacks=given["fallbacks"], sessions=given["sessions"], gap_ms=0, close_code=1000)
        )  # fmt: skip
    said = tuple(Said(("שלום", "תודה"), 4000 * index + 300, 4000 * index + 2300) for index in range(len(modes)))
    return RehearsedCall(
        "a call", Observed(report, watch, said), modes, given["limits"], given["lines"], given["streams_left"]
    )


def utterance(index: int, mode: str, given: dict[str, Any]) -> list[AnyEvent]:
    which: dict[str, Any] = {"call_sid": SID, "seq": 1, "utterance_id": f"{SID}-{index}", "index": index}
    begin, at = 4000 * index, 4.0 * index
    started = UtteranceStarted(
        **which, at=at, begin_ms=begin, speech_ms=begin + 300, mode=mode, flag_variant="on", flag_reason="STATIC"
    )
    count = given["partials"] if mode == "streaming" else 0
    partials = [
        PartialText(**which, at=at + number * given["gap_s"], text="ש", stability=0.5, number=number)
        for number in range(1, count + 1)
    ]
    source = (given["sources"] or {}).get(mode) or {"streaming": "final"}.get(mode, mode)
    final = FinalText(
        **which, at=at + 3, text=given["text"], source=source, mode=mode, begin_ms=begin, end_ms=begin + 2300, words=2,
        partials=count, first_partial_ms=300.0 if count else None, latency_ms=600.0,
    )  # fmt: skip
    return [started, *partials, final]


def failed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if not check.passed]


STREAMING, SINGLE, FLIPPED = ("streaming",) * 2, ("single",) * 2, ("streaming", "single")


@pytest.mark.parametrize(
    ("judge", "modes"), [(flag_on, STREAMING), (flag_off, SINGLE), (flipped, FLIPPED)], ids=["on", "off", "flipped"]
)
def test_a_call_as_it_should_be_passes(judge: Callable[[RehearsedCall], list[Check]], modes: tuple[str, ...]) -> None:
    logged = LogLines(started=int("streaming" in modes), closed=int("streaming" in modes))

    assert failed(judge(part(modes))) == []
    assert failed(judge(part(modes, lines=logged, streams_left=None))) == []


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"gap_s": 0.1}, ["partials while speaking"]),
        ({"gap_s": 0.5}, ["partials while speaking"]),
        ({"partials": 2}, ["partials while speaking"]),
        ({"text": "שלום."}, ["words as they were said"]),
        ({"text": "שלום תודה תודה."}, ["words as they were said"]),
        ({"text": "תודה שלום."}, ["words as they were said"]),
        ({"sessions": 2}, ["streaming session opened once"]),
        ({"lines": LogLines(2, 2)}, ["streaming session opened once", "streaming session closed once"]),
        ({"lines": LogLines(1, 0)}, ["streaming session closed once"]),
        ({"streams_left": 1}, ["streaming session closed once"]),
        ({"close_code": 1006}, ["stream open to the end, closed cleanly"]),
        ({"closed_by": "server"}, ["stream open to the end, closed cleanly"]),
        ({"fallbacks": 1}, ["no recognizer failed"]),
        ({"violation": True}, ["no warning from Twilio"]),
        ({"sources": {"streaming": "single"}}, ["one final per utterance"]),
        ({"heard": ("streaming", "single")}, ["mode of each utterance"]),
        (
            {"heard": ("streaming",) * 3},
            ["mode of each utterance", "one final per utterance", "words as they were said"],
        ),
    ],
)
def test_a_finding_fails_its_own_line(changes: dict[str, Any], lines: list[str]) -> None:
    assert failed(flag_on(part(STREAMING, **changes))) == lines


def test_a_session_or_a_partial_with_the_flag_off_is_a_no_go() -> None:
    assert failed(flag_off(part(SINGLE, sessions=1))) == ["no streaming session"]
    assert failed(flag_off(part(SINGLE, heard=STREAMING, sources={"streaming": "final"}))) == [
        "no partials",
        "mode of each utterance",
    ]


def test_a_call_without_its_last_event_has_not_ended() -> None:
    assert "stream open to the end, closed cleanly" in failed(flag_on(part(STREAMING, ended=False)))


def test_a_real_recognizer_need_not_hear_the_voice_word_by_word_but_must_hear_something() -> None:
    lenient = RehearsalLimits(expect_words=False)

    assert failed(flag_on(part(STREAMING, text="משהו אחר", limits=lenient))) == []
    assert failed(flag_on(part(STREAMING, text="", limits=lenient))) == ["every final has text"]


def recorded(modes: tuple[str, ...], **changes: Any) -> RehearsedCall:
    """A call in which the caller played one recording, with a pause in it, to a real recognizer."""
    whole = part(modes, limits=RehearsalLimits(expect_words=False, real=True), **changes)
    observed = replace(whole.observed, said=(Said((), 0, 7900),))
    return replace(whole, observed=observed, modes=modes[:1], is_recorded=True)


def test_a_recording_may_have_pauses_in_which_utterances_end_but_each_needs_its_mode() -> None:
    assert failed(flag_on(recorded(STREAMING))) == []
    assert failed(flag_on(recorded(STREAMING, heard=FLIPPED))) == ["mode of each utterance"]


def test_a_real_recognizer_s_partials_may_come_at_any_pace_but_must_come() -> None:
    assert failed(flag_on(recorded(STREAMING, gap_s=1.1, partials=2))) == []
    assert failed(flag_on(recorded(STREAMING, partials=0))) == ["partials while speaking"]


def test_a_token_that_may_not_read_texts_sees_that_words_came_and_silence_has_its_reason() -> None:
    silent = recorded(STREAMING, text="")

    assert failed(flag_on(replace(silent, texts_hidden=True))) == []
    (check,) = (check for check in flag_on(replace(silent, why_unheard="It is silent.")) if not check.passed)
    assert (check.name, check.detail) == ("every final has text", "It is silent.")


def test_a_call_as_it_is_is_judged_by_the_mode_that_it_has() -> None:
    assert failed(as_is(part(STREAMING))) == failed(as_is(part(SINGLE))) == []
    assert failed(as_is(replace(part(SINGLE), modes=STREAMING))) != []


def test_the_verdict_is_the_last_line_and_a_failure_is_explained_above_it() -> None:
    out = StringIO()
    checks = [in_effect("a call", streaming=True, seconds=0.2), *flag_on(part(STREAMING, text="שלום."))]

    show(Console(file=out, width=140), checks)

    printed = out.getvalue()
    assert f"heard: {isolated('שלום.')}" in printed
    assert printed.splitlines()[-1] == f"NO-GO  1 of {len(checks)} checks failed"
    assert not is_go(checks)
    assert not is_go([])
    assert is_go(checks[:1])
