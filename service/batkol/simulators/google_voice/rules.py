"""Google's rules for a session, with its codes.

`WITHOUT_INPUT` is Google's text (livekit/agents 2406), the others follow those of its single requests.
"""

from __future__ import annotations

from typing import Any, Final

import grpc
from google.cloud.texttospeech_v1.types import cloud_tts

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.simulators.google_voice.settings import STREAMING, GoogleVoiceSettings

WITHOUT_INPUT: Final = (
    "Stream aborted due to long duration elapsed without input sent. Input must be sent continuously, at least every "
    "5s seconds."
)
TOO_MANY: Final = "Quota exceeded for quota metric 'Concurrent streaming sessions' of service 'texttospeech'."
TOO_OFTEN: Final = "Quota exceeded for quota metric 'Chirp3 requests' and limit 'Chirp3 requests per minute'."
TOO_LONG: Final = "Either `input.text` or `input.ssml` is longer than the limit of 5000 bytes."

_E: Final = cloud_tts.AudioEncoding
_STREAMED: Final = (_E.PCM, _E.ALAW, _E.MULAW, _E.OGG_OPUS)


class SessionRefusal(Exception):  # noqa: N818 -- it is an answer, as Google gives it
    """The session ends with this status."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def invalid(text: str) -> SessionRefusal:
    """Return the refusal of a request that can never work."""
    return SessionRefusal(grpc.StatusCode.INVALID_ARGUMENT, text)


def unplayed(what: str) -> SessionRefusal:
    """Return the refusal of what Google knows and the double does not."""
    return SessionRefusal(grpc.StatusCode.UNIMPLEMENTED, f"The double does not play {what}; Google does.")


def check_first(request: Any, settings: GoogleVoiceSettings) -> Any:
    """Check the first message; return its configuration. Raises `SessionRefusal`."""
    if request.WhichOneof("streaming_request") != "streaming_config":
        raise invalid("The first message must have streaming_config and no input.")
    config = request.streaming_config
    _check_voice(config.voice, settings)
    audio = config.streaming_audio_config
    if audio.audio_encoding not in _STREAMED:
        raise invalid("Unsupported audio encoding: streaming supports PCM, ALAW, MULAW and OGG_OPUS.")
    if audio.speaking_rate and not 0.25 <= audio.speaking_rate <= 2.0:
        raise invalid("The speaking rate must be from 0.25 to 2.0.")
    if audio.audio_encoding != _E.MULAW or audio.sample_rate_hertz != SAMPLE_RATE:
        raise unplayed("other sound than mu-law at 8000 Hz")
    if audio.speaking_rate not in (0.0, 1.0) or config.HasField("custom_pronunciations"):
        raise unplayed("speaking rates and pronunciations")
    return config


def _check_voice(voice: Any, settings: GoogleVoiceSettings) -> None:
    if not voice.language_code:
        raise invalid("Language code must be set.")
    if voice.name not in settings.voices:
        raise invalid(f"Voice '{voice.name}' does not exist. Is it misspelled?")
    language = "-".join(voice.name.split("-")[:2])
    if voice.language_code.lower() != language.lower():
        raise invalid(
            f"Requested language code '{voice.language_code}' doesn't match the voice '{voice.name}''s language code "
            f"'{language}'. Either send language code in '{language}' or choose another voice."
        )
    if STREAMING not in voice.name:
        raise invalid("Currently, only Chirp 3: HD voices are supported in streaming synthesis.")


def check_further(request: Any) -> str:
    """Check a further message; return its text. Raises `SessionRefusal`."""
    if request.WhichOneof("streaming_request") != "input":
        raise invalid("All messages after the first must have input and no streaming_config.")
    source = request.input.WhichOneof("input_source")
    if request.input.HasField("prompt"):
        raise invalid("The voice is not controllable: prompt cannot be used.")
    if source == "multi_speaker_markup":
        raise invalid("The voice does not support multi-speaker markup.")
    if source == "markup":
        raise unplayed("markup")
    text = str(request.input.text)
    if not text.strip():
        raise invalid("The input has no text.")
    if text.lstrip().startswith("<speak"):
        raise invalid("SSML is not supported in streaming synthesis.")
    return text
