"""Soniox's rules for a session, with its codes, its types and its texts.

Codes, types and texts: soniox.com/docs (WebSocket API, error handling, errors). The start message's fields and their
bounds are those of Soniox's own SDK, version 2.10. An error comes as a message, and then the socket is closed.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.quantity import quantity
from batkol.simulators.soniox.settings import SonioxDoubleSettings

PATH: Final = "/transcribe-websocket"

MALFORMED: Final = "Start request is malformed."
NOT_TEXT: Final = "Start request must be a text message."
NO_MODEL: Final = "Invalid model specified."
NO_FORMAT: Final = 'Missing audio format. Specify a valid audio format or "auto" for auto format detection.'
NO_RATE: Final = "Audio data sample rate must be specified for PCM formats"
NO_CHANNELS: Final = "Audio data channels must be specified for PCM formats"
BAD_HINT: Final = "Invalid language hint."
HINTS_TWICE: Final = "Language hints must be unique."
CONTEXT_TOO_LONG: Final = "Context is too long (max length 10000)."
BAD_CONTROL: Final = "Control request is malformed."
NO_CONTROL: Final = "Control request invalid type."
NO_AUDIO: Final = "No audio received."
TOO_MUCH_AUDIO: Final = "Received too much audio data in total."
TOO_LONG: Final = "Audio is too long."
NO_KEY: Final = "Missing API key."
BAD_KEY: Final = "Invalid API key."
NO_MONEY: Final = "Organization balance exhausted. Please either add funds manually or enable autopay."
NO_START: Final = "Start request timeout"
NO_FIRST_AUDIO: Final = "Timed out while waiting for the first audio chunk"
IDLE: Final = "Request timeout."
TOO_MANY: Final = "Your organization has exceeded max number of concurrent requests."
TOO_OFTEN: Final = "Rate limit for your organization has been exceeded."
CANNOT_CONTINUE: Final = (
    "Cannot continue request (code {}). Please restart the request. "
    "Refer to: https://soniox.com/url/cannot-continue-request"
)
SERVER_ERROR: Final = "The server had an error processing your request. Sorry about that!"

USUAL: Final = {
    400: ("invalid_request", MALFORMED),
    401: ("unauthenticated", BAD_KEY),
    402: ("organization_balance_exhausted", NO_MONEY),
    403: ("permission_denied", "This API key has no permission for this request."),
    408: ("request_timeout", IDLE),
    413: ("max_duration_reached", TOO_LONG),
    429: ("limit_exceeded", TOO_MANY),
    500: ("internal_error", SERVER_ERROR),
    503: ("service_unavailable", CANNOT_CONTINUE.format(1)),
}
"""The type and the text with which a code comes, where none is asked for."""

_RAW: Final = re.compile(r"(pcm_([suf])(8|16|24|32|64)(le|be)?|mulaw|alaw)")
_AUTO: Final = frozenset({"auto", "aac", "aiff", "amr", "asf", "flac", "mp3", "ogg", "wav", "webm"})
_SAMPLE_BYTES: Final = {"mulaw": 1, "pcm_s16le": 2}
_LANGUAGE: Final = re.compile(r"[a-z]{2}")


class SonioxRefusalError(Exception):
    """The session ends with this code."""

    def __init__(self, code: int, text: str = "", kind: str = "") -> None:
        usual_kind, usual_text = USUAL.get(code, ("internal_error", SERVER_ERROR))
        self.code = code
        self.kind = kind or usual_kind
        self.text = text or usual_text
        super().__init__(f"{code}: {self.text}")

    @property
    def message(self) -> dict[str, Any]:
        """The message that says so, as JSON."""
        return {
            "tokens": [],
            "error_code": self.code,
            "error_type": self.kind,
            "error_message": self.text,
            "more_info": f"https://soniox.com/docs/api-reference/errors#{self.kind.replace('_', '-')}",
            "request_id": str(uuid.uuid4()),
        }


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Fact(_Strict, frozen=True):
    key: str
    value: str


class _Translated(_Strict, frozen=True):
    source: str
    target: str


class _Context(_Strict, frozen=True):
    general: list[_Fact] | None = None
    text: str | None = None
    terms: list[str] | None = None
    translation_terms: list[_Translated] | None = None


class StartMessage(_Strict, frozen=True):
    """The first message of a session."""

    model: str
    audio_format: str | UnsetType = UNSET
    num_channels: int | None = None
    sample_rate: int | None = None
    language_hints: list[str] | None = None
    language_hints_strict: bool | None = None
    context: _Context | str | None = None
    enable_speaker_diarization: bool | None = None
    enable_language_identification: bool | None = None
    enable_endpoint_detection: bool | None = None
    max_endpoint_delay_ms: Annotated[int, Meta(ge=500, le=3000)] | None = None
    endpoint_sensitivity: Annotated[float, Meta(ge=-1, le=1)] | None = None
    endpoint_latency_adjustment_level: Annotated[int, Meta(ge=0, le=3)] | None = None
    translation: dict[str, Any] | None = None
    client_reference_id: Annotated[str, Meta(max_length=256)] | None = None

    @property
    def sample_bytes(self) -> int:
        """The bytes that one sample has."""
        return _SAMPLE_BYTES[str(self.audio_format)]


class Control(_Strict, frozen=True):
    """A further text message."""

    type: str
    trailing_silence_ms: Annotated[int, Meta(ge=0)] | None = None


def check_key(headers: Mapping[str, str], settings: SonioxDoubleSettings) -> None:
    """Check the connection's key. Raises `SonioxRefusalError`."""
    kind, _, key = headers.get("Authorization", "").partition(" ")
    if kind != "Bearer" or not key:
        raise SonioxRefusalError(401, NO_KEY)
    if settings.api_key and key != settings.api_key:
        raise SonioxRefusalError(401, BAD_KEY)


