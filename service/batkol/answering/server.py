"""One answerer's HTTP server: questions posted, answers read as they stream, and the errors of both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, TypeAlias

import httpx

from batkol.answering.answerer import AnswererError
from batkol.answering.patience import AnswerPatience, Limits
from batkol.answers import PLAIN, AnswerError, body, check_plain, no_cookies
from batkol.http_client.poster import Poster
from batkol.http_client.transport import HttpTransport, has_proxy
from batkol.urls import without_login

SLICE: Final = 8 * 1024
"""Bytes of an answer that are parsed before other calls have their turn."""
HOLD_S: Final = 0.15
"""Seconds between two reads of the rest: tokens then come several at once, for each wakes the process, which is most of
the CPU of an answer (ADR 0022). The voice is speaking by then."""
EARLY_CHARACTERS: Final = 30
"""The beginning of an answer, which is read as it comes: enough for the first piece that a voice can speak."""

_LARGEST_REFUSAL: Final = 64 * 1024
_STALE_S: Final = 1.0
"""A kept connection that the server closed meanwhile is found out sooner than this."""
_KEPT_S: Final = 120.0
"""An idle connection is kept this long, unless the server closes it."""

RefusalOf: TypeAlias = Callable[[str, int, bytes], AnswererError]
"""Makes the error for an answer with a status that is no success: the server's name, the status, the body."""

_NO_HEADERS: Final[Mapping[str, str]] = {}


class AnswererServer:
    """`url` is where questions are posted, or, with `path`, begins there; `who` is for errors.

    Answers are not compressed, have limits of size and time, and no redirect is followed. A user and password in the
    URL go into the Authorization header. At most `connections` answers come at once. Proxies are those of the
    environment, as for Whisper.
    """

    def __init__(
        self,
        who: str,
        url: str,
        *,
        path: str = "",
        headers: Mapping[str, str] = _NO_HEADERS,
        limits: Limits,
        connections: int,
        refused: RefusalOf,
    ) -> None:
        base, login = without_login(url)
        self.resent = 0
        """Questions that were sent again because the server had closed the connection that was kept."""
        self._who = who
        self._url = httpx.URL(base)
        self._refused = refused
        self.proxied = has_proxy(self._url)
        """Whether httpx's own transport asks, because a proxy is in between."""
        transport = None if self.proxied else HttpTransport(self._url, most=connections, kept_s=_KEPT_S)
        self.client = httpx.AsyncClient(
            auth=login,
            headers={**headers, **PLAIN},
            timeout=httpx.Timeout(None, connect=limits.connect_s, write=limits.connect_s, pool=limits.connect_s),
            limits=httpx.Limits(
                max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_KEPT_S
            ),
            transport=transport,
            cookies=no_cookies(),
        )
        posted = {"Accept": "text/event-stream"}
        self._poster = Poster(self.client, self.at(path), headers=posted, transport=transport, login=login)

    def at(self, path: str) -> str:
        """Return the URL of a path of the server."""
        return str(self._url.copy_with(path=self._url.path.rstrip("/") + path) if path else self._url)

    async def aclose(self) -> None:
        """Close the connections; answers under way end in an `AnswererError`."""
        await self.client.aclose()

    async def ask(
        self, content: bytes, patience: AnswerPatience, headers: Mapping[str, str] = _NO_HEADERS
    ) -> httpx.Response:
        """Send the question; return the response with its body unread. A stale connection costs no answer."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            return await patience.wait(self._poster.post(content, headers))
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as error:
            if clock() - began > _STALE_S:
                raise self.unavailable(error) from error
        except httpx.TransportError as error:
            raise self.unavailable(error) from error
        self.resent += 1
        try:
            return await patience.wait(self._poster.post(content, headers))
        except httpx.TransportError as error:
            raise self.unavailable(error) from error

    async def check(self, response: httpx.Response, patience: AnswerPatience) -> None:
        """Raises `AnswererError` for an answer that is none."""
        try:
            check_plain(response)
            if response.status_code == httpx.codes.OK:
                return
            refusal = await patience.wait(body(response, _LARGEST_REFUSAL))
        except AnswerError as error:
            if error.status == httpx.codes.OK:
                raise AnswererError(
                    f"{self._who} sent an answer that cannot be used: {error}.", reason="malformed", retryable=False
                ) from None
            refusal = b""
        except httpx.TransportError:
            refusal = b""  # the status says enough
        raise self._refused(self._who, response.status_code, refusal)

    async def next(self, pieces: AsyncIterator[bytes], patience: AnswerPatience) -> bytes | None:
        """Return the next bytes of an answer's body; None at its end. Raises `AnswererError`."""
        try:
            return await patience.wait(anext(pieces, None))
        except httpx.TransportError as error:
            raise AnswererError(
                f"{self._who} broke off its answer ({type(error).__name__}). The server or the network failed.",
                reason="cut_off",
                retryable=True,
            ) from error

    def unavailable(self, error: Exception) -> AnswererError:
        """Return the error for a server that cannot be asked."""
        if isinstance(error, httpx.PoolTimeout):
            return AnswererError(
                f"{self._who} has all its connections in use. Raise their number, or spread the calls over more pods.",
                reason="busy",
                retryable=True,
            )
        remedy = "Check its URL, and whether the server runs."
        return AnswererError(
            f"{self._who} cannot be reached ({type(error).__name__}). {remedy}",
            reason="unavailable",
            retryable=True,
            remedy=remedy,
        )
