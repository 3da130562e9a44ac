"""A voice double on a free port, and the voice that is set to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from batkol.simulators.speaker.server import VoiceDouble
from batkol.simulators.speaker.settings import SpeakerSettings
from batkol.voices.limits import VoiceLimits
from batkol.voices.openai import OpenAIVoice

QUICK = SpeakerSettings(first_byte_s=0.0, pace=0)
MODEL, NAME, KEY = "tts-1", "alloy", "sk-secret-of-the-test"


class Line(NamedTuple):
    double: VoiceDouble
    voice: OpenAIVoice
    url: str


def voice_at(url: str, limits: VoiceLimits | None = None, *, key: str = KEY) -> OpenAIVoice:
    return OpenAIVoice(url=url, model=MODEL, voice=NAME, api_key=key, limits=limits)


@asynccontextmanager
async def line(settings: SpeakerSettings = QUICK, limits: VoiceLimits | None = None) -> AsyncIterator[Line]:
    async with VoiceDouble(settings) as double:
        url = f"http://127.0.0.1:{await double.start()}/v1"
        voice = voice_at(url, limits)
        try:
            yield Line(double, voice, url)
        finally:
            await voice.aclose()
