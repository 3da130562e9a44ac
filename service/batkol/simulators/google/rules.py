"""Google's rules for requests, with its codes and its texts.

Texts as users have reported them: googleapis/nodejs-speech 173 and 269, GoogleCloudPlatform/nodejs-docs-samples 420 and
525, GoogleCloudPlatform/python-docs-samples 12053, home-assistant/core 128330, jambonz-feature-server 919.
"""

from __future__ import annotations

from typing import Any, Final

import grpc
from google.cloud.speech_v1p1beta1.types import cloud_speech

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.simulators.google.refusals import DETAILS, details
from batkol.simulators.google.settings import DoubleSettings

STREAM_LIMIT: Final = "Exceeded maximum allowed stream duration of 305 seconds."
NO_AUDIO: Final = "Audio Timeout Error: Long duration elapsed without audio. Audio should be sent close to real time."
TOO_FAST: Final = "Audio data is being streamed too fast. Please stream audio data approximately at real time."
MALORDERED: Final = "Malordered Data Received. Send exactly one config, followed by audio data."
MALORDERED_AUDIO: Final = (
    "Malordered Data Received. Expected audio_content none was set. Send exactly one config, followed by audio data."
)
CHUNK_TOO_LONG: Final = "Audio chunk can be of a maximum of 25600 bytes"
SYNC_TOO_LONG: Final = (
    "Sync input too long. For audio longer than 1 min use LongRunningRecognize with a 'uri' parameter."
)
PAYLOAD_TOO_LARGE: Final = "Request payload size exceeds the limit: 10485760 bytes."
MODEL_NOT_SUPPORTED: Final = (
    "Invalid recognition 'config': The requested model is currently not supported for language : iw-IL."
)
BAD_ENCODING: Final = "Invalid recognition 'config': bad encoding."
BAD_RATE: Final = "Invalid recognition 'config': bad sample rate hertz."
BAD_LANGUAGE: Final = "Invalid recognition 'config': bad language code."
TOO_MANY_PHRASES: Final = "Invalid recognition 'config': speech context phrases are too many or too long."
NO_AUDIO_CONTENT: Final = "RecognitionAudio not set."

MOST_PHRASES: Final = 5000
LONGEST_PHRASE: Final = 100
"""Characters; both limits from https://cloud.google.com/speech-to-text/quotas. The text above is not a vendor's."""

LANGUAGE: Final = "iw-il"
"""The language code of Hebrew in responses, whichever of its two codes the request has."""

_LANGUAGES: Final = frozenset({"he-il", "iw-il"})
_ENCODING: Final = cloud_speech.RecognitionConfig.AudioEncoding
_BYTES_A_SAMPLE: Final = {int(_ENCODING.LINEAR16): 2, int(_ENCODING.MULAW): 1}


class RefusalError(Exception):
    """The request ends with this status. The text is Google's, and so is the word, if it has one (`refusals`)."""

    def __init__(self, code: grpc.StatusCode, text: str, word: str = "") -> None:
        super().__init__(f"{code.name}: {text}")
        self.code = code
        self.text = text
        self.word = word

    @property
    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        """The trailing metadata that go with it."""
        return ((DETAILS, details(self.word)),) if self.word else ()


def invalid(text: str) -> RefusalError:
    """Return the refusal of a request that can never work."""
    return RefusalError(grpc.StatusCode.INVALID_ARGUMENT, text)


def check_config(config: Any, settings: DoubleSettings) -> int:
    """Check a raw `RecognitionConfig` and return the bytes that one of its samples has: 2 linear, 1 mu-law.

    Raises `RefusalError`. Stricter than Google in one thing: only 8 kHz and Hebrew are heard here.
    """
    if (size := _BYTES_A_SAMPLE.get(config.encoding)) is None:
        raise invalid(BAD_ENCODING)
    if config.sample_rate_hertz != SAMPLE_RATE:
        raise invalid(BAD_RATE)
    if config.language_code.lower() not in _LANGUAGES:
        raise invalid(BAD_LANGUAGE)
    if config.model not in settings.models:
        raise invalid(MODEL_NOT_SUPPORTED)
    if config.audio_channel_count > 1:
        raise _unplayed("several channels")
    phrases = [phrase for context in config.speech_contexts for phrase in context.phrases]
    if len(phrases) > MOST_PHRASES or any(len(phrase) > LONGEST_PHRASE for phrase in phrases):
        raise invalid(TOO_MANY_PHRASES)
    return size


def check_streaming(config: Any, settings: DoubleSettings) -> int:
    """Check a raw `StreamingRecognitionConfig`; returns and raises as `check_config` does."""
    if config.single_utterance or config.enable_voice_activity_events:
        raise _unplayed("single_utterance or voice activity events")
    return check_config(config.config, settings)


def check_unary(request: Any, settings: DoubleSettings) -> int:
    """Check a raw `RecognizeRequest`; returns and raises as `check_config` does."""
    size = check_config(request.config, settings)
    content = request.audio.content
    if not content:
        raise invalid(NO_AUDIO_CONTENT)
    if len(content) > settings.unary_limit_bytes:
        raise invalid(PAYLOAD_TOO_LARGE)
    if len(content) > settings.unary_limit_s * SAMPLE_RATE * size:
        raise invalid(SYNC_TOO_LONG)
    return size


def _unplayed(what: str) -> RefusalError:
    return RefusalError(grpc.StatusCode.UNIMPLEMENTED, f"The speech double does not play {what}; Google does.")
