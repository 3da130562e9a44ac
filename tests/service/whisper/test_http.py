"""A real HTTP server answers, well or badly."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from batkol.errors import UpstreamError
from batkol.whisper.http import WhisperServer
from batkol.whisper.wav import wav

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
SPEECH = bytes(range(256)) * 40


def http(status: str, body: bytes, *headers: str) -> Answer:
    """Answer with this."""
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""])

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode() + body)

    return answer


def text(words: str) -> Answer:
    return http("200 OK", json.dumps({"text": words}).encode(), "Content-Type: application/json")


@asynccontextmanager
async def whisper(answer: Answer, *, timeout: float = 20, api_key: str = "") -> AsyncIterator[WhisperServer]:
    """Serve one answer to everybody; what was asked is kept on the client as `asked`."""
    asked: list[bytes] = []
    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            asked.append(head + await reader.readexactly(length))
            await answer(writer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = WhisperServer(
        url=f"http://127.0.0.1:{port}", model="whisper-1", language="he", api_key=api_key, timeout=timeout
    )
    client.asked = asked  # type: ignore[attr-defined]
    try:
        async with asyncio.timeout(40):
            yield client
    finally:
        await client.close()
        server.close()
        await server.wait_closed()
        for task in serving:
            if task is not None:
                task.cancel()
                await asyncio.wait([task])


async def refusal(answer: Answer, *, timeout: float = 20) -> UpstreamError:
    async with whisper(answer, timeout=timeout) as client:
        with pytest.raises(UpstreamError) as raised:
            await client.recognize(SPEECH)
    return raised.value


async def test_an_utterance_is_asked_for_as_openai_has_it() -> None:
    async with whisper(text(" שלום עולם\n"), api_key="key") as client:
        assert await client.recognize(SPEECH) == "שלום עולם"

        (request,) = client.asked  # type: ignore[attr-defined]
    assert request.startswith(b"POST /v1/audio/transcriptions HTTP/1.1\r\n")
    assert b"authorization: bearer key\r\n" in request.lower()
    assert b'name="model"\r\n\r\nwhisper-1' in request
    assert b'name="language"\r\n\r\nhe' in request
    assert b'name="file"; filename="utterance.wav"\r\nContent-Type: audio/wav\r\n\r\n' + wav(SPEECH) in request


async def test_without_a_key_none_is_sent() -> None:
    async with whisper(text("כן")) as client:
        await client.recognize(SPEECH)

        assert b"authorization" not in client.asked[0].lower()  # type: ignore[attr-defined]


async def test_silence_is_an_empty_text() -> None:
    async with whisper(text("  ")) as client:
        assert await client.recognize(SPEECH) == ""


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        ("500 Internal Server Error", True),
        ("503 Service Unavailable", True),
        ("429 Too Many Requests", True),
        ("400 Bad Request", False),
        ("401 Unauthorized", False),
        ("404 Not Found", False),
        ("413 Content Too Large", False),
    ],
)
async def test_a_status_says_whether_to_try_again(status: str, retryable: bool) -> None:
    error = await refusal(http(status, b'{"error": "x"}'))

    assert (error.reason, error.retryable) == ("http_error", retryable)
    assert str(error) == f"Whisper answered HTTP {status[:3]}"


async def test_no_answer_in_time_is_a_deadline() -> None:
    async def never(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    error = await refusal(never, timeout=0.2)

    assert (error.reason, error.retryable) == ("deadline", True)


async def test_nobody_there_is_unavailable() -> None:
    client = WhisperServer(url="http://127.0.0.1:9", model="m", language="he", api_key="", timeout=5)
    with pytest.raises(UpstreamError) as raised:
        await client.recognize(SPEECH)
    await client.close()

    assert (raised.value.reason, raised.value.retryable) == ("unavailable", True)


async def test_a_server_that_hangs_up_in_mid_answer_is_unavailable() -> None:
    async def half(writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"te')

    assert (await refusal(half)).reason == "unavailable"


async def test_something_that_is_not_http_is_unavailable() -> None:
    async def garbage(writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(range(256)) * 4)

    assert (await refusal(garbage)).reason == "unavailable"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"text": null}',
        b'{"text": ["\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d"]}',
        b"[" * 200_000,
    ],
    ids=lambda body: repr(body[:20]),
)
async def test_an_answer_that_is_not_its_json_is_malformed_and_is_not_quoted(body: bytes) -> None:
    error = await refusal(http("200 OK", body))

    assert (error.reason, error.retryable) == ("malformed", False)
    assert "שלום" not in str(error)
    assert error.__cause__ is None


async def test_an_answer_that_claims_to_be_compressed_and_is_not_is_malformed() -> None:
    error = await refusal(http("200 OK", b"not gzip at all", "Content-Encoding: gzip"))

    assert error.reason == "malformed"


async def test_a_compressed_answer_is_read() -> None:
    answer = http("200 OK", gzip.compress('{"text": "כן"}'.encode()), "Content-Encoding: gzip")
    async with whisper(answer) as client:
        assert await client.recognize(SPEECH) == "כן"


async def test_a_redirect_is_not_followed_with_a_callers_speech() -> None:
    error = await refusal(http("302 Found", b"", "Location: http://127.0.0.1:9/"))

    assert error.reason in {"http_error", "malformed"}
