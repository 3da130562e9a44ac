"""The recognizers that can be compared, by name: those that the settings of `batkol serve` make.

They come from the service's own composition (`app.recognizers`). All that this package knows of how one is made is in
this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any, Final

import structlog
from pydantic import ValidationError

from batkol.app.patience import Patience
from batkol.app.recognizers import call_recognizers, google_channels
from batkol.audio.ring import Ring
from batkol.compare.asking import ask
from batkol.compare.hearing import Hearing
from batkol.compare.known_speech import KnownSpeech
from batkol.compare.listening import Lose, OpenSession, force, listen
from batkol.environment import refusal
from batkol.errors import ConfigurationError
from batkol.recognizers.google.events import AudioDropped, AudioLost, StreamEvent
from batkol.settings import Settings
from batkol.speech.results import Transcript
from batkol.speech.utterance import Source
from batkol.telemetry.metrics import Metrics
from batkol.transcription.recognizers import Recognizer, Recognizers, Session

GOOGLE: Final = "google-v1/"
"""The beginning of the name of Google's streaming; its model follows."""


@dataclass(frozen=True, slots=True)
class ComparedRecognizer:
    """A recognizer under its name. Without `open_session` it takes single requests, without `single` it streams."""

    name: str
    open_session: OpenSession | None = None
    single: Recognizer | None = None
    pace: float = 1.0
    """Speed of a played sound in times real time; tests go faster."""

    @property
    def streams(self) -> bool:
        """Whether the recognizer hears a sound while it is played."""
        return self.open_session is not None

    async def hear(self, speech: KnownSpeech) -> Hearing:
        """Hear a sound. A fault of the recognizer is in the hearing."""
        if self.open_session is not None:
            return await listen(speech, self.open_session, pace=self.pace)
        if self.single is None:
            raise AssertionError("a recognizer streams, or takes single requests")
        return await ask(speech, self.single)

    async def force(self, speech: KnownSpeech) -> tuple[float | None, float]:
        """Hear a sound and be made to finish at its end: milliseconds to the last final, and seconds of audio."""
        if self.open_session is None:
            return None, 0.0
        return await force(speech, self.open_session, pace=self.pace)


def read_settings() -> Settings:
    """Read the environment of `batkol serve`. Raises `ConfigurationError`. What only a server needs may be missing."""
    try:
        return Settings(twilio_validate_signatures=False)
    except ValidationError as error:
        raise ConfigurationError(refusal(error)) from None


async def open_recognizers(
    names: Sequence[str], settings: Settings, stack: AsyncExitStack
) -> Sequence[ComparedRecognizer]:
    """Return the recognizers of these names; all that there are for none. Raises `ConfigurationError` for unknown ones.

    `stack` closes their connections.
    """
    metrics = await stack.enter_async_context(aclosing(Metrics()))
    channels = await google_channels(settings, stack)
    made = _by_name(call_recognizers(settings, channels, metrics, stack, Patience()), settings)
    if unknown := [name for name in names if name not in made]:
        raise ConfigurationError(
            f"there is no recognizer {unknown[0]!r} here; with these settings there are: {', '.join(made)}. Whisper "
            "needs WHISPER_URL or WHISPER_MODEL, another model of Google GCP_STT_MODEL."
        )
    return [made[name] for name in (names or made)]


def _by_name(recognizers: Recognizers, settings: Settings) -> Mapping[str, ComparedRecognizer]:
    streaming = f"{GOOGLE}{recognizers.speech.config.model or 'default'}"
    made = {streaming: ComparedRecognizer(streaming, open_session=_opener(recognizers, settings.stt_batch_ms))}
    names = {Source.SINGLE: "single", Source.WHISPER: "whisper"}
    for source, recognizer in recognizers.fallbacks:
        made[names[source]] = ComparedRecognizer(names[source], single=recognizer)
    return made


class _WholeSound:
    """The delegate of a session that needs all of its sound: a stretch that no stream answers is a fault."""

    def __init__(self, lose: Lose) -> None:
        self._lose = lose

    def needed(self) -> int:
        return 0

    def may_try(self) -> bool:
        return True

    def observe(self, event: StreamEvent) -> None:
        if isinstance(event, AudioLost | AudioDropped):
            self._lose("audio_lost", "A stretch of the sound was not answered by any stream.")


def _opener(recognizers: Recognizers, batch_ms: int) -> OpenSession:
    def open_session(on_transcript: Callable[[Transcript], None], ring: Ring, lose: Lose) -> Session:
        return recognizers.open_session(
            on_transcript,
            on_transcript,
            speech=recognizers.speech,
            ring=ring,
            start=0,
            batch_ms=batch_ms,
            delegate=_WholeSound(lose),
            log=_log,
        )

    return open_session


_log: Any = structlog.get_logger()
