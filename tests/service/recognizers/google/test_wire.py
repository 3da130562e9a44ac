from datetime import timedelta
from typing import Any

import pytest
from google.cloud.speech_v1p1beta1.types import cloud_speech
from hypothesis import given
from hypothesis import strategies as st

from batkol.recognizers.google import wire
from batkol.speech.results import Portion, Word

HEBREW = wire.recognition("he-IL", "default", ("רחוב הרצל",))
LINEAR16 = cloud_speech.RecognitionConfig.AudioEncoding.LINEAR16
SENT = 99_000
Response = cloud_speech.StreamingRecognizeResponse


def test_the_first_message_is_configuration_only() -> None:
    opening = wire.opening(HEBREW)

    assert opening.WhichOneof("streaming_request") == "streaming_config"
    assert opening.streaming_config.interim_results is True
    assert opening.streaming_config.single_utterance is False
    config = opening.streaming_config.config
    assert (config.encoding, config.sample_rate_hertz, config.audio_channel_count) == (LINEAR16, 8000, 1)
    assert (config.language_code, config.model) == ("iw-IL", "default")
    assert config.enable_word_time_offsets is True


def test_punctuation_and_enhanced_models_are_not_asked_for() -> None:
    """Hebrew has neither in v1; partials must come without punctuation."""
    config = wire.opening(HEBREW).streaming_config.config

    assert config.enable_automatic_punctuation is False
    assert config.use_enhanced is False


def test_a_further_message_is_audio_only() -> None:
    message = wire.audio(b"\x01\x02")

    assert message.audio_content == b"\x01\x02"
    assert message.WhichOneof("streaming_request") == "audio_content"


def test_a_message_of_the_largest_audio_is_one_point_six_seconds() -> None:
    assert wire.MESSAGE_BYTES == 25_600
    assert wire.MESSAGE_BYTES / 2 / 8000 == 1.6


def test_the_single_request_carries_the_whole_utterance() -> None:
    request = wire.request(HEBREW, b"\x00\x01" * 800)

    assert request.audio.content == b"\x00\x01" * 800
    assert (request.config.encoding, request.config.sample_rate_hertz) == (LINEAR16, 8000)
    assert (request.config.language_code, request.config.model) == ("iw-IL", "default")


def test_phrases_are_given_as_one_context_or_none() -> None:
    with_phrases = wire.opening(HEBREW).streaming_config.config.speech_contexts
    assert [list(context.phrases) for context in with_phrases] == [["רחוב הרצל"]]
    asked = wire.request(HEBREW, b"").config.speech_contexts
    assert [list(context.phrases) for context in asked] == [["רחוב הרצל"]]
    assert not wire.opening(wire.recognition("he-IL", "default")).streaming_config.config.speech_contexts
    assert not wire.request(wire.recognition("he-IL", "default"), b"").config.speech_contexts


def test_building_a_configuration_maps_the_language_and_the_model() -> None:
    assert wire.recognition("he-IL", "phone_call") == wire.RecognitionConfig("iw-IL", "default")


def _raw(*results: Any) -> Any:
    return Response.pb(Response(results=list(results)))


def _result(text: str, seconds: float, *, final: bool, words: Any = (), stability: float = 0.0) -> Any:
    return cloud_speech.StreamingRecognitionResult(
        alternatives=[cloud_speech.SpeechRecognitionAlternative(transcript=text, words=words)],
        is_final=final,
        stability=stability,
        result_end_time=timedelta(seconds=seconds),
    )


def test_all_results_of_a_response_are_read_in_order() -> None:
    """Reading only the first one loses the interim behind a final."""
    raw = _raw(_result("אחת", 1.5, final=True), _result(" שתיים", 2.25, final=False, stability=0.5))

    assert wire.portions(raw, SENT) == [
        Portion(text="אחת", end=12_000, final=True),
        Portion(text=" שתיים", end=18_000, final=False, stability=0.5),
    ]


def test_words_come_with_their_samples() -> None:
    word = cloud_speech.WordInfo(word="שלום", start_time=timedelta(milliseconds=100), end_time=timedelta(seconds=1.1))

    (portion,) = wire.portions(_raw(_result("שלום", 1.2, final=True, words=[word])), SENT)

    assert portion.words == (Word("שלום", 800, 8800),)


def test_a_result_without_alternatives_has_no_text_and_keeps_its_end() -> None:
    """It takes back what interims said of its audio."""
    empty = cloud_speech.StreamingRecognitionResult(is_final=True, result_end_time=timedelta(seconds=2))

    assert wire.portions(_raw(empty, _result("כן", 3, final=False)), SENT) == [
        Portion(text="", end=16_000, final=True),
        Portion(text="כן", end=24_000, final=False),
    ]


def test_a_final_without_its_end_reaches_to_the_end_of_its_last_word() -> None:
    word = cloud_speech.WordInfo(word="שלום", start_time=timedelta(milliseconds=100), end_time=timedelta(seconds=1.1))
    final = _result("שלום", 0, final=True, words=[word])
    del final.result_end_time

    (portion,) = wire.portions(_raw(final), SENT)

    assert (portion.end, portion.dated, portion.guessed) == (8800, False, False)


def test_a_result_without_its_end_and_without_words_reaches_as_far_as_the_audio_sent() -> None:
    bare = cloud_speech.StreamingRecognitionResult(is_final=True)

    portions = wire.portions(_raw(bare, _result("כן", 0, final=False)), SENT)

    assert [portion.end for portion in portions] == [SENT, SENT]
    assert all(portion.guessed for portion in portions)


@pytest.mark.parametrize("event", [1, 2, 3])
def test_a_response_that_is_only_an_event_has_no_portions(event: int) -> None:
    assert wire.portions(Response.pb(Response(speech_event_type=event)), SENT) == []


@given(st.integers(1000, 305_000_000))
def test_times_are_read_to_the_sample(microseconds: int) -> None:
    result = _result("x", 0, final=False)
    result.result_end_time = timedelta(microseconds=microseconds)

    (portion,) = wire.portions(_raw(result), SENT)

    assert portion.end == microseconds * 8 // 1000


def test_a_transcript_joins_its_results_as_google_spaces_them() -> None:
    results = [
        cloud_speech.SpeechRecognitionResult(
            alternatives=[cloud_speech.SpeechRecognitionAlternative(transcript=text) for text in texts]
        )
        for texts in (["שלום", "שלומות"], [], [" לכולם"])
    ]
    response = cloud_speech.RecognizeResponse(results=results)

    assert wire.transcript(cloud_speech.RecognizeResponse.pb(response)) == "שלום לכולם"


def test_no_results_are_no_words() -> None:
    assert wire.transcript(cloud_speech.RecognizeResponse.pb(cloud_speech.RecognizeResponse())) == ""
