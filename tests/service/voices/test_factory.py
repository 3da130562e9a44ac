"""Voices by their descriptions."""

from __future__ import annotations

from dataclasses import replace

from batkol.telemetry.metrics import Metrics
from batkol.voices.behind import BehindVoice
from batkol.voices.builtin import BuiltinVoice
from batkol.voices.espeak import EspeakVoice
from batkol.voices.factory import VoiceParts, VoicesByName, voice_of
from batkol.voices.google.sessions import Sessions
from batkol.voices.google.voice import GoogleVoice
from batkol.voices.openai import OpenAIVoice
from batkol.voices.settings import VoiceSpec
from support.voices.double import KEY, MODEL, line
from support.voices.google import google_line
from support.voices.pieces import joined, spoken, words_of


def parts(sessions: Sessions | None = None, **environ: str) -> VoiceParts:
    return VoiceParts(
        language="he-IL", google=sessions or Sessions(endpoint="127.0.0.1:9", insecure=True), environ=environ
    )


async def test_each_kind_is_a_voice_with_the_name_it_is_given() -> None:
    kinds = (
        (VoiceSpec(), BuiltinVoice),
        (VoiceSpec(kind="espeak"), EspeakVoice),
        (VoiceSpec(kind="openai", url="http://127.0.0.1:9/v1", model="m"), OpenAIVoice),
        (VoiceSpec(kind="google"), GoogleVoice),
    )
    for spec, made in kinds:
        voice = voice_of(spec, parts())
        assert isinstance(voice, made)
        assert voice.name == spec.kind
        await voice.aclose()
    assert voice_of(VoiceSpec(kind="google"), parts(), name="spare").name == "spare"


async def test_the_key_comes_from_the_variable_that_the_entry_names() -> None:
    async with line() as at:
        spec = VoiceSpec(kind="openai", url=at.url, model=MODEL, key_env="SPARE_KEY")
        at.double.settings = type(at.double.settings)(api_key=KEY, first_byte_s=0, pace=0)
        voice = voice_of(spec, parts(SPARE_KEY=KEY))

        assert words_of(joined(await spoken(voice, "שלום"), 0).mulaw) == ["שלום"]
        await voice.aclose()


async def test_a_voice_of_google_speaks_with_the_language_of_the_callers() -> None:
    async with google_line() as at:
        voice = voice_of(VoiceSpec(kind="google", name="Kore"), parts(at.sessions))

        assert words_of(joined(await spoken(voice, "שלום"), 0).mulaw) == ["שלום"]
        assert (at.double.records[0].voice, at.double.records[0].language) == ("he-IL-Chirp3-HD-Kore", "he-IL")


async def test_each_voice_has_those_behind_it_and_switches_are_counted_by_its_name() -> None:
    metrics = Metrics()
    specs = {"default": VoiceSpec(kind="google", then="spare", then_after_ms=500), "spare": VoiceSpec()}
    voices = VoicesByName(specs, {}, replace(parts(), counts=metrics.voices))

    assert isinstance(voices.whole["default"], BehindVoice)
    assert voices.whole["spare"] is voices.alone["spare"]
    assert words_of(joined(await spoken(voices.whole["default"], "שלום"), 0).mulaw) == ["שלום"]
    counted = [
        line for line in metrics.render().decode().splitlines() if line.startswith("batkol_voice_switches_total{")
    ]
    assert any(
        'voice="default"' in line and 'reason="unavailable"' in line and line.endswith(" 1.0") for line in counted
    )
    assert any('reason="no_sound"' in line and line.endswith(" 0.0") for line in counted)
    await voices.aclose()
    await metrics.aclose()
