"""A simulated call's states for the double of Twilio's REST API, by its control port."""

from __future__ import annotations

from typing import Final

import httpx
import msgspec

from batkol.answers import AnswerError, exchange
from batkol.errors import BatkolError
from batkol.simulators.twilio.plan import CallPlan
from batkol.simulators.twilio_rest.calls import RestCall, Status

_WITHIN_S: Final = 10.0
_LARGEST: Final = 1 << 20


class TwilioDoubleError(BatkolError):
    """The control port of the double does not answer as it should."""


async def put_status(url: str, plan: CallPlan, status: Status) -> None:
    """Put the call into the double with this status; without a URL nothing is done. Raises `TwilioDoubleError`."""
    if not url:
        return
    call = RestCall(sid=plan.call_sid, account_sid=plan.account_sid, from_=plan.caller, to=plan.called, status=status)
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_WITHIN_S) as http:
            answer = await exchange(
                http,
                "POST",
                f"{url.rstrip('/')}/calls",
                within_s=_WITHIN_S,
                largest=_LARGEST,
                content=msgspec.json.encode(call),
            )
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, AnswerError) as error:
        raise TwilioDoubleError(
            f"The control port {url} does not answer ({type(error).__name__}). Give the one that "
            "`batkol twilio-double` prints."
        ) from error
    if answer.status != httpx.codes.OK:
        raise TwilioDoubleError(
            f"{url} answered {answer.status}: it is not the control port of `batkol twilio-double`."
        )
