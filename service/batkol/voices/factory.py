"""Voices by their descriptions: one line a kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from batkol.errors import OnOutcome, unwatched
from batkol.named_specs import DEFAULT, settings_of
from batkol.telemetry.voice_metrics import VoiceCounts
from batkol.voices.behind import SWITCHES, BehindVoice
from batkol.voices.builtin import BuiltinVoice
from batkol.voices.espeak import EspeakVoice
from batkol.voices.google.sessions import Sessions
from batkol.voices.openai import OpenAIVoice
from batkol.voices.settings import VoiceSpec, google_language, google_name
from batkol.voices.voice import Voice

_GOOGLE: Final = "A key file that was missing is read at the next reply; restart after any other change."
"""The sentence about its settings: `GoogleEndpoint.start` looks for credentials until it has found some."""


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
    watch: Callable[[str, str], OnOutcome] = lambda _, __: unwatched
    """Takes note of what a voice's server answers. The second argument says where its settings are, a sentence."""


def voice_of(spec: VoiceSpec, parts: VoiceParts, *, api_key: str = "", name: str = "", entry: str = DEFAULT) -> Voice:
    """Make a voice. `name` is its name in metrics and events, the kind without one; `api_key` goes before `key_env`.

    `entry` is its name in the settings.

    Raises `ConfigurationError` for a voice that is not installed. Nothing is connected yet: see `ConnectedVoice`.
    """
    key = api_key or parts.environ.get(spec.key_env, "")
    name = name or spec.kind
    match spec.kind:
        case "espeak":
            return EspeakVoice(language=parts.language)
        case "openai":
            watch = parts.watch(entry, settings_of(entry, spec.key_env, "VOICE"))
            return OpenAIVoice(
                url=spec.url, model=spec.model, voice=spec.name or "alloy", api_key=key, name=name, on_outcome=watch
            )
        case "google":
            return _google(spec, parts, name, parts.watch(entry, _GOOGLE))
        case "builtin":
            return BuiltinVoice()


class VoicesByName:
    """The voices of a process by their names. Their settings were checked; `keys` has the secrets."""

    def __init__(self, specs: Mapping[str, VoiceSpec], keys: Mapping[str, str], parts: VoiceParts) -> None:
        self._specs = specs
        self._parts = parts
        self.alone: Mapping[str, Voice] = {
            name: voice_of(spec, parts, api_key=keys.get(name, ""), entry=name) for name, spec in specs.items()
        }
        """Voices without those behind them."""
        self.whole: Mapping[str, Voice] = {name: self._whole(name) for name in specs}

    async def aclose(self) -> None:
        """Close their connections."""
        for voice in self.alone.values():
            await voice.aclose()

    def _whole(self, name: str) -> Voice:
        """Return a voice with those behind it."""
        spec, voice = self._specs[name], self.alone[name]
        if not spec.then:
            return voice
        counts = self._parts.counts
        if counts is not None:
            counts.begin_at_zero(name, SWITCHES)
        on_switch = None if counts is None else partial(counts.switched, name)
        return BehindVoice(voice, self._whole(spec.then), within_s=spec.then_after_ms / 1000, on_switch=on_switch)


def _google(spec: VoiceSpec, parts: VoiceParts, name: str, watch: OnOutcome) -> Voice:
    """Import Google's messages where a voice of Google's is used, and nowhere else."""
    from batkol.voices.google.voice import GoogleVoice  # noqa: PLC0415

    language = google_language(parts.language)
    return GoogleVoice(
        parts.google, voice=google_name(spec.name, language), language=language, name=name, on_outcome=watch
    )
