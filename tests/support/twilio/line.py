"""A call's WebSocket without a network: its media comes from a test, and the call's answers go nowhere."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Self

from batkol.audio import mulaw

STREAM = "MZ" + "0" * 32


class Line:
    """A WebSocket on which nothing comes the long way, and a server that hands messages on at once."""

    def __init__(self) -> None:
        self.sink: Callable[[bytes], None]
        self.wanted: Callable[[], int]
        self.pulls = 0
        self.released = 0
        self.closed: list[int] = []
        self._sequence = 0

    def direct(self, sink: Callable[[bytes], None], wanted: Callable[[], int]) -> Self:
        self.sink, self.wanted = sink, wanted
        return self

    def pull(self) -> None:
        self.pulls += 1

    def release(self) -> None:
        self.released += 1

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send_text(self, text: str) -> None:
        raise AssertionError(f"nobody was to answer {text}")

    async def close(self, code: int) -> None:
        self.closed.append(code)

    def say(self, event: str, **about: Any) -> None:
        self._sequence += 1
        message = {"event": event, "sequenceNumber": str(self._sequence), "streamSid": STREAM} | about
        self.sink(json.dumps(message).encode())

    def start(self) -> None:
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        about = {"streamSid": STREAM, "accountSid": "AC", "callSid": "CA", "tracks": ["inbound"], "mediaFormat": form}
        self.say("start", start=about | {"customParameters": {}})

    def media(self, *, ms: int = 20, sound: bytes | None = None) -> None:
        """Send so much silence, or this sound in its place."""
        chunk = self._sequence
        payload = b64encode(mulaw.silence(8 * ms) if sound is None else sound).decode()
        self.say("media", media={"track": "inbound", "chunk": str(chunk), "timestamp": "0", "payload": payload})
