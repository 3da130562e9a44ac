"""Voices by their descriptions: one line a kind."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from batkol.telemetry.voice_metrics import VoiceCounts
from batkol.voices.behind import COOLING, NO_SOUND, BehindVoice
from batkol.voices.builtin import BuiltinVoice
from batkol.voices.espeak import EspeakVoice
from batkol.voices.google.sessions import Sessions
from batkol.voices.openai import OpenAIVoice
from batkol.voices.settings import VoiceSpec, google_language, google_name
from batkol.voices.voice import Voice


@dataclass(frozen=True, slots=True)
class VoiceParts:
    """Parts that the voices of a process share."""

    language: str
    """BCP-47, the callers'."""
    google: Sessions
    """The sessions at Google. Their owner closes them after the voices."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    """The variables in which `VoiceSpec.key_env` is looked up."""
    counts: VoiceCounts | None = None


def voice_of(spec: VoiceSpec, parts: VoiceParts, *, api_key: str = "", name: str = "") -> Voice:
    """Make a voice. `name` is its name in metrics and events, the kind without one; `api_key` goes before `key_env`.

    Raises `ConfigurationError` for a voice that is not installed. Nothing is connected yet: see `ConnectedVoice`.
    """
    key = api_key or parts.environ.get(spec.key_env, "")
    name = name or spec.kind
    match spec.kind:
        case "espeak":
            return EspeakVoice(language=parts.language)
        case "openai":
            return OpenAIVoice(url=spec.url, model=spec.model, voice=spec.name or "alloy", api_key=key, name=name)
        case "google":
            return _google(spec, parts, name)
        case "builtin":
            return BuiltinVoice()


def behind(first: Voice, second: Voice, spec: VoiceSpec, parts: VoiceParts) -> BehindVoice:
    """Put a second voice behind the first one, which `spec` describes. The pair closes both."""
    if parts.counts is None:
        return BehindVoice(first, second, within_s=spec.then_after_s)
    parts.counts.begin_at_zero(first.name, (NO_SOUND, COOLING, "cut_off", "deadline", "unavailable"))
    return BehindVoice(first, second, within_s=spec.then_after_s, on_switch=parts.counts.switched)


def _google(spec: VoiceSpec, parts: VoiceParts, name: str) -> Voice:
    """Import Google's messages where a voice of Google's is used, and nowhere else."""
    from batkol.voices.google.voice import GoogleVoice  # noqa: PLC0415

    language = google_language(parts.language)
    return GoogleVoice(parts.google, voice=google_name(spec.name, language), language=language, name=name)
