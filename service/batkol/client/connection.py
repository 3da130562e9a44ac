"""The way to one service: its address, the limits of every exchange, and foreign errors in the client's words."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import httpx

from batkol.answers import PLAIN, Answer, AnswerError, body, check_plain, exchange, no_cookies
from batkol.client.errors import (
    CallOverError,
    ClientError,
    ServiceUnreachableError,
    UncertainError,
    UnexpectedAnswerError,
)
from batkol.client.refusals import refusal
from batkol.urls import check_http, masked

LARGEST: Final = 4 << 20
"""Bytes of an answer; a service with a thousand calls answers some hundred kilobytes."""
_LARGEST_REFUSAL: Final = 64 << 10
_IDLE_S: Final = 2.0
"""Seconds that an unused connection is kept: less than the service keeps it, so that none is used as it closes."""

_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_NO_ANSWER_BEHIND: Final = frozenset({502, 504})
"""Statuses of a proxy, or of a pod that asked another one, without an answer of the one that was asked."""

Query = Mapping[str, str | list[str]]


class ClientLimits(NamedTuple):
    """ClientLimits of time, in seconds."""

    connect_s: float = 5.0
    answer_s: float = 10.0
    """For a whole answer, and for the head and the first bytes of an event feed."""
    silence_s: float = 50.0
    """Without a byte, after which a feed is taken for dead: the service sends a comment every 15."""


@functools.cache
def _system_tls() -> ssl.SSLContext:
    return ssl.create_default_context()  # reads the system's certificates: once, and not for every client


class ApiConnection:
    """One service's address, its token, and the pool of connections. A token is never sent through a proxy of the
    environment's, to another host, or shown.
    """

    def __init__(self, url: str, token: str, limits: ClientLimits, tls: ssl.SSLContext | None) -> None:
        try:
            check_http(url)
        except ValueError as error:
            raise ClientError(f"The URL of Batkol's internal API {error}.") from None
        token = token.strip()  # that of a mounted Secret may end in a line feed
        if not (token.isascii() and token.isprintable()):
            raise ClientError("The token has a character that HTTP forbids in a header.")
        self.limits = limits
        self._closed = False
        self._url = url.rstrip("/")
        try:
            self._http = httpx.AsyncClient(
                base_url=self._url,
                headers={"authorization": f"Bearer {token}"} if token else {},
                timeout=httpx.Timeout(limits.answer_s, connect=limits.connect_s),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=4, keepalive_expiry=_IDLE_S),
                verify=(tls or _system_tls()) if self._url.startswith("https:") else False,
                trust_env=False,
                cookies=no_cookies(),
            )
        except (httpx.InvalidURL, ValueError):
            raise ClientError("The URL of Batkol's internal API has no valid host or no port.") from None

    async def close(self) -> None:
        """Close all connections; what is asked later is a `ClientError`."""
        self._closed = True
        await self._http.aclose()

    def shown(self, path: str = "") -> str:
        """Return a URL without a password and without a query."""
        return masked(self._url) + path

    async def read(self, path: str, query: Query | None = None, *, of_call: bool = False) -> bytes:
        """GET a whole answer. Raises `ClientError`. Cancelling it loses nothing."""
        try:
            answer = await self._exchange("GET", path, params=query)
        except (httpx.TransportError, TimeoutError) as error:
            raise self.unreachable(error) from error
        return self._checked(answer, path, of_call=of_call)

    async def command(self, path: str, query: Query | None = None, **sent: Any) -> bytes:
        """POST a command; `sent` is httpx's `json`, or `content` and `headers`.

        Raises `ServiceUnreachableError` if it was not sent, `UncertainError` if no answer came, `RequestRefusedError`.
        Cancelling it leaves open whether the command is carried out.
        """
        try:
            answer = await self._exchange("POST", path, params=query, **sent)
        except _NEVER_SENT as error:
            raise self.unreachable(error) from error
        except (httpx.TransportError, TimeoutError) as error:
            raise UncertainError(
                f"{self.shown(path)} did not answer ({type(error).__name__}): the service may have carried the command "
                "out, or not. The call's events show it."
            ) from error
        if answer.status in _NO_ANSWER_BEHIND:
            raise UncertainError(str(refusal(answer.status, self.shown(path), {}, answer.body, of_call=True)))
        return self._checked(answer, path, of_call=True)

    async def open(self, path: str, query: Query, after: str, *, of_call: bool) -> httpx.Response:
        """Begin to read an event feed; its head has arrived. Raises `ClientError`. Cancelling it loses nothing."""
        # Of its own: one that another answer has ended may be closed by the service as it is used again.
        headers = {"accept": "text/event-stream", "cache-control": "no-store", "connection": "close", **PLAIN}
        if after:
            headers["last-event-id"] = after
        timeout = httpx.Timeout(self.limits.silence_s, connect=self.limits.connect_s)
        self._check_open()
        request = self._http.build_request("GET", path, params=query, headers=headers, timeout=timeout)
        try:
            response = await self._http.send(request, stream=True)
        except httpx.TransportError as error:
            raise self.unreachable(error) from error
        try:
            await self._check_feed(response, path, of_call=of_call)
        except BaseException:
            await response.aclose()
            raise
        return response

    def unreachable(self, error: Exception) -> ServiceUnreachableError:
        return ServiceUnreachableError(
            f"The internal API at {self.shown()} cannot be reached ({type(error).__name__}). "
            "Is the service up, and is this its INTERNAL_PORT?"
        )

    def unusable(self, path: str, why: str) -> UnexpectedAnswerError:
        return UnexpectedAnswerError(
            f"{self.shown(path)} answered something else than Batkol does: {why}. Is the URL right?"
        )

    async def _exchange(self, method: str, path: str, **asked: Any) -> Answer:
        within_s = self.limits.answer_s
        self._check_open()
        try:
            return await exchange(self._http, method, path, within_s=within_s, largest=LARGEST, **asked)
        except AnswerError as error:
            raise self.unusable(path, str(error)) from error

    def _check_open(self) -> None:
        if self._closed:
            raise ClientError("This `Batkol` was closed: its `async with` block is over. Make another one.")

    def _checked(self, answer: Answer, path: str, *, of_call: bool) -> bytes:
        if 200 <= answer.status < 300:
            return answer.body
        raise refusal(answer.status, self.shown(path), answer.headers, answer.body, of_call=of_call)

    async def _check_feed(self, response: httpx.Response, path: str, *, of_call: bool) -> None:
        if of_call and response.status_code == HTTPStatus.NO_CONTENT:
            raise CallOverError(f"{self.shown(path)} has nothing more: the call is over.", status=HTTPStatus.NO_CONTENT)
        if response.status_code != HTTPStatus.OK:
            said = await self._said(response)
            raise refusal(response.status_code, self.shown(path), response.headers, said, of_call=of_call)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "text/event-stream":
            raise self.unusable(path, "it is no event feed")
        try:
            check_plain(response)
        except AnswerError as error:
            raise self.unusable(path, str(error)) from error

    async def _said(self, response: httpx.Response) -> bytes:
        """Return the body of a refusal; nothing of one that is endless, compressed or broken: its status is enough."""
        try:
            return await body(response, _LARGEST_REFUSAL)
        except (AnswerError, httpx.TransportError):
            return b""
