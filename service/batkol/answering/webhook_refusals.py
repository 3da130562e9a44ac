"""Errors of a bot that is asked by webhook, by HTTP status. Nothing of the body is shown: it may quote the caller."""

from __future__ import annotations

from typing import Final

from batkol.answering.answerer import AnswererError
from batkol.answering.refusal import Refusal, StatusRefusals

_SIGNATURE: Final = Refusal(
    "unauthorized",
    False,
    "The bot refuses the request; give it and the service the same secret, and check its clock.",
)
_PATH: Final = Refusal("not_found", False, "The bot has no such path; check the URL, which is used as it is set.")
_METHOD: Final = Refusal("not_found", False, "The bot takes no POST at this URL; check the URL and the bot's route.")
_LENGTH: Final = Refusal("too_large", False, "The bot refuses a question of this size; raise the limit of its server.")
_RATE: Final = Refusal("rate_limited", True, "The bot receives more questions than it takes; raise its limits.")
_REQUEST: Final = Refusal("bad_request", False, "The bot refuses the question; its own log says why.")
_REDIRECT: Final = Refusal("redirect", False, "The bot sends clients elsewhere; set the URL that it names.")
_EMPTY: Final = Refusal("malformed", False, "Of the statuses of success, only 200 comes with an answer; send 200.")
_GATEWAY: Final = Refusal(
    "server_error", True, "A proxy cannot reach the bot, or waited too long for it; check that the bot runs."
)
_SERVER: Final = Refusal("server_error", True, "The bot failed; its own log says why. The next question may succeed.")

_REFUSALS: Final = StatusRefusals(
    own={
        401: _SIGNATURE,
        403: _SIGNATURE,
        404: _PATH,
        405: _METHOD,
        408: _SERVER,
        410: _PATH,
        413: _LENGTH,
        429: _RATE,
        502: _GATEWAY,
        503: _GATEWAY,
        504: _GATEWAY,
    },
    server=_SERVER,
    request=_REQUEST,
    redirect=_REDIRECT,
    success=_EMPTY,
)


def refused(who: str, status: int, _: bytes = b"") -> AnswererError:
    """Return the error for an answer with a status other than 200."""
    return _REFUSALS.of(status).error(who, f"HTTP {status}")
