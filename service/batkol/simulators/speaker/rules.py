"""OpenAI's rules for a request to `/v1/audio/speech`, and the shapes of its refusals."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from batkol.answers import UNREADABLE
from batkol.simulators.speaker.settings import SpeakerSettings

FORMATS: Final = ("mp3", "opus", "aac", "flac", "wav", "pcm")
SPOKEN_FORMATS: Final = ("wav", "pcm")
PATH: Final = "/v1/audio/speech"
MODELS: Final = "/v1/models"

_INVALID: Final = "invalid_request_error"
_USUAL: Final = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_TYPES: Final = {429: "requests", 500: "server_error", 502: "server_error", 503: "server_error"}


class SpeechRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request, with OpenAI's defaults."""

    model: str
    input: str
    voice: str
    response_format: str = "mp3"
    speed: float = 1.0
    """Checked, and without effect: the marks of the words would not be readable at another speed."""
    instructions: str = ""
    stream_format: str = "audio"


class SpeechRefusal(Exception):  # noqa: N818 -- it is an answer, as OpenAI gives it
    """A request is refused with this status and body."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        error = {"message": message, "type": _TYPES.get(status, _INVALID), "param": param, "code": code}
        self.body: dict[str, Any] = {"error": error}


def refused(status: int, code: str | None) -> SpeechRefusal:
    """Return the refusal of a fault."""
    return SpeechRefusal(status, f"A fault of the double refuses this with {status}.", code=code or _USUAL.get(status))


def asks_for_models(method: str, path: str) -> bool:
    """Whether a request asks for the list of models, by which clients try their key."""
    return method == "GET" and path.partition("?")[0] == MODELS


def model_list(settings: SpeakerSettings) -> dict[str, Any]:
    """Return OpenAI's list of models."""
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in settings.models]}


def check_route(method: str, path: str) -> None:
    """Raise `SpeechRefusal` for all but the one request that the double answers."""
    if path.partition("?")[0] != PATH:
        raise SpeechRefusal(404, f"Invalid URL ({method} {path})")
    if method != "POST":
        message = f"Not allowed to {method} on {PATH}. (HINT: Perhaps you meant to make a POST request?)"
        raise SpeechRefusal(405, message, code="method_not_supported")


def check_key(authorization: str, settings: SpeakerSettings) -> None:
    """Raise `SpeechRefusal` for a request without the key."""
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise SpeechRefusal(401, "You didn't provide an API key. Send it as Authorization: Bearer YOUR_KEY.")
    if settings.api_key and key != settings.api_key:
        raise SpeechRefusal(401, "Incorrect API key provided.", code="invalid_api_key")


def read(body: bytes, settings: SpeakerSettings) -> SpeechRequest:
    """Return the request. Raises `SpeechRefusal`."""
    try:
        plain = msgspec.json.decode(body)
    except UNREADABLE:
        message = "We could not parse the JSON body of your request."
        raise SpeechRefusal(400, message) from None
    if isinstance(plain, dict) and not plain.get("model"):
        raise SpeechRefusal(400, "you must provide a model parameter")
    try:
        asked = msgspec.convert(plain, SpeechRequest)
    except msgspec.ValidationError as error:
        raise SpeechRefusal(400, str(error)) from None
    _check(asked, settings)
    return asked


def _check(asked: SpeechRequest, settings: SpeakerSettings) -> None:
    if asked.model not in settings.models:
        message = f"The model `{asked.model}` does not exist or you do not have access to it."
        raise SpeechRefusal(404, message, code="model_not_found")
    if not asked.input:
        raise SpeechRefusal(400, "Input should have at least 1 character", param="input", code="string_too_short")
    if len(asked.input) > settings.longest_input:
        message = f"Input should have at most {settings.longest_input} characters"
        raise SpeechRefusal(400, message, param="input", code="string_too_long")
    if asked.voice not in settings.voices:
        raise SpeechRefusal(400, f"Voice should be one of {', '.join(settings.voices)}", param="voice")
    if asked.response_format not in FORMATS:
        raise SpeechRefusal(400, f"The format should be one of {', '.join(FORMATS)}", param="response_format")
    if asked.response_format not in SPOKEN_FORMATS:
        message = f"This double speaks {' and '.join(SPOKEN_FORMATS)} alone, and not {asked.response_format}"
        raise SpeechRefusal(400, message, param="response_format")
    if not 0.25 <= asked.speed <= 4.0:
        raise SpeechRefusal(400, "The speed should be from 0.25 to 4.0", param="speed")
    if asked.stream_format != "audio":
        raise SpeechRefusal(400, "This double streams audio alone", param="stream_format")
