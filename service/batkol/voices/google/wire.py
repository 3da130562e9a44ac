"""Google's messages (google/cloud/texttospeech/v1/cloud_tts.proto).

Raw, without the library's wrappers, which are work for nothing.
"""

from __future__ import annotations

from typing import Any, Final

import grpc
from google.cloud.texttospeech_v1.types import cloud_tts

from batkol.audio.mulaw import SAMPLE_RATE

LARGEST_INPUT: Final = 5000
"""Bytes of text in a request, Google's limit. Whether a session counts as one request, Google does not say."""

_SERVICE: Final = "/google.cloud.texttospeech.v1.TextToSpeech"
_REQUEST: Final = cloud_tts.StreamingSynthesizeRequest.pb()
_RESPONSE: Final = cloud_tts.StreamingSynthesizeResponse.pb()
_LIST: Final = cloud_tts.ListVoicesRequest.pb()
_LISTED: Final = cloud_tts.ListVoicesResponse.pb()


def streaming_synthesize(channel: grpc.aio.Channel, timeout_s: float) -> Any:
    """Begin a session: a stream of requests and responses."""
    method = channel.stream_stream(
        f"{_SERVICE}/StreamingSynthesize",
        request_serializer=_REQUEST.SerializeToString,
        response_deserializer=_RESPONSE.FromString,
    )
    return method(timeout=timeout_s)


def opening(voice: str, language: str) -> Any:
    """Return the first message of a session: the configuration alone."""
    audio = cloud_tts.StreamingAudioConfig(audio_encoding=cloud_tts.AudioEncoding.MULAW, sample_rate_hertz=SAMPLE_RATE)
    selected = cloud_tts.VoiceSelectionParams(name=voice, language_code=language)
    config = cloud_tts.StreamingSynthesizeConfig(voice=selected, streaming_audio_config=audio)
    return cloud_tts.StreamingSynthesizeRequest.pb(cloud_tts.StreamingSynthesizeRequest(streaming_config=config))


def text(piece: str) -> Any:
    """Return each further message of a session: a complete sentence."""
    request = _REQUEST()
    request.input.text = piece
    return request


async def voice_names(channel: grpc.aio.Channel, language: str, timeout_s: float) -> set[str]:
    """Ask for the names of the voices of a language. Raises `grpc.RpcError`."""
    method = channel.unary_unary(
        f"{_SERVICE}/ListVoices", request_serializer=_LIST.SerializeToString, response_deserializer=_LISTED.FromString
    )
    listed: Any = await method(_LIST(language_code=language), timeout=timeout_s)
    return {voice.name for voice in listed.voices}
