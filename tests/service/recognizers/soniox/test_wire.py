"""Soniox's messages as the adapter writes and reads them."""

import msgspec
import pytest
from soniox.types.realtime import RealtimeEvent

from batkol.answers import UNREADABLE
from batkol.recognizers.soniox.wire import MOST_CONTEXT, is_too_large, parse, soniox_language, start_message


def test_the_start_message_asks_for_mulaw_in_one_language_and_carries_no_key() -> None:
    start = msgspec.json.decode(start_message(model="stt-rt-v5", language="he", phrases=["בת קול"]))

    assert start == {
        "model": "stt-rt-v5",
        "audio_format": "mulaw",
        "sample_rate": 8000,
        "num_channels": 1,
        "language_hints": ["he"],
        "language_hints_strict": True,
        "context": {"terms": ["בת קול"]},
    }
    assert "context" not in msgspec.json.decode(start_message(model="m", language="he"))


def test_only_as_many_phrases_go_out_as_a_session_may_have() -> None:
    terms = msgspec.json.decode(start_message(model="m", language="he", phrases=["ל" * 97] * 500))["context"]["terms"]

    assert 90 < len(terms) < 100
    assert len(msgspec.json.encode({"terms": terms}).decode()) <= MOST_CONTEXT


@pytest.mark.parametrize(("bcp47", "code"), [("he-IL", "he"), ("iw-IL", "he"), ("en-US", "en"), ("ar", "ar")])
def test_a_language_has_two_letters(bcp47: str, code: str) -> None:
    assert soniox_language(bcp47) == code


def test_fields_that_are_not_known_are_let_pass() -> None:
    response = parse('{"tokens":[{"text":"a","is_final":true,"speaker":"1","confidence":0.5}],"trace":"x"}')

    assert (response.tokens[0].text, response.error_code, response.finished) == ("a", None, False)


def token(**fields: object) -> str:
    return msgspec.json.encode({"tokens": [{"text": "א", **fields}]}).decode()


@pytest.mark.parametrize(
    "message",
    [
        token(start_ms=300, end_ms=420, is_final=True),
        token(start_ms=None, end_ms=None, is_final=None),
        token(start_ms=300.0, end_ms=420.0),
        token(start_ms=-300, end_ms=2**70),
        token(confidence=None, speaker=None, language=None),
        '{"tokens": [], "final_audio_proc_ms": null, "total_audio_proc_ms": null}',
        '{"tokens": [], "error_code": 503, "error_type": null, "error_message": null}',
        '{"finished": true}',
        "{}",
    ],
)
def test_whatever_the_sdk_reads_is_read(message: str) -> None:
    theirs, ours = RealtimeEvent.validate_event(message), parse(message)

    assert [(each.text, each.start_ms, each.end_ms, each.is_final) for each in ours.tokens] == [
        (each.text, each.start_ms, each.end_ms, each.is_final) for each in theirs.tokens
    ]
    assert (ours.finished, ours.error_code) == (theirs.finished, theirs.error_code)
    assert (ours.heard_ms, ours.final_ms) == (theirs.total_audio_proc_ms or 0, theirs.final_audio_proc_ms or 0)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "null",
        "[]",
        "{",
        b"\xff\xfe",
        '{"tokens": [{}]}',
        '{"tokens": {"text": "a"}}',
        '{"finished": "perhaps"}',
        '{"error_code": "none"}',
        '{"x": ' + "[" * 100_000,
    ],
    ids=lambda message: str(message[:40]),
)
def test_what_the_sdk_does_not_read_is_unreadable(message: str | bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        RealtimeEvent.validate_event(message)
    with pytest.raises(UNREADABLE):
        parse(message)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (token(start_ms=300.5, end_ms=420.25), [("א", 300.5, 420.25)]),
        (token(text=None, start_ms=None), [("", None, None)]),
        ('{"tokens": null, "finished": null, "error_code": null}', []),
        (
            '{"tokens": [{"text": "null"}], "finished": null, "final_audio_proc_ms": 1.5, "total_audio_proc_ms": 2.5}',
            [("null", None, None)],
        ),
    ],
)
def test_null_and_a_fraction_are_read_in_every_field_though_the_sdk_does_not(
    message: str, said: list[tuple[str, float | None, float | None]]
) -> None:
    with pytest.raises(ValueError, match="validation error"):
        RealtimeEvent.validate_event(message)
    ours = parse(message)

    assert [(each.text, each.start_ms, each.end_ms) for each in ours.tokens] == said
    assert (ours.finished, ours.error_code) == (False, None)
    assert not is_too_large(ours)
