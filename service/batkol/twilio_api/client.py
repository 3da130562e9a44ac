"""Twilio's REST API, as far as the service asks it: one call by its SID.

Answers have limits of time and size, are not compressed, and no redirect is followed. Proxies are those of the
environment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import httpx

from batkol.answers import PLAIN, Answer, AnswerError, exchange, no_cookies
from batkol.errors import OnOutcome, unwatched
from batkol.twilio.call_resource import BEFORE_THE_ANSWER, CallResource, is_call_sid
from batkol.twilio_api import errors
from batkol.twilio_api.errors import TwilioApiError
from batkol.twilio_api.fair_slots import FairSlots
from batkol.twilio_api.logins import Login, Logins
from batkol.urls import masked

WITHIN_S: Final = 4.0
"""Seconds for the answer about a call, all attempts included: the caller hears nothing so long."""
_PART: Final = 0.5
"""The part of that time which one attempt may take: a connection that hangs is given up for another one."""
_PAUSE_S: Final = 0.2
"""Seconds before the second attempt, and twice as many before each further one."""
_LARGEST: Final = 64 * 1024
"""Bytes of an answer; a call's resource has about 2 kB."""
_CONNECTIONS: Final = 20
"""Requests at once; more wait, those of each client by turns. Twilio limits the requests of an account, too (429)."""
_KEPT_S: Final = 50.0
"""An idle connection is kept this long, unless Twilio closes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioAccount:
    """The account whose calls are asked for, and how."""

    url: str  # of the API, without a path
    sid: str
    logins: Sequence[Login]  # several while an auth token is being rotated


class TwilioApi:
    """One for the process; asked by many streams at once."""

    def __init__(
        self, account: TwilioAccount, *, within_s: float = WITHIN_S, on_outcome: OnOutcome = unwatched
    ) -> None:
        self._on_outcome = on_outcome
        self.account_sid = account.sid
        self._logins = Logins(account.logins)
        self._within_s = within_s
        self._who = f"Twilio's REST API ({masked(account.url)})"
        self._base = f"{account.url.rstrip('/')}/2010-04-01/Accounts/{account.sid}/Calls"
        self._slots = FairSlots(_CONNECTIONS)
        self._client = httpx.AsyncClient(
            headers=PLAIN,
            timeout=within_s,  # for each wait; a request has one limit for all of it besides
            limits=httpx.Limits(max_connections=_CONNECTIONS, keepalive_expiry=_KEPT_S),
            cookies=no_cookies(),
        )

    async def call(self, call_sid: str, client: str = "") -> CallResource | None:
        """Return the call; None if the account has no call with this SID. `client` names the one that claims it.

        A call that is not answered yet, and a fault that may pass, are asked for again until the time is over. Raises
        `TwilioApiError`. Cancelling it closes the connection.
        """
        if not is_call_sid(call_sid):  # it comes from the network, and would go into a URL
            return None
        clock = asyncio.get_running_loop().time
        until, pause = clock() + self._within_s, _PAUSE_S
        error: TwilioApiError | None = None
        while True:
            earlier = error
            found, error = await self._attempt(call_sid, client, until - clock())
            if error is not None:
                error = errors.clearer(error, earlier)
            if error is None and (found is None or found.status not in BEFORE_THE_ANSWER):
                break
            if clock() + pause >= until or (error is not None and not error.retryable):
                break
            await asyncio.sleep(pause)
            pause *= 2
        self._on_outcome(error)
        if error is not None:
            raise error
        return found

    async def aclose(self) -> None:
        """Close the connections; requests under way end in a `TwilioApiError`."""
        await self._client.aclose()

    async def _attempt(
        self, call_sid: str, client: str, left_s: float
    ) -> tuple[CallResource | None, TwilioApiError | None]:
        try:
            async with asyncio.timeout(min(left_s, self._within_s * _PART)), self._slots.slot(client):
                answer = await self._logins.ask(partial(self._exchange, f"{self._base}/{call_sid}.json"))
            return self._read(answer, call_sid), None
        except AnswerError as error:
            return None, errors.not_twilio(self._who, str(error))
        except (httpx.TransportError, TimeoutError) as error:
            return None, errors.unavailable(self._who, error)
        except TwilioApiError as error:
            return None, error

    async def _exchange(self, url: str, login: Login) -> Answer:
        return await exchange(self._client, "GET", url, within_s=self._within_s, largest=_LARGEST, auth=login)

    def _read(self, answer: Answer, call_sid: str) -> CallResource | None:
        if answer.status == httpx.codes.NOT_FOUND and errors.code_of(answer) == errors.NOT_FOUND:
            return None
        if answer.status != httpx.codes.OK:
            raise errors.refused(self._who, answer)
        call: CallResource = errors.decoded(CallResource, self._who, answer)
        if call.sid != call_sid or call.account_sid != self.account_sid:
            raise errors.not_twilio(self._who, "it answered with another call")
        return call
