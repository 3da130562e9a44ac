"""Descriptions of voices: what is refused, and the whole names of Google's voices."""

from __future__ import annotations

import msgspec
import pytest

from batkol.voices.settings import VoiceSpec, google_language, google_name


@pytest.mark.parametrize(
    ("given", "code"), [("he-IL", "he-IL"), ("iw-IL", "he-IL"), ("he", "he-IL"), ("en-US", "en-US")]
)
def test_google_has_its_own_codes_of_languages(given: str, code: str) -> None:
    assert google_language(given) == code


@pytest.mark.parametrize(
    ("name", "language", "whole"),
    [
        ("", "iw-IL", "he-IL-Chirp3-HD-Achernar"),
        ("Kore", "en-US", "en-US-Chirp3-HD-Kore"),
        ("he-IL-Chirp3-HD-Puck", "he-IL", "he-IL-Chirp3-HD-Puck"),
    ],
)
def test_a_short_name_is_one_of_the_language(name: str, language: str, whole: str) -> None:
    assert google_name(name, language) == whole


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"kind": "openai", "url": "https://voice.example.com/v1"}, "needs url and model"),
        ({"kind": "openai", "url": "https://v.example.com/v1/audio/speech", "model": "m"}, "must end before"),
        ({"kind": "google", "name": "en-US-Chirp3-HD-Kore"}, "the callers' language is he-IL"),
        ({"kind": "google", "name": "he-IL-Wavenet-A"}, "does not stream"),
        ({"kind": "builtin", "then": "spare", "thenAfterMs": 0}, "100 to 10000"),
    ],
)
def test_what_cannot_speak_is_refused(entry: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        msgspec.convert(entry, VoiceSpec).check("he-IL")


def test_an_entry_of_the_map_is_read_and_what_is_misspelled_is_not() -> None:
    entry = b'{"kind": "openai", "url": "https://v.example.com/v1", "model": "m", "keyEnv": "SPARE", "then": "b"}'
    spec = msgspec.json.decode(entry, type=VoiceSpec)
    spec.check("he-IL")

    assert (spec.key_env, spec.then, spec.then_after_ms) == ("SPARE", "b", 2000)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"kind": "google", "colour": "red"}', type=VoiceSpec)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"kind": "parrot"}', type=VoiceSpec)
