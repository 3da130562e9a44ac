"""The single request: one utterance, one answer."""

from __future__ import annotations

import asyncio
from typing import Final

from google.api_core import exceptions
from google.cloud.speech_v1p1beta1.types import cloud_speech

from batkol.audio import mulaw
from batkol.google import wire
from batkol.google.channels import Channels
from batkol.google.errors import translate

_DEADLINE: Final = 8.0  # seconds; Google answers a sentence in one or two


class SingleRecognizer:
    """`Recognize` of google.cloud.speech.v1p1beta1, for audio of at most 60 s."""

    def __init__(self, channels: Channels, config: wire.RecognitionConfig, *, deadline: float = _DEADLINE) -> None:
        self._channels = channels
        self._config = config
        self._deadline = deadline

    async def recognize(self, audio: bytes) -> str:
        """Return what was said in these mu-law samples, "" if nothing could be made out.

        Raises `SpeechError`. Cancelling it cancels the request; the audio is the caller's and can be asked again.
        """
        request = wire.request(self._config, mulaw.decode_to_bytes(audio))
        try:
            with self._channels.lease() as client:
                async with asyncio.timeout(self._deadline):
                    response = await client.recognize(request, retry=None, timeout=self._deadline)
        except (exceptions.GoogleAPICallError, TimeoutError) as error:
            raise translate(error) from error
        return wire.transcript(cloud_speech.RecognizeResponse.pb(response))
