"""What `batkol call` prints of a call: how it ended, what the service refused, and what to do about it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from batkol.events.events import FinalText, ReplyEnded, ReplyFailed, ReplySentence
from batkol.simulators.call_page import how_it_ended, report_on, show, went_well
from batkol.simulators.client.call_record import CallWatch
from batkol.simulators.twilio.plan import CallOutcome, CallPlan, CallReport, StreamEnd
from batkol.terminal_text import isolated

SID = "CA" + "1" * 32
HUNG_UP, CLOSED = StreamEnd("caller", 1000, ""), StreamEnd("server", 1000, "")
REFUSED = StreamEnd("server", 1008, "no secret")
SALES = "+97230000007"


def report(**fields: Any) -> CallReport:
    given: dict[str, Any] = {"outcome": CallOutcome.COMPLETED, "http_status": 200, "streams": 1, "ends": [HUNG_UP]}
    return CallReport(SID, 0.02, **{**given, **fields})


def printed(told: CallReport, **plan: Any) -> str:
    page = io.StringIO()
    report_on(Console(file=page, width=200), told, CallPlan(base_url="http://127.0.0.1:9", **plan), CallWatch(SID))
    return page.getvalue()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "hung up by the caller (1000)"),
        ({"ends": [CLOSED]}, "closed by the service (1000)"),
        ({"ends": [StreamEnd("server", 1006, "")]}, "closed by the service (1006)"),
        ({"ends": [], "dialled": [SALES]}, f"transferred: the TwiML dialled {SALES}"),
        ({"ended_by_rest": True}, "ended by Twilio's REST API, as the service asked"),
        ({"ends": [], "left_codes": [1000]}, "its stream was left for other TwiML"),
        ({"ends": [], "streams": 0, "outcome": CallOutcome.APOLOGY}, "no stream"),
    ],
)
def test_who_ended_a_call_is_said(fields: dict[str, Any], said: str) -> None:
    assert how_it_ended(report(**fields)) == said
    assert said in printed(report(**fields))


def test_a_stream_that_was_refused_is_said_though_the_twiml_brought_another_one() -> None:
    told = report(streams=2, ends=[REFUSED, HUNG_UP])

    assert "refused a stream (1008: no secret); the TwiML went on with another stream. Its log line" in printed(told)
    assert not went_well(told)
    assert went_well(report(streams=2, ends=[CLOSED, HUNG_UP])), "a drain is no refusal"


@pytest.mark.parametrize(
    ("fields", "token", "said"),
    [
        ({"outcome": CallOutcome.WEBHOOK_FAILED, "http_status": 403}, None, "without a signature (403). Give the"),
        ({"outcome": CallOutcome.WEBHOOK_FAILED, "http_status": 403}, None, "TWILIO_AUTH_TOKEN"),
        ({"outcome": CallOutcome.WEBHOOK_FAILED, "http_status": 403}, "t", "refuses the signature (403)"),
        ({"outcome": CallOutcome.HANDSHAKE_FAILED, "handshake_status": 403}, None, "The media stream refuses requests"),
        ({"outcome": CallOutcome.HANDSHAKE_FAILED, "handshake_status": 404}, None, "refused with status 404"),
        ({"outcome": CallOutcome.WEBHOOK_FAILED, "http_status": 0}, None, "cannot be reached at http://127.0.0.1:9"),
        ({"outcome": CallOutcome.APOLOGY}, None, "has no free place"),
    ],
)
def test_a_call_that_the_service_did_not_take_has_a_sentence_with_a_remedy(
    fields: dict[str, Any], token: str | None, said: str
) -> None:
    assert said in printed(report(ends=[], streams=0, **fields), auth_token=token)


def test_a_service_that_made_no_sound_is_not_said_to_have_heard_none() -> None:
    """`0.0 s heard` reads as if the service had heard nothing."""
    silent, spoken = report(), report()
    spoken.ear.append(b"\x80" * 4000, 1.0)

    assert "heard" not in printed(silent)
    assert "the caller heard 0.5 s of the agent" in printed(spoken)


def test_what_the_agent_says_is_shown_as_it_is_heard() -> None:
    of: dict[str, Any] = {"call_sid": SID, "seq": 1, "at": 0.0, "reply_id": "MZ-r1", "turn": 1}
    rest: dict[str, Any] = dict.fromkeys(
        ("latency_ms", "text_ms", "first_token_ms", "first_piece_ms", "first_sound_ms", "commit_ms")
    )
    page = io.StringIO()
    for event in (
        ReplySentence(**of, index=0, text="שלום לך", begin_ms=0),
        ReplyEnded(**of, intended="שלום לך", heard="שלום", interrupted=True, **rest),
        ReplyFailed(**of, part="voice", reason="stalled"),
    ):
        show(Console(file=page, width=200), event, of_several=False)

    assert page.getvalue().splitlines() == [
        f"🔊 Agent: {isolated('שלום לך')}",
        f"   heard: {isolated('שלום')}",
        "   the voice failed: stalled",
    ]


def test_a_final_has_the_name_of_the_recognizer_that_gave_it() -> None:
    of: dict[str, Any] = {
        "call_sid": SID, "seq": 1, "at": 0.0, "utterance_id": "MZ-0", "index": 0, "text": "שלום", "mode": "streaming",
        "begin_ms": 0, "end_ms": 400, "words": 1, "partials": 1, "first_partial_ms": 300.0, "latency_ms": 493.2,
    }  # fmt: skip
    page = io.StringIO()
    for event in (FinalText(**of, source="final", recognizer="soniox/stt-rt-v5"), FinalText(**of, source="single")):
        show(Console(file=page, width=200), event, of_several=False)

    assert page.getvalue().splitlines() == [
        f"🟢 Final: {isolated('שלום')}  (soniox/stt-rt-v5, final, 493 ms)",
        f"🟢 Final: {isolated('שלום')}  (streaming, single, 493 ms)",
    ]
