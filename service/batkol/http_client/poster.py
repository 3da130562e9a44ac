"""POST requests of JSON to one URL, each answered by a stream.

httpx takes longer over a request and its response than forty tokens take to be read: it parses the URL, merges headers,
asks for proxies, cookies, redirects and hooks. Where no proxy is in between, the head of all requests is made once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx

from batkol.http_client.transport import HttpTransport, head_of

_JSON: Final = {"Content-Type": "application/json"}
_NO_HEADERS: Final[Mapping[str, str]] = {}


class Poster:
    """`client` has the server's address, headers and limits of time; `transport` is its own, None for httpx's.

    Errors are httpx's. The response's body is unread, and its owner closes it.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        path: str,
        *,
        headers: Mapping[str, str],
        transport: HttpTransport | None,
        login: tuple[str, str] | None = None,
    ) -> None:
        self._client = client
        self._path = path
        self._headers = {**_JSON, **headers}
        self._transport = transport
        self._login = None if login is None else httpx.BasicAuth(*login)
        self._head = b""

    async def post(self, content: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> httpx.Response:
        """Send a request; return when the head of the response is there. Cancelling it closes the connection.

        `headers` are this request's own, of names and values that are ASCII on one line.
        """
        if self._transport is None:
            return await self._client.send(self._request(content, headers), stream=True)
        self._head = self._head or self._made_head()
        own = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")
        length = b"Content-Length: %d\r\n\r\n" % len(content)
        return await self._transport.send(self._head + own + length + content, self._client.timeout)

    def _request(self, content: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> httpx.Request:
        return self._client.build_request("POST", self._path, content=content, headers={**self._headers, **headers})

    def _made_head(self) -> bytes:
        request = self._request(b"")
        del request.headers["Content-Length"]
        if self._login is not None:
            request = next(self._login.auth_flow(request))
        return head_of(request)
