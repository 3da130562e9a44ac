"""An HTTP server that gives everybody one answer, well or badly."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def http(status: str, body: bytes, *headers: str) -> Answer:
    """Answer with this."""
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""])

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode() + body)

    return answer


def text(words: str) -> Answer:
    """Answer as OpenAI's transcriptions do."""
    return http("200 OK", json.dumps({"text": words}).encode(), "Content-Type: application/json")


@asynccontextmanager
async def answering(
    answer: Answer, tls: ssl.SSLContext | None = None, came: asyncio.Event | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve on a free port; yields the URL, and what was asked: each request with its head.

    `came` is set when somebody has connected, whether or not anything is asked then.
    """
    asked: list[bytes] = []
    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        if came is not None:
            came.set()
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            length = next(lengths, 0)
            asked.append(head + await reader.readexactly(length))
            await answer(writer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()
        await server.wait_closed()
        for task in serving:
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
