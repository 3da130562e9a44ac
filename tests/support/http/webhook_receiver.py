"""A receiver of webhooks on loopback, strict about what it gets and untidy in what it answers.

    async with receiving(SECRET) as receiver:
        receiver.answers = [status(500), HANG]   # for the first requests; 204 for all others
        ... WebhookSink("crm", receiver.url, [SECRET]) ...
        assert receiver.violations == []

Signatures are verified by the official library. Every request must be a CloudEvent with the headers of Standard
Webhooks, and no stream may have two requests at once: what is wrong is in `violations`.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeAlias

from standardwebhooks import Webhook, WebhookVerificationError

from support.http.plain import Request, chunk, read_request

Answer: TypeAlias = Callable[["Receiver", asyncio.StreamWriter], Awaitable[bool]]
"""Writes an answer; returns whether the connection stays open."""

REQUIRED: Final = {"specversion", "id", "source", "type"}
"""https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#required-attributes"""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")  # RFC 3339
_NAME: Final = re.compile(r"[a-z0-9]{1,20}")


def status(code: int, *headers: str, body: bytes = b"") -> Answer:
    """Answer whole."""

    async def answer(_: Receiver, writer: asyncio.StreamWriter) -> bool:
        length = [] if code == 204 else [f"Content-Length: {len(body)}"]
        writer.write("\r\n".join([f"HTTP/1.1 {code} Whatever", *length, *headers, "", ""]).encode() + body)
        return True

    return answer


async def HANG(_: Receiver, __: asyncio.StreamWriter) -> bool:  # noqa: N802 - an answer by its name
    """Never answer."""
    await asyncio.Event().wait()
    return False


async def DIE(_: Receiver, writer: asyncio.StreamWriter) -> bool:  # noqa: N802
    """Break off within the head."""
    writer.write(b"HTTP/1.1 200 O")
    await writer.drain()
    return False


async def DIE_IN_BODY(_: Receiver, writer: asyncio.StreamWriter) -> bool:  # noqa: N802
    """Accept, and break off within the body."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    return False


async def GARBAGE(_: Receiver, writer: asyncio.StreamWriter) -> bool:  # noqa: N802
    """Send what is no HTTP."""
    writer.write(bytes(range(256)))
    await writer.drain()
    return False


async def FLOOD(receiver: Receiver, writer: asyncio.StreamWriter) -> bool:  # noqa: N802
    """Accept, with a body that has no end."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = chunk(bytes(65_536))
    while True:
        writer.write(piece)
        await writer.drain()
        receiver.flooded += len(piece)


class Receiver:
    """One receiver."""

    def __init__(self, *secrets: str) -> None:
        self.url = ""
        self.answers: list[Answer] = []
        self.otherwise: Answer = status(204)
        self.requests: list[Request] = []
        self.events: list[dict[str, Any]] = []
        """Whatever was answered, in the order of arrival."""
        self.violations: list[str] = []
        self.connections = 0
        self.most_at_once = 0
        self.flooded = 0
        """Bytes that the sockets took of floods."""
        self._verifiers = [Webhook(secret) for secret in secrets]
        self._open: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ids(self) -> list[str]:
        return [str(event["id"]) for event in self.events]

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._unless_left(reader, self._answer(await read_request(reader), writer)):
                await writer.drain()
        writer.close()

    async def _unless_left(self, reader: asyncio.StreamReader, answering: Coroutine[Any, Any, bool]) -> bool:
        """Answer to the end, or until the client has closed its side."""
        answer, left = asyncio.create_task(answering), asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait((answer, left), return_when=asyncio.FIRST_COMPLETED)
            return answer.done() and answer.result()
        finally:
            for task in (answer, left):
                task.cancel()
            await asyncio.gather(answer, left, return_exceptions=True)

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        self.requests.append(request)
        event = self._checked(request)
        self.events.append(event)
        stream = str(event.get("stream"))
        if stream in self._open:
            self.violations.append(f"two requests of {stream} at once")
        self._open.append(stream)
        self.most_at_once = max(self.most_at_once, len(self._open))
        try:
            answer = self.answers.pop(0) if self.answers else self.otherwise
            return await answer(self, writer)
        finally:
            self._open.remove(stream)

    def _checked(self, request: Request) -> dict[str, Any]:
        headers = request.headers
        kind, _, charset = headers.get("content-type", "").partition(";")
        self._check(request.method == "POST", "the method is not POST")
        self._check(kind == "application/cloudevents+json" and charset in ("", " charset=UTF-8"), f"it is {kind}")
        self._check(headers.get("accept-encoding") == "identity", "it takes compressed answers")
        self._check("cookie" not in headers, "it has cookies")
        self._check(bool(re.fullmatch(r"[\x21-\x2d\x2f-\x7e]+", headers.get("webhook-id", ""))), "no webhook-id")
        for verifier in self._verifiers:
            try:
                verifier.verify(request.body, headers, json_parse=False)
            except WebhookVerificationError as error:
                self.violations.append(str(error))
        event: dict[str, Any] = json.loads(request.body)
        self._check(event.keys() >= REQUIRED, "an attribute is missing")
        self._check(all(map(_NAME.fullmatch, event.keys() - {"data"})), "an attribute's name is none")
        self._check(event.get("specversion") == "1.0", "the version is not 1.0")
        self._check(bool(_TIME.fullmatch(event.get("time", ""))), "the time is not as in RFC 3339")
        self._check(all(value != "" for value in event.values()), "an attribute is empty")
        return event

    def _check(self, holds: bool, violation: str) -> None:
        if not holds:
            self.violations.append(violation)


@asynccontextmanager
async def receiving(*secrets: str, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Receive on loopback; every one of the secrets must have signed each request."""
    receiver = Receiver(*secrets)
    server = await asyncio.start_server(receiver.accept, "127.0.0.1", port, ssl=tls)
    scheme = "http" if tls is None else "https"
    receiver.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/events"
    try:
        yield receiver
    finally:
        server.close()
        await receiver.end()
        await server.wait_closed()
