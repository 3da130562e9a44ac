"""Soniox's rules for the start message and the key. See also `test_listener`."""

from typing import Any

import msgspec
import pytest

from batkol.recognizers.soniox.wire import start_message
from batkol.simulators.soniox.rules import Rate, SonioxRefusalError, check_key, read_start
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from support.soniox.heard import START

SETTINGS = SonioxDoubleSettings(api_key="right")


def _refused(**fields: Any) -> SonioxRefusalError:
    start = {name: value for name, value in {**START, **fields}.items() if value != "absent"}
    with pytest.raises(SonioxRefusalError) as refused:
        read_start(msgspec.json.encode(start).decode(), SETTINGS)
    assert refused.value.code == 400
    return refused.value


def test_what_the_service_sends_is_taken() -> None:
    start = read_start(start_message(model="stt-rt-v5", language="he", phrases=("בת קול",)), SETTINGS)

    assert (start.audio_format, start.sample_rate, start.language_hints) == ("mulaw", 8000, ["he"])
    assert start.language_hints_strict is True


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"api_key": "right"}, "Start request is malformed."),
        ({"languages": ["he"]}, "Start request is malformed."),
        ({"max_endpoint_delay_ms": 400}, "Start request is malformed."),
        ({"client_reference_id": "x" * 257}, "Start request is malformed."),
        ({"context": {"words": []}}, "Start request is malformed."),
        ({"model": "stt-rt-v2"}, "Invalid model specified."),
        ({"audio_format": "absent"}, "Missing audio format."),
        ({"audio_format": "avi"}, "Invalid audio data format: avi"),
        ({"sample_rate": "absent"}, "Audio data sample rate must be specified"),
        ({"num_channels": "absent"}, "Audio data channels must be specified"),
        ({"language_hints": ["hebrew"]}, "Invalid language hint."),
        ({"language_hints": ["he", "he"]}, "Language hints must be unique."),
        ({"context": {"terms": ["x" * 10_001]}}, "Context is too long"),
        ({"audio_format": "pcm_s16le", "sample_rate": 16000}, "The Soniox double does not play"),
        ({"audio_format": "auto"}, "The Soniox double does not play"),
        ({"enable_speaker_diarization": True}, "The Soniox double does not play"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_start_message_that_soniox_refuses_is_refused(fields: dict[str, Any], text: str) -> None:
    assert _refused(**fields).text.startswith(text)


def test_a_model_that_there_is_not_has_a_type_of_its_own() -> None:
    assert _refused(model="none").message["error_type"] == "model_not_available"


def test_the_start_message_is_a_text() -> None:
    with pytest.raises(SonioxRefusalError, match=r"Start request must be a text message\."):
        read_start(b"{}", SETTINGS)


@pytest.mark.parametrize(
    ("header", "text"),
    [(None, "Missing API key."), ("Basic right", "Missing API key."), ("Bearer wrong", "Invalid API key.")],
)
def test_the_key_comes_with_the_connection(header: str | None, text: str) -> None:
    with pytest.raises(SonioxRefusalError) as refused:
        check_key({} if header is None else {"Authorization": header}, SETTINGS)

    assert (refused.value.code, refused.value.text, refused.value.kind) == (401, text, "unauthenticated")
    check_key({"Authorization": "Bearer right"}, SETTINGS)


def test_a_rate_is_of_any_span_of_time() -> None:
    rate = Rate(2, 60.0)

    assert [rate.allows(now) for now in (0.0, 1.0, 2.0, 60.5, 60.6, 61.5)] == [True, True, False, True, False, True]
