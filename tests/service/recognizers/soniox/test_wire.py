"""Soniox's messages as the adapter writes and reads them."""

import msgspec
import pytest

from batkol.recognizers.soniox.wire import MOST_CONTEXT, parse, soniox_language, start_message


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
