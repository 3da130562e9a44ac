"""The recognizers of the calls, made of settings: connections to Google, fallbacks in their order, health check."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress

from batkol.app.patience import Patience
from batkol.audio.mulaw import SAMPLE_RATE
from batkol.errors import ConfigurationError
from batkol.google_api.hosts import is_google
from batkol.recognizers import names
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.check import GoogleCheck
from batkol.recognizers.google.recognizer import SingleRecognizer
from batkol.recognizers.google.streaming import GoogleRecognizer, traits
from batkol.recognizers.google.wire import recognition
from batkol.recognizers.settings import GOOGLE_LIMIT_S
from batkol.recognizers.soniox.recognizer import SonioxRecognizer
from batkol.recognizers.soniox.recognizer import traits as soniox_traits
from batkol.recognizers.streaming.errors import SpeechError
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.recognizers.whisper.http import WhisperServer
from batkol.recognizers.whisper.local import LocalWhisper
from batkol.settings import Settings
from batkol.speech.punctuation import punctuate
from batkol.speech.utterance import Source
from batkol.telemetry.metrics import Metrics
from batkol.transcription.health import CHECK_TIMEOUT, Health
from batkol.transcription.recognizers import Recognizer, Recognizers
from batkol.transcription.streaming_step import StreamingStep


async def google_channels(settings: Settings, stack: AsyncExitStack) -> Channels:
    """Open the connections to Google, which `stack` closes."""
    channels = Channels(
        endpoint=settings.gcp_stt_endpoint, insecure=settings.gcp_stt_insecure, limit=settings.stt_max_streams
    )
    stack.push_async_callback(channels.close)
    with suppress(SpeechError):  # without credentials Whisper can still hear: the check says what is missing
        await channels.start()
    return channels


def google_recognizer(settings: Settings, channels: Channels, model: str = "") -> GoogleRecognizer:
    """Return Google's streams over those connections, by default with GCP_STT_MODEL."""
    return GoogleRecognizer(
        channels,
        recognition(settings.gcp_stt_language, model or settings.gcp_stt_model, settings.stt_phrases),
        traits=traits(
            rotate_after=settings.stt_rotate_after_s,
            rotate_by=settings.stt_rotate_by_s,
            replay_rate=settings.stt_replay_rate,
            concurrency=settings.stt_max_streams,
            limit=GOOGLE_LIMIT_S if is_google(settings.gcp_stt_endpoint) else None,
        ),
    )


def soniox_recognizer(settings: Settings, model: str) -> SonioxRecognizer:
    """Return Soniox's sessions with that model."""
    return SonioxRecognizer(
        key=settings.soniox_api_key,
        model=model,
        language=settings.gcp_stt_language,
        traits=soniox_traits(replay_rate=settings.stt_replay_rate, concurrency=settings.soniox_max_streams),
        url=settings.soniox_url,
        phrases=settings.stt_phrases,
    )


def call_recognizers(
    settings: Settings,
    google: GoogleRecognizer,
    metrics: Metrics,
    stack: AsyncExitStack,
    patience: Patience,
    *,
    in_force: Sequence[str] = (),
) -> Recognizers:
    """Return the streaming recognizers, and the fallbacks in the order in which they are asked.

    `in_force`: the names of the streaming ones; by default those of the settings.
    """
    single = SingleRecognizer(google.channels, google.config, deadline=patience.single)
    fallbacks: list[tuple[Source, Recognizer]] = [(Source.SINGLE, single)]
    whisper = _whisper(settings)
    if whisper is not None:
        stack.push_async_callback(whisper.close)
        fallbacks.append((Source.WHISPER, whisper))
    options = StreamingOptions(
        on_written=metrics.audio_written,
        on_rotation_failed=metrics.rotation_failed,
        close_timeout=patience.close,
        stall=patience.stall,
        replay_limit=int(settings.stt_replay_limit_s * SAMPLE_RATE),
    )
    return Recognizers(
        streaming=tuple(streaming_step(name, settings, google) for name in in_force or settings.recognizers),
        options=options,
        fallbacks=tuple(fallbacks),
        punctuate=punctuate,
    )


def streaming_step(name: str, settings: Settings, google: GoogleRecognizer) -> StreamingStep:
    """Return the streaming recognizer of that name; settings and tuning have refused every other name."""
    if name == google.name:
        return StreamingStep(google, stands_with_single=True)
    api, _, model = name.partition("/")
    match api:
        case names.GOOGLE_V1:
            return StreamingStep(google_recognizer(settings, google.channels, model), stands_with_single=True)
        case names.SONIOX:
            return StreamingStep(soniox_recognizer(settings, model))
        case _:
            raise ConfigurationError(f"{name!r} is no recognizer of this service")


def _whisper(settings: Settings) -> WhisperServer | LocalWhisper | None:
    language = settings.gcp_stt_language.partition("-")[0].replace("iw", "he")
    if settings.whisper_url:
        return WhisperServer(
            url=settings.whisper_url,
            model=settings.whisper_model or "whisper-1",
            language=language,
            api_key=settings.whisper_api_key,
            timeout=settings.whisper_timeout_s,
        )
    if settings.whisper_model:
        return LocalWhisper(model=settings.whisper_model, language=language)
    return None


def recognizer_health(
    settings: Settings, recognizers: Recognizers, google: GoogleRecognizer, patience: Patience
) -> Health:
    """Return the check that asks Google while a step is refused."""
    channels = google.channels
    check = GoogleCheck(channels, SingleRecognizer(channels, google.config, deadline=CHECK_TIMEOUT))
    at_start = settings.stt_check_at_start or not channels.has_credentials
    return Health(recognizers, check, check_at_start=at_start, ask_every=patience.ask)
