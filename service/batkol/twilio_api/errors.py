"""Meaning of a refusal of Twilio's REST API: whose fault it is, and whether the same request may succeed later."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from batkol.answers import UNREADABLE, Answer
from batkol.errors import UpstreamError

NOT_FOUND: Final = 20404
"""Twilio's code for a resource that this account does not have: https://www.twilio.com/docs/api/errors/20404."""

NOT_IN_PROGRESS: Final = 21220
"""Twilio's code for the update of a call that has ended: https://www.twilio.com/docs/api/errors/21220."""


class TwilioApiError(UpstreamError):
    """Twilio's REST API gave no answer that counts.

    `reason` is `credentials`, `limited`, `unavailable`, `malformed` or, for an update, `refused`.

    The text is one sentence or two, without a SID, a number or a password.
    """


class NoAnswerError(TwilioApiError):
    """An attempt to which no answer came in time, or none at all."""


def clearer(error: TwilioApiError, earlier: TwilioApiError | None) -> TwilioApiError:
    """Return the error that says more: of an earlier attempt's if Twilio answered that one and not the last.

    The last attempt may have had a moment only. That it was not answered says nothing then.
    """
    return earlier if earlier is not None and isinstance(error, NoAnswerError) else error


_CREDENTIALS: Final = (
    "Check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or TWILIO_API_KEY and TWILIO_API_SECRET: all of one account."
)


class _Body(msgspec.Struct):
    code: int | None = None


class _Named(msgspec.Struct):
    sid: str


_DECODER: Final = msgspec.json.Decoder(_Body)


def code_of(answer: Answer) -> int | None:
    """Return Twilio's own number for a refusal; None where the answer has none, and so is not Twilio's."""
    try:
        return _DECODER.decode(answer.body).code
    except UNREADABLE:
        return None


def refused(who: str, answer: Answer) -> TwilioApiError:
    """Return the error for an answer that is neither the call nor Twilio's word that there is none."""
    status, code = answer.status, code_of(answer)
    answered = f"{status}, Twilio's code {code}" if code else f"{status}"
    if status in {401, 403}:
        what = f"{who} refuses the service's credentials ({answered})."
        return _remedied(what, _CREDENTIALS, reason="credentials", retryable=False)
    if status == 429:
        what = f"{who} refuses the request because the account sends too many at once ({answered})."
        remedy = "Set STREAM_SECRET, which needs no request, or ask Twilio for a higher limit."
        return _remedied(what, remedy, reason="limited", retryable=True)
    if status >= 500:
        return _remedied(
            f"{who} failed ({answered}).", "See Twilio's status page.", reason="unavailable", retryable=True
        )
    return not_twilio(who, f"it answered {answered}")


def refused_update(who: str, answer: Answer) -> TwilioApiError:
    """Return the error for an update that Twilio did not carry out. Credentials that are being rotated come to fit."""
    status, code = answer.status, code_of(answer)
    answered = f"{status}, Twilio's code {code}" if code else f"{status}"
    if status == 401:
        error = refused(who, answer)
        return TwilioApiError(str(error), reason="credentials", retryable=True, remedy=error.remedy)
    if status == 403:
        what = f"{who} does not let the service's credentials update this call ({answered})."
        remedy = "Give the API key of TWILIO_API_KEY the right to update calls, or use the account's auth token."
        return _remedied(what, remedy, reason="credentials", retryable=False)
    if status == 429:
        what = f"{who} refuses the request because the account sends too many at once ({answered})."
        return _remedied(what, "Ask Twilio for a higher limit.", reason="limited", retryable=True)
    if status >= 500:
        return refused(who, answer)
    if code is None:
        return not_twilio(who, f"it answered {answered}")
    return TwilioApiError(
        f"{who} refuses the update itself ({answered}). For a transfer check the number or SIP URI in "
        f"TRANSFER_ALLOWED, and https://www.twilio.com/docs/api/errors/{code}.",
        reason="refused",
        retryable=False,
    )


def _remedied(what: str, remedy: str, *, reason: str, retryable: bool) -> TwilioApiError:
    return TwilioApiError(f"{what} {remedy}", reason=reason, retryable=retryable, remedy=remedy)


def unknown_call(who: str) -> TwilioApiError:
    """Return the error for a call whose SIDs are none of Twilio's."""
    return TwilioApiError(
        f"{who} cannot be asked about this call: its SIDs are not Twilio's. The stream does not come from Twilio.",
        reason="refused",
        retryable=False,
    )


def check_call(who: str, answer: Answer, call_sid: str) -> None:
    """Refuse an answer that is about another call, or about none. Raises `TwilioApiError`."""
    if decoded(_Named, who, answer).sid != call_sid:
        raise not_twilio(who, "it answered with another call")


def not_twilio(who: str, what: str) -> TwilioApiError:
    """Return the error for an answer that Twilio would not give."""
    what = f"{who} does not answer as Twilio does: {what}."
    return _remedied(what, "Check TWILIO_API_URL.", reason="malformed", retryable=False)


def unavailable(who: str, error: Exception) -> NoAnswerError:
    """Return the error for a server that gave no answer in time, or none at all."""
    remedy = "Check the network to it, and Twilio's status page."
    return NoAnswerError(
        f"{who} gave no answer ({type(error).__name__}). {remedy}", reason="unavailable", retryable=True, remedy=remedy
    )


def decoded(kind: type[Any], who: str, answer: Answer) -> Any:
    """Return the body as `kind`. Raises `TwilioApiError`, which quotes nothing of it."""
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except UNREADABLE:
        raise not_twilio(who, "its answer is not the JSON of a call") from None
