"""Update of live calls over Twilio's REST API: the end of a call, and other TwiML for it.

https://www.twilio.com/docs/voice/api/call-resource#update-a-call-resource. What may pass is tried again until the time
is over. An update that Twilio has carried out although its answer was lost shows on the media stream, which then stops:
the caller of these methods cancels them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from itertools import count
from typing import Final, NamedTuple

import httpx

from batkol.answers import PLAIN, Answer, AnswerError, exchange, no_cookies
from batkol.backoff import Backoff
from batkol.errors import OnOutcome, unwatched
from batkol.twilio.call_resource import is_account_sid, is_call_sid
from batkol.twilio_api import errors
from batkol.twilio_api.errors import TwilioApiError
from batkol.twilio_api.logins import Login, Logins
from batkol.urls import masked

ATTEMPT_S: Final = 4.0
"""Seconds that one attempt may take: a connection that hangs is given up for another one."""
_WAITS: Final = Backoff(first_s=0.25, longest_s=4.0)
_LARGEST: Final = 64 * 1024
_CONNECTIONS: Final = 20
_KEPT_S: Final = 50.0
_MOST_ACCOUNTS: Final = 100
"""Accounts whose valid login is remembered: the main one and its sub-accounts."""


class Updated(StrEnum):
    """Results of an update."""

    DONE = "done"
    OVER = "over"  # the call had ended before


class TwilioCall(NamedTuple):
    """The call that is updated. Its account may be a sub-account."""

    account_sid: str
    call_sid: str


SendUpdate = Callable[[TwilioCall, Mapping[str, str]], Awaitable[Answer]]
"""Sends one update. Raises `httpx.TransportError`, `TimeoutError`, `AnswerError`."""


class CallControl:
    """One for the process; used by many calls at once."""

    def __init__(
        self, send: SendUpdate, who: str, *, attempt_s: float = ATTEMPT_S, on_outcome: OnOutcome = unwatched
    ) -> None:
        """`who` names the server in errors."""
        self._on_outcome = on_outcome
        self._send = send
        self._who = who
        self._attempt_s = attempt_s

    async def complete(self, call: TwilioCall, *, within_s: float) -> Updated:
        """End the call. Raises `TwilioApiError`: at once where Twilio refuses for good, else when the time is over."""
        return await self._update(call, {"Status": "completed"}, within_s)

    async def redirect(self, call: TwilioCall, twiml: str, *, within_s: float) -> Updated:
        """Give the call other TwiML; its media stream stops then. Raises `TwilioApiError` in the same way."""
        return await self._update(call, {"Twiml": twiml}, within_s)

    async def _update(self, call: TwilioCall, form: Mapping[str, str], within_s: float) -> Updated:
        if not (is_call_sid(call.call_sid) and is_account_sid(call.account_sid)):  # they come from the network
            raise errors.unknown_call(self._who)
        clock = asyncio.get_running_loop().time
        until = clock() + within_s
        told: TwilioApiError | None = None
        for failures in count():
            try:
                done = await self._attempt(call, form, min(self._attempt_s, until - clock()))
            except TwilioApiError as error:
                told = errors.clearer(error, told)
                wait_s = _WAITS.wait_s(failures)
                if not error.retryable or clock() + wait_s >= until:
                    self._on_outcome(told)
                    raise told from None
            else:
                self._on_outcome(None)
                return done
            await asyncio.sleep(wait_s)
        raise AssertionError("the attempts end with an answer or an error")

    async def _attempt(self, call: TwilioCall, form: Mapping[str, str], within_s: float) -> Updated:
        try:
            async with asyncio.timeout(within_s):
                answer = await self._send(call, form)
        except AnswerError as error:
            raise errors.not_twilio(self._who, str(error)) from None
        except (httpx.TransportError, TimeoutError) as error:
            raise errors.unavailable(self._who, error) from None
        if answer.status in {httpx.codes.OK, httpx.codes.CREATED}:
            errors.check_call(self._who, answer, call.call_sid)
            return Updated.DONE
        if errors.code_of(answer) in {errors.NOT_FOUND, errors.NOT_IN_PROGRESS}:
            return Updated.OVER
        raise errors.refused_update(self._who, answer)


class HttpUpdates:
    """The updates over HTTP. `logins` gives those of an account; it must give one at least."""

    def __init__(self, url: str, logins: Callable[[str], Sequence[Login]]) -> None:
        self.who = f"Twilio's REST API ({masked(url)})"
        self._url = url.rstrip("/")
        self._logins_of = logins
        self._logins: dict[str, Logins] = {}
        self._client = httpx.AsyncClient(
            headers=PLAIN,
            timeout=ATTEMPT_S,
            limits=httpx.Limits(max_connections=_CONNECTIONS, keepalive_expiry=_KEPT_S),
            cookies=no_cookies(),
        )

    async def send(self, call: TwilioCall, form: Mapping[str, str]) -> Answer:
        """See `SendUpdate`. Cancelling it closes the connection; the update may have been carried out."""
        url = f"{self._url}/2010-04-01/Accounts/{call.account_sid}/Calls/{call.call_sid}.json"

        async def post(login: Login) -> Answer:
            return await exchange(
                self._client, "POST", url, within_s=ATTEMPT_S, largest=_LARGEST, auth=login, data=dict(form)
            )

        return await self._of(call.account_sid).ask(post)

    async def aclose(self) -> None:
        """Close the connections; requests under way end in an `httpx.TransportError`."""
        await self._client.aclose()

    def _of(self, account_sid: str) -> Logins:
        if account_sid not in self._logins:
            if len(self._logins) >= _MOST_ACCOUNTS:
                self._logins.clear()
            self._logins[account_sid] = Logins(self._logins_of(account_sid))
        return self._logins[account_sid]
