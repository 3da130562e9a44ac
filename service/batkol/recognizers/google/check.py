"""The question to Google that no call asks: whether it takes our requests."""

from __future__ import annotations

from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.recognizer import SingleRecognizer


class GoogleCheck:
    """A single request that looks for the credentials first, if there were none."""

    def __init__(self, channels: Channels, single: SingleRecognizer) -> None:
        self._channels = channels
        self._single = single

    async def recognize(self, audio: bytes) -> str:
        """See `SingleRecognizer.recognize`."""
        await self._channels.start()
        return await self._single.recognize(audio)
