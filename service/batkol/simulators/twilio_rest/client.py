"""A simulated call's states for the double of Twilio's REST API, by its control port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import httpx
import msgspec

from batkol.answers import UNREADABLE, AnswerError, exchange
from batkol.errors import BatkolError
from batkol.simulators.twilio.plan import CallPlan
from batkol.simulators.twilio_rest.calls import RestCall, RestStatus

_WITHIN_S: Final = 10.0
POLL_S: Final = 0.1
"""Seconds between two looks at a call of the double."""
_LARGEST: Final = 1 << 20


class TwilioDoubleError(BatkolError):
    """The control port of the double does not answer as it should."""


async def put_status(url: str, plan: CallPlan, status: RestStatus) -> None:
    """Put the call into the double with this status; without a URL nothing is done. Raises `TwilioDoubleError`."""
    if not url:
        return
    call = RestCall(sid=plan.call_sid, account_sid=plan.account_sid, from_=plan.caller, to=plan.called, status=status)
    async with httpx.AsyncClient(trust_env=False, timeout=_WITHIN_S) as http:
        await _calls(http, url, "POST", msgspec.json.encode(call))


async def follow_updates(url: str, call_sid: str, updated: Callable[[Mapping[str, str]], None]) -> None:
    """Call back with each update of a call that the double takes, as Twilio would carry it out, until the call ends.

    Without a URL there are none. Raises `TwilioDoubleError`.
    """
    if not url:
        return
    seen = RestCall(sid=call_sid)
    async with httpx.AsyncClient(trust_env=False, timeout=_WITHIN_S) as http:
        while not seen.over:
            await asyncio.sleep(POLL_S)
            now = next((call for call in await _calls(http, url, "GET") if call.sid == call_sid), seen)
            if now.over and not seen.over:
                updated({"Status": now.status})
            elif now.twiml != seen.twiml:
                updated({"Twiml": now.twiml})
            elif now.url != seen.url:
                updated({"Url": now.url})
            seen = now


async def _calls(http: httpx.AsyncClient, url: str, method: str, content: bytes = b"") -> list[RestCall]:
    """Ask the control port for its calls. Raises `TwilioDoubleError`."""
    try:
        path = f"{url.rstrip('/')}/calls"
        answer = await exchange(http, method, path, within_s=_WITHIN_S, largest=_LARGEST, content=content)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, AnswerError) as error:
        raise TwilioDoubleError(
            f"The control port {url} does not answer ({type(error).__name__}). Give the one that "
            "`batkol twilio-double` prints."
        ) from error
    if answer.status != httpx.codes.OK:
        raise TwilioDoubleError(
            f"{url} answered {answer.status}: it is not the control port of `batkol twilio-double`."
        )
    try:
        found: list[RestCall] = msgspec.json.decode(answer.body, type=list[RestCall])
    except UNREADABLE as error:
        raise TwilioDoubleError(f"{url} has no calls: it is not the control port of `batkol twilio-double`.") from error
    return found
