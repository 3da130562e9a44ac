"""Soniox's messages (soniox.com/docs, WebSocket API): what is sent as text, and what comes.

Audio goes out as binary messages, mu-law as it came from Twilio. An empty message ends the audio.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from batkol.audio.mulaw import SAMPLE_RATE

SONIOX_URL: Final = "wss://stt-rt.soniox.com/transcribe-websocket"
DEFAULT_MODEL: Final = "stt-rt-v5"
SESSIONS: Final = 10
"""Sessions that Soniox lets an account have at once, unless it was asked for more."""

FINALIZE: Final = '{"type":"finalize"}'
KEEP_ALIVE: Final = '{"type":"keepalive"}'
END_OF_AUDIO: Final = b""

MOST_CONTEXT: Final = 10_000
"""Characters that the context of a session may have."""


class SonioxToken(msgspec.Struct, frozen=True):
    """A piece of text, and where it was spoken. A marker has neither a time nor a meaning as text.

    Times are milliseconds, perhaps with a fraction, and as Soniox sends them: `PortionReader` judges them.
    """

    written: str | None = msgspec.field(name="text")
    start_ms: int | float | None = None
    end_ms: int | float | None = None
    is_final: bool | None = None

    @property
    def text(self) -> str:
        """The text; empty if Soniox sent none."""
        return self.written or ""


class SonioxResponse(msgspec.Struct, frozen=True):
    """One message of Soniox's: tokens, the last message of a session, or the error that ends it.

    Null is fine for every field here, and for every field of a token: it says the same as a field that is left out.
    Soniox's SDK takes null for figures and for the error's texts alone.
    """

    written: Sequence[SonioxToken] | None = msgspec.field(name="tokens", default=())
    final_audio_proc_ms: int | float | None = None
    total_audio_proc_ms: int | float | None = None
    last: bool | None = msgspec.field(name="finished", default=False)
    error_code: int | None = None
    error_type: str | None = None
    error_message: str | None = None

    @property
    def tokens(self) -> Sequence[SonioxToken]:
        """The tokens; none if Soniox sent null."""
        return self.written or ()

    @property
    def finished(self) -> bool:
        """Whether it is the last message of the session."""
        return bool(self.last)

    @property
    def final_ms(self) -> int | float:
        """Audio that is final, as Soniox says; 0 if it does not say."""
        return self.final_audio_proc_ms or 0

    @property
    def heard_ms(self) -> int | float:
        """Audio that was heard, as Soniox says; 0 if it does not say."""
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
