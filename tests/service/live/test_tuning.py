"""`tuning.json`: what is accepted, what is refused, and with which sentence."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.errors import ConfigurationError
from batkol.live.tuning import BOUNDS, Tuning, parse_tuning
from support.properties import few_by_day

DEFAULTS = Tuning()
ATTRIBUTES = {
    "recognition.batchMilliseconds": "batch_ms",
    "recognition.partialDebounceMilliseconds": "partial_debounce_ms",
    "recognition.finalTimeoutMilliseconds": "final_timeout_ms",
    "endpointing.silenceMilliseconds": "silence_ms",
    "endpointing.minimumSpeechMilliseconds": "minimum_speech_ms",
    "endpointing.preRollMilliseconds": "pre_roll_ms",
}


def document(path: str, value: Any) -> bytes:
    section, field = path.split(".")
    return json.dumps({section: {field: value}}).encode()


def test_defaults_are_the_documented_ones() -> None:
    assert (DEFAULTS.batch_ms, DEFAULTS.partial_debounce_ms, DEFAULTS.final_timeout_ms) == (150, 180, 700)
    assert (DEFAULTS.silence_ms, DEFAULTS.minimum_speech_ms, DEFAULTS.pre_roll_ms) == (480, 96, 300)


def test_what_the_file_leaves_out_is_the_process_setting() -> None:
    defaults = Tuning(batch_ms=60, silence_ms=900)

    tuning = parse_tuning(b'{"revision": "7", "recognition": {"partialDebounceMilliseconds": 0}}', defaults)

    assert tuning == Tuning(batch_ms=60, silence_ms=900, partial_debounce_ms=0, revision="7")


def test_revision_defaults_to_what_sha256sum_prints() -> None:
    raw = b'{"recognition": {"batchMilliseconds": 200}}\n'

    assert parse_tuning(raw, DEFAULTS).revision == hashlib.sha256(raw).hexdigest()[:12]


@pytest.mark.parametrize(("path", "attribute"), ATTRIBUTES.items())
def test_bounds_belong_to_the_range_and_the_next_number_does_not(path: str, attribute: str) -> None:
    low, high = BOUNDS[path]

    assert getattr(parse_tuning(document(path, low), DEFAULTS), attribute) == low
    assert getattr(parse_tuning(document(path, high), DEFAULTS), attribute) == high
    for wrong in (low - 1, high + 1, "150", None, True, 20.5, [150]):
        with pytest.raises(ConfigurationError) as refused:
            parse_tuning(document(path, wrong), DEFAULTS)
        assert f"{path} must be a whole number of milliseconds from {low} to {high}." in str(refused.value)
        assert "keeps the last valid tuning" in str(refused.value)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'{"recognition": {"batchMs": 100}}', "there is no field recognition.batchMs"),
        (b'{"batchMilliseconds": 100}', "there is no field batchMilliseconds"),
        (b'{"recognition": 150}', "recognition must be a JSON object"),
        (b"[]", "the file must be a JSON object"),
        (b"null", "the file must be a JSON object"),
        (b'{"revision": 7}', "revision must be a text"),
        (b"", "is not JSON"),
        (b'{"recognition": {"batchMilli', "is not JSON"),
        (b"\xff\xfe{}", "is not JSON"),
    ],
)
def test_a_wrong_file_is_refused_with_a_sentence(raw: bytes, says: str) -> None:
    with pytest.raises(ConfigurationError, match=r"tuning\.json") as refused:
        parse_tuning(raw, DEFAULTS)

    assert says in str(refused.value)


def test_a_byte_order_mark_is_no_fault() -> None:
    assert parse_tuning(b"\xef\xbb\xbf{}", DEFAULTS).batch_ms == 150


@few_by_day(25)
@given(
    st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_any_bytes_are_a_tuning_or_a_refusal(raw: bytes) -> None:
    try:
        tuning = parse_tuning(raw, DEFAULTS)
    except ConfigurationError:
        return
    assert tuning.batch_ms == DEFAULTS.batch_ms


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"revision": "1", "revision": "2"}', "tuning.json: revision occurs twice in it."),
        (
            '{"recognition": {"batchMilliseconds": 100, "batchMilliseconds": 200}}',
            "tuning.json: recognition.batchMilliseconds occurs twice in it.",
        ),
        ('{"recognition": {}, "recognition": {"batchMilliseconds": 200}}', "tuning.json: recognition occurs twice"),
        ('{"recognition": {"batchMilliseconds": NaN}}', "NaN is not JSON"),
        ('{"recognition": {"batchMilliseconds": 1e999}}', "must be a whole number of milliseconds from 20 to 1000"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_a_reader_would_have_to_guess_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_tuning(text.encode(), DEFAULTS)
    assert says in str(refused.value)


def test_a_file_in_another_encoding_is_told_so() -> None:
    with pytest.raises(ConfigurationError, match="it is UTF-16; save it as UTF-8"):
        parse_tuning('{"revision": "1"}'.encode("utf-16"), DEFAULTS)
