"""Answers to clients of HTTP/1.0, which know no chunks: a body of unknown length ends with the connection.

uvicorn answers such a client in chunks all the same, against RFC 9112, 6.1, and the client reads their sizes as a part
of the body.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def without_chunks(cycle: RequestResponseCycle, app: ASGIApp) -> ASGIApp:
    """Return `app` as it answers this request without chunks. uvicorn closes the connection after the answer."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        until_close = False

        async def write(message: Message) -> None:
            nonlocal until_close
            if message["type"] == "http.response.start":
                until_close = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
                if until_close:
                    cycle.chunked_encoding = False  # neither a length nor chunks: so uvicorn adds no header
            elif until_close:
                cycle.expected_content_length = len(message.get("body", b""))  # what uvicorn lets through now
            await send(message)

        await app(scope, receive, write)

    return answer
