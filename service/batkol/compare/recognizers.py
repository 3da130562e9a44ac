"""The recognizers that can be compared, by name: those that the settings of `batkol serve` make.

They come from the service's own composition (`app.recognizers`). All that this package knows of how one is made is in
this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any, Final

import structlog
from pydantic import ValidationError

from batkol.app.patience import Patience
from batkol.app.recognizers import call_recognizers, google_channels, google_recognizer, streaming_step
from batkol.audio.ring import Ring
from batkol.compare.asking import ask
from batkol.compare.hearing import Hearing
from batkol.compare.known_speech import KnownSpeech
from batkol.compare.listening import Lose, OpenSession, force, listen
from batkol.environment import refusal
from batkol.errors import ConfigurationError
from batkol.recognizers.names import SONIOX, check_name
from batkol.recognizers.streaming.errors import NOT_ENDED, SpeechError
from batkol.recognizers.streaming.events import AudioDropped, AudioLost, StreamEnded, StreamEvent
from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.recognizers.streaming.stream import Stream
from batkol.settings import Settings
from batkol.speech.results import Transcript
from batkol.speech.utterance import Source
from batkol.telemetry.metrics import Metrics
from batkol.transcription.recognizers import Recognizer, Recognizers, Session

_SINGLE_REQUESTS: Final = {Source.SINGLE: "single", Source.WHISPER: "whisper"}
"""The names of those that take single requests."""


@dataclass(frozen=True, slots=True)
class ComparedRecognizer:
    """A recognizer under its name. Without `open_session` it takes single requests, without `single` it streams."""

    name: str
    open_session: OpenSession | None = None
    single: Recognizer | None = None
    at_once: int = 0
    """Sounds that it may hear at once; 0: any number."""
    pace: float = 1.0
    """Speed of a played sound in times real time; tests go faster."""

    @property
    def streams(self) -> bool:
        """Whether the recognizer hears a sound while it is played."""
        return self.open_session is not None

    async def hear(self, speech: KnownSpeech) -> Hearing:
        """Hear a sound. A fault of the recognizer is in the hearing."""
        if self.open_session is not None:
            return await listen(speech, self.open_session, pace=self.pace, in_thread=True)
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
    google = google_recognizer(settings, await google_channels(settings, stack))
    recognizers = call_recognizers(settings, google, metrics, stack, Patience())
    single = {_SINGLE_REQUESTS[source]: recognizer for source, recognizer in recognizers.fallbacks}
    streaming = {step.name: step.recognizer for step in recognizers.streaming}
    for name in names:
        if name not in {*streaming, *single}:
            _refuse_unknown(name, settings, [*streaming, *single])
            streaming[name] = streaming_step(name, settings, google).recognizer
    made = {
        **{
            name: ComparedRecognizer(
                name,
                open_session=_opener(recognizers, each, settings.stt_batch_ms),
                at_once=each.traits.concurrency,
            )
            for name, each in streaming.items()
        },
        **{name: ComparedRecognizer(name, single=each) for name, each in single.items()},
    }
    return [made[name] for name in dict.fromkeys(names or made)]


def _refuse_unknown(name: str, settings: Settings, known: Sequence[str]) -> None:
    """Raise `ConfigurationError` for a name that no streaming recognizer has, or one whose key is missing."""
    there_are = f"with these settings there are: {', '.join(known)}"
    if name == _SINGLE_REQUESTS[Source.WHISPER]:
        raise ConfigurationError(f"whisper needs WHISPER_URL or WHISPER_MODEL; {there_are}.")
    try:
        check_name(name, language=settings.gcp_stt_language, soniox_models=settings.soniox_models)
        settings.check_soniox(chosen=name.startswith(f"{SONIOX}/"))
    except ValueError as error:
        raise ConfigurationError(f"{error}; {there_are}. Whisper needs WHISPER_URL or WHISPER_MODEL.") from None


class _WholeSound:
    """The delegate of a session that needs all of its sound: a stretch that no stream answers is a fault."""

    def __init__(self, lose: Lose) -> None:
        self._lose = lose

    def needed(self) -> int:
        return 0

    def may_try(self, _: StreamingRecognizer) -> bool:
        return True

    def has_another(self, _: StreamingRecognizer) -> bool:
        return False

    def another(self, _: StreamingRecognizer, __: SpeechError) -> None:
        """None takes over: the one that is compared hears all, or fails."""

    def observe(self, event: StreamEvent) -> None:
        match event:
            case AudioLost() | AudioDropped():
                self._lose("audio_lost", _LOST)
            case StreamEnded(stream=Stream(error=SpeechError(reason=reason))) if reason == NOT_ENDED:
                self._lose(NOT_ENDED, _NOT_ENDED)
            case _:
                pass


def _opener(recognizers: Recognizers, recognizer: StreamingRecognizer, batch_ms: int) -> OpenSession:
    def open_session(on_transcript: Callable[[Transcript], None], ring: Ring, lose: Lose) -> Session:
        return recognizers.open_session(
            on_transcript,
            on_transcript,
            recognizer=recognizer,
            options=recognizers.options,
            ring=ring,
            start=0,
            batch_ms=batch_ms,
            delegate=_WholeSound(lose),
            log=_log,
        )

    return open_session


_NOT_ENDED: Final = (
    "It answered nothing any more, so what it heard is not known: its vendor's fault, or the network's. Compare again."
)

_LOST: Final = (
    "Its streams broke or hung, and none answered a stretch of the sound: its vendor's fault, or the network's. "
    "Compare again, fewer at once (--at-once)."
)

_log: Any = structlog.get_logger()
