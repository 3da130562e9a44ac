"""OpenAI's refusals: statuses, and the JSON that comes with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple


class ChatRefusalError(Exception):
    """A request that is refused."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param
        self.code = code

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the answer, and of an error inside a stream."""
        return {"error": {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}}


class _Usual(NamedTuple):
    message: str
    kind: str
    code: str | None


_QUOTA: Final = _Usual(
    "You exceeded your current quota, please check your plan and billing details.",
    "insufficient_quota",
    "insufficient_quota",
)
STATUSES: Final[Mapping[int, _Usual]] = {
    400: _Usual("Invalid request.", "invalid_request_error", None),
    401: _Usual("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    403: _Usual("Project does not have access to model.", "invalid_request_error", "model_not_found"),
    404: _Usual(
        "The model does not exist or you do not have access to it.", "invalid_request_error", "model_not_found"
    ),
    429: _Usual("Rate limit reached: limit 500, used 500, requested 1.", "requests", "rate_limit_exceeded"),
    500: _Usual("The server had an error while processing your request. Sorry about that!", "server_error", None),
    502: _Usual("Bad gateway.", "server_error", None),
    503: _Usual("The engine is currently overloaded, please try again later.", "server_error", None),
}


def usual(status: int, code: str = "") -> ChatRefusalError:
    """Return what OpenAI says with a status."""
    found = _QUOTA if code == _QUOTA.code else STATUSES[status]
    return ChatRefusalError(found.message, status=status, kind=found.kind, code=code or found.code)
