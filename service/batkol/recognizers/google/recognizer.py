"""The single request: one utterance, one answer."""

from __future__ import annotations

import asyncio
from typing import Final

from google.api_core import exceptions
from google.cloud.speech_v1p1beta1.types import cloud_speech

from batkol.audio import mulaw
from batkol.recognizers.google import wire
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.errors import too_large, translate
from batkol.recognizers.google.languages import DEFAULT_MODEL
from batkol.recognizers.streaming.errors import Next, SpeechError

DEADLINE: Final = 8.0  # seconds; Google answers a sentence in one or two


class SingleRecognizer:
    """`Recognize` of google.cloud.speech.v1p1beta1, for audio of at most 60 s."""

    def __init__(self, channels: Channels, config: wire.RecognitionConfig, *, deadline: float = DEADLINE) -> None:
        self._channels = channels
        self._config = config
        self._deadline = deadline

    async def recognize(self, audio: bytes) -> str:
        """Return the transcript of these mu-law samples, "" if no word was recognized.

        A model that the language turns out to lack is given up for all calls, and the same audio asked with the default
        one. Raises `SpeechError`. Cancelling it cancels the request; the audio is the caller's and can be asked again.
        """
        model = self._config.model
        try:
            return await self._ask(audio)
        except SpeechError as error:
            if error.next is not Next.REMODEL or model == DEFAULT_MODEL:
                raise
            self._config.lacks(model, str(error))
        return await self._ask(audio)

    async def _ask(self, audio: bytes) -> str:
        request = wire.request(self._config, mulaw.decode_to_bytes(audio))
        with self._channels.borrow() as client:
            try:
                async with asyncio.timeout(self._deadline):
                    response = await client.recognize(request, retry=None, timeout=self._deadline)
            except (exceptions.DeadlineExceeded, TimeoutError) as error:
                self._channels.avoid(client)
                raise translate(error) from error
            except exceptions.GoogleAPICallError as error:
                raise translate(error) from error
        raw = cloud_speech.RecognizeResponse.pb(response)
        if wire.is_too_large(raw):
            raise too_large()
        return wire.transcript(raw)
