"""Signed webhooks: each event a POST of its own, a CloudEvent with the headers of Standard Webhooks.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: "`webhook-id`: the unique
webhook identifier" (here the event's id, so that it "remains the same no matter how many times a webhook that has
failed is retried"), "`webhook-timestamp`: integer unix timestamp" (of the attempt), "`webhook-signature`: … a space
delimited list of signatures".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from batkol.answers import PLAIN, no_cookies
from batkol.http_client.ending import read_to_end
from batkol.http_client.poster import Poster
from batkol.http_client.signature import WebhookSigner
from batkol.http_client.transport import HttpTransport, has_proxy
from batkol.sinks.cloud_event import CONTENT_TYPE, encode, message_id
from batkol.sinks.delivery import DeliveryOutcome, Envelope, Later
from batkol.sinks.webhook.outcomes import outcome, until_text, why_unreachable
from batkol.urls import check_http, without_login

_KEPT_S: Final = 60.0
"""An idle connection is kept this long, unless the receiver closes it."""
_STALE_S: Final = 1.0
"""A kept connection that the receiver closed meanwhile is found out sooner than this."""


@dataclass(frozen=True, slots=True)
class WebhookLimits:
    """Limits of the requests to one receiver."""

    timeout_s: float = 15.0
    """For one request, from connecting to the head of the answer. "A recommended request timeout value for webhooks is
    somewhere between 15 and 30s"; the shorter one, for the later events of a stream wait."""
    at_once: int = 16
    """Requests at the same time."""


LIMITS: Final = WebhookLimits()


class WebhookSink:
    """`url` is where events are posted, as it stands; a user and password in it go into the Authorization header.

    Every one of `secrets` signs each request. `now` is in Unix seconds, `clock` in seconds of any clock that runs on.
    Proxies are those of the environment. Raises `ValueError`, a sentence that quotes nothing, for a URL or a secret
    that is none.
    """

    def __init__(
        self,
        name: str,
        url: str,
        secrets: Sequence[str] = (),
        *,
        limits: WebhookLimits = LIMITS,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_http(url)
        base, login = without_login(url)
        address = httpx.URL(base)
        self._name = name
        self._who = f"The receiver {address.scheme}://{address.netloc.decode()}"  # a path may be a secret, too
        self._limits = limits
        self._now = now
        self._clock = clock
        self._signer = WebhookSigner(*secrets, now=now)
        self._wait_until = clock()  # the receiver asked for it
        transport = None if has_proxy(address) else HttpTransport(address, most=limits.at_once, kept_s=_KEPT_S)
        self._client = httpx.AsyncClient(
            auth=login,
            headers=PLAIN,
            timeout=None,  # noqa: S113  `_post` has one for the whole
            limits=httpx.Limits(max_connections=limits.at_once, keepalive_expiry=_KEPT_S),
            transport=transport,
            cookies=no_cookies(),
        )
        kind = {"Content-Type": CONTENT_TYPE}
        self._poster = Poster(self._client, base, headers=kind, transport=transport, login=login)

    @property
    def name(self) -> str:
        """See `Sink.name`."""
        return self._name

    @property
    def at_once(self) -> int:
        """See `Sink.at_once`."""
        return self._limits.at_once

    async def deliver(self, event: Envelope) -> DeliveryOutcome:
        """See `Sink.deliver`. Cancelling it closes the connection. It leaves a receiver alone that asked for that.

        Of a `429`: "The sender MUST observe the value of the Retry-After header and refrain from sending further
        requests until the indicated time" (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md,
        2.2).
        """
        if (wait_s := self._wait_until - self._clock()) > 0:
            return Later(f"{self._who} asked for no requests before {until_text(wait_s, self._now())}", wait_s)
        found = await self._post(event)
        if isinstance(found, Later) and found.after_s is not None:
            self._wait_until = max(self._wait_until, self._clock() + found.after_s)
        return found

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _post(self, event: Envelope) -> DeliveryOutcome:
        body = encode(event)
        headers = self._signer.headers(body, message_id(event))
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                response = await self._ask(body, headers)
        except TimeoutError:
            return Later(f"{self._who} did not answer within {self._limits.timeout_s:g} s")
        except httpx.TransportError as error:
            return Later(f"{self._who} {why_unreachable(error)}")
        try:
            found = outcome(self._who, response.status_code, response.headers, now=self._now())
            await read_to_end(response.aiter_raw())
        finally:
            await response.aclose()
        return found

    async def _ask(self, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        """Send a request; return the response with its body unread. A stale connection costs no attempt."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            return await self._poster.post(body, headers)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            if clock() - began > _STALE_S:
                raise
        return await self._poster.post(body, headers)
