"""Soniox's messages (soniox.com/docs, WebSocket API): what is sent as text, and what comes.

Audio goes out as binary messages, mu-law as it came from Twilio. An empty message ends the audio.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from batkol.audio.mulaw import SAMPLE_RATE

SONIOX_URL: Final = "wss://stt-rt.soniox.com/transcribe-websocket"
SESSIONS: Final = 10
"""Sessions that Soniox lets an account have at once, unless it was asked for more."""

FINALIZE: Final = '{"type":"finalize"}'
KEEP_ALIVE: Final = '{"type":"keepalive"}'
END_OF_AUDIO: Final = b""

MOST_CONTEXT: Final = 10_000
"""Characters that the context of a session may have."""


class SonioxToken(msgspec.Struct, frozen=True):
    """A piece of text, and where it was spoken. A marker has neither a time nor a meaning as text."""

    text: str
    start_ms: int | None = None
    end_ms: int | None = None
    is_final: bool | None = None


class SonioxResponse(msgspec.Struct, frozen=True):
    """One message of Soniox's: tokens, the last message of a session, or the error that ends it.

    Soniox's SDK takes null for every figure and text that it may leave out, and so does this service.
    """

    tokens: Sequence[SonioxToken] = ()
    final_audio_proc_ms: int | None = None
    total_audio_proc_ms: int | None = None
    finished: bool = False
    error_code: int | None = None
    error_type: str | None = None
    error_message: str | None = None

    @property
    def final_ms(self) -> int:
        """Audio that is final."""
        return self.final_audio_proc_ms or 0

    @property
    def heard_ms(self) -> int:
        """Audio that was heard."""
        return self.total_audio_proc_ms or 0


LARGEST_MESSAGE: Final = 256 * 1024
"""Bytes of one message: five times what a minute of tokens that are not final takes."""
MOST_TOKENS: Final = 1000
"""Tokens of one message. Two seconds of speech that is not final have some 20."""
MOST_CHARACTERS: Final = 8000
"""Characters of all tokens of one message."""

_DECODER: Final = msgspec.json.Decoder(SonioxResponse, strict=False)  # a whole number may come as 300.0, as for the SDK


def parse(message: str | bytes) -> SonioxResponse:
    """Read one message. Raises one of `batkol.answers.UNREADABLE`."""
    return _DECODER.decode(message)


def is_too_large(response: SonioxResponse) -> bool:
    """Whether reading the message would keep every call of this process waiting."""
    tokens = response.tokens
    return len(tokens) > MOST_TOKENS or sum(len(token.text) for token in tokens) > MOST_CHARACTERS


def start_message(*, model: str, language: str, phrases: Sequence[str] = ()) -> str:
    """Return the first message of a session: what it hears, and nothing that says who asks."""
    start: dict[str, Any] = {
        "model": model,
        "audio_format": "mulaw",
        "sample_rate": SAMPLE_RATE,
        "num_channels": 1,
        "language_hints": [language],
        "language_hints_strict": True,
    }
    if phrases:
        start["context"] = {"terms": _within_limits(phrases)}
    return msgspec.json.encode(start).decode()


def soniox_language(bcp47: str) -> str:
    """Return Soniox's code of a language, which has two letters; Google's `iw` is `he`."""
    return bcp47.partition("-")[0].lower().replace("iw", "he")


def _within_limits(phrases: Sequence[str]) -> list[str]:
    """Return as many phrases, from the first one on, as a session may have."""
    kept, room = [], MOST_CONTEXT - 100
    for phrase in phrases:
        room -= len(phrase) + 3
        if room < 0:
            break
        kept.append(phrase)
    return kept
