"""A double of Google's text to speech on a free port, and the voice that is set to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from batkol.simulators.google_voice.server import GoogleVoiceDouble
from batkol.simulators.google_voice.settings import GoogleVoiceSettings
from batkol.voices.google.flight import KEEP_S
from batkol.voices.google.sessions import Sessions
from batkol.voices.google.voice import GoogleVoice
from batkol.voices.limits import VoiceLimits

VOICE, LANGUAGE = "he-IL-Chirp3-HD-Achernar", "he-IL"
QUICK = GoogleVoiceSettings(first_sound_s=0.0, spread_s=0.0, pace=40, jitter_s=0.005)
"""Quick, and no tidier than the usual one."""


class GoogleLine(NamedTuple):
    double: GoogleVoiceDouble
    voice: GoogleVoice
    sessions: Sessions
    address: str


@asynccontextmanager
async def google_line(
    settings: GoogleVoiceSettings = QUICK,
    limits: VoiceLimits | None = None,
    *,
    voice: str = VOICE,
    language: str = LANGUAGE,
    limit: int = 100,
    keep_s: float = KEEP_S,
    hold_s: float = 0.0,
) -> AsyncIterator[GoogleLine]:
    async with GoogleVoiceDouble(settings) as double:
        address = f"127.0.0.1:{await double.start()}"
        sessions = Sessions(endpoint=address, insecure=True, limit=limit)
        speaker = GoogleVoice(sessions, voice=voice, language=language, limits=limits, keep_s=keep_s, hold_s=hold_s)
        try:
            yield GoogleLine(double, speaker, sessions, address)
        finally:
            await speaker.aclose()
            await sessions.close()
