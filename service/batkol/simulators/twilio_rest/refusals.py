"""Refusals in Twilio's shape: https://www.twilio.com/docs/usage/twilios-response#error-and-exception-responses."""

from __future__ import annotations

from typing import Any, Final

MESSAGES: Final = {
    20001: (400, "Bad request"),
    20003: (401, "Authenticate"),
    20004: (405, "Method not allowed"),
    20008: (403, "Resource not accessible with Test Account Credentials"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "Internal Server Error"),
    20503: (503, "Service Unavailable"),
    21205: (400, "Url is not a valid URL"),
    21220: (400, "Call is not in-progress. Cannot redirect."),
    32018: (400, "Twiml size exceeded maximum allowed value of 4000 characters"),
}
"""Twilio's code to HTTP status and message."""


class RestRefusal(Exception):  # noqa: N818 - an answer of the API, not a fault of the double
    """A request is refused."""

    def __init__(self, code: int, message: str = "") -> None:
        self.code = code
        self.status, usual = MESSAGES[code]
        self.message = message or usual
        super().__init__(self.message)

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        return {"WWW-Authenticate": 'Basic realm="Twilio API"'} if self.code == 20003 else {}


def not_found(path: str) -> RestRefusal:
    """Return the refusal of a resource that there is not."""
    return RestRefusal(20404, f"The requested resource {path} was not found")
