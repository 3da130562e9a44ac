"""A session of the Soniox double without a socket and without a clock: audio in, messages out."""

import random
from collections.abc import Iterator
from typing import Any

import msgspec

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.simulators.soniox.listener import SonioxListener
from batkol.simulators.soniox.rules import read_start
from batkol.simulators.soniox.settings import SonioxDoubleSettings

START: dict[str, Any] = {
    "model": "stt-rt-v5",
    "audio_format": "mulaw",
    "sample_rate": 8000,
    "num_channels": 1,
    "language_hints": ["he"],
}
MESSAGE = SAMPLE_RATE * 150 // 1000


class HeardSession:
    """One session; its time is that of its audio, in seconds."""

    def __init__(self, settings: SonioxDoubleSettings | None = None, **start: Any) -> None:
        settings = settings or SonioxDoubleSettings()
        self.now = 0.0
        self.said: list[dict[str, Any]] = []
        self.listener = SonioxListener(settings, now=0.0, draw=random.Random(1))
        self.listener.configure(read_start(msgspec.json.encode({**START, **start}).decode(), settings), 0.0)

    def speak(self, mulaw: bytes, rate: float = 1.0) -> None:
        """Send audio, `rate` times as fast as it is spoken."""
        for at in range(0, len(mulaw), MESSAGE):
            piece = mulaw[at : at + MESSAGE]
            self.pass_time(len(piece) / SAMPLE_RATE / rate)
            self.listener.receive(piece, self.now)

    def send(self, message: str | bytes) -> None:
        """Send a text, or the end of the audio."""
        self.listener.receive(message, self.now)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with all that is due in it."""
        end = self.now + seconds
        while (due := self.listener.deadline) <= end and not self.listener.finished:
            self.now = max(self.now, due)
            self.said += self.listener.tick(self.now)
            if self.listener.stalled or self.listener.dropped:
                break
        self.now = max(self.now, end)

    def finish(self) -> None:
        """End the audio, and take what is left."""
        self.send(b"")
        self.pass_time(60.0)

    def tokens(self, *, final: bool) -> Iterator[dict[str, Any]]:
        """Yield the tokens of all messages that are final, or that are not."""
        return (token for message in self.said for token in message["tokens"] if token["is_final"] is final)

    @property
    def final_text(self) -> str:
        """All final tokens, joined as they are."""
        return "".join(token["text"] for token in self.tokens(final=True))