def read_start(message: str | bytes, settings: SonioxDoubleSettings) -> StartMessage:
    """Read the start message. Raises `SonioxRefusalError`."""
    if isinstance(message, bytes):
        raise SonioxRefusalError(400, NOT_TEXT)
    try:
        start = msgspec.json.decode(message, type=StartMessage)
    except msgspec.MsgspecError as error:
        raise SonioxRefusalError(400, f"{MALFORMED} The double says: {error}") from error
    if start.model not in settings.models:
        raise SonioxRefusalError(400, NO_MODEL, "model_not_available")
    _check_format(start)
    hints = start.language_hints or []
    if not all(_LANGUAGE.fullmatch(hint) for hint in hints):
        raise SonioxRefusalError(400, BAD_HINT)
    if len(set(hints)) != len(hints):
        raise SonioxRefusalError(400, HINTS_TWICE)
    if start.context is not None and _characters(start.context) > settings.context_characters:
        raise SonioxRefusalError(400, CONTEXT_TOO_LONG)
    if start.translation is not None or start.enable_speaker_diarization:
        raise _unplayed("translation or diarization")
    return start


def _check_format(start: StartMessage) -> None:
    """Stricter than Soniox in one thing: only 8 kHz, one channel, mu-law or LINEAR16 are heard here."""
    wanted = start.audio_format
    if isinstance(wanted, UnsetType):
        raise SonioxRefusalError(400, NO_FORMAT)
    raw = _RAW.fullmatch(wanted) is not None
    if not raw and wanted not in _AUTO:
        raise SonioxRefusalError(400, f"Invalid audio data format: {wanted}")
    if raw and start.sample_rate is None:
        raise SonioxRefusalError(400, NO_RATE)
    if raw and start.num_channels is None:
        raise SonioxRefusalError(400, NO_CHANNELS)
    if wanted not in _SAMPLE_BYTES or start.sample_rate != SAMPLE_RATE or start.num_channels != 1:
        raise _unplayed(f"{wanted} with {start.sample_rate} Hz and {quantity(start.num_channels or 0, 'channel')}")


def read_control(message: str) -> Control:
    """Read a further text message. Raises `SonioxRefusalError`."""
    try:
        control = msgspec.json.decode(message, type=Control)
    except msgspec.MsgspecError as error:
        raise SonioxRefusalError(400, f"{BAD_CONTROL} The double says: {error}") from error
    if control.type not in {"finalize", "keepalive"}:
        raise SonioxRefusalError(400, NO_CONTROL)
    if control.type == "keepalive" and control.trailing_silence_ms is not None:
        raise SonioxRefusalError(400, BAD_CONTROL)
    return control


class Rate:
    """At most so many in any span of seconds."""

    __slots__ = ("_most", "_span", "_times")

    def __init__(self, most: int, span_s: float) -> None:
        self._most = most
        self._span = span_s
        self._times: list[float] = []

    def allows(self, now: float) -> bool:
        """Count one more, if there may be one."""
        self._times = [time for time in self._times if time > now - self._span]
        if len(self._times) >= self._most:
            return False
        self._times.append(now)
        return True


class Pacing:
    """The pace at which audio may come."""

    __slots__ = ("_at", "_backlog_s", "_burst_s", "_factor")

    def __init__(self, settings: SonioxDoubleSettings, now: float) -> None:
        self._factor = settings.pacing_factor or math.inf
        self._burst_s = settings.pacing_burst_s
        self._backlog_s = 0.0
        self._at = now

    def take(self, audio_s: float, now: float) -> None:
        """Take so much audio. Raises `SonioxRefusalError` if it comes too fast."""
        if math.isinf(self._factor):
            return
        self._backlog_s = max(0.0, self._backlog_s - self._factor * (now - self._at)) + audio_s
        self._at = now
        if self._backlog_s > self._burst_s:
            raise SonioxRefusalError(400, TOO_MUCH_AUDIO)


def _characters(context: _Context | str) -> int:
    return len(context) if isinstance(context, str) else len(msgspec.json.encode(context).decode())


def _unplayed(what: str) -> SonioxRefusalError:
    return SonioxRefusalError(400, f"The Soniox double does not play {what}; Soniox does.")
