"""A real HTTP server answers, well or badly."""

import asyncio
import gzip
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from batkol.audio import mulaw
from batkol.audio.wav import wav_file
from batkol.errors import UpstreamError
from batkol.recognizers.whisper.http import LARGEST, WhisperServer
from batkol.speech.results import MOST_CHARACTERS
from support.http.one_answer import Answer, answering, http, text

SPEECH = bytes(range(256)) * 40


@asynccontextmanager
async def whisper(
    answer: Answer, *, patience: float = 20, api_key: str = ""
) -> AsyncIterator[tuple[WhisperServer, list[bytes]]]:
    """A client, and what it asked."""
    async with answering(answer) as (url, asked):
        client = WhisperServer(url=url, model="whisper-1", language="he", api_key=api_key, timeout=patience)
        try:
            async with asyncio.timeout(40):
                yield client, asked
        finally:
            await client.close()


async def refusal(answer: Answer, *, patience: float = 20) -> UpstreamError:
    async with whisper(answer, patience=patience) as (client, _):
        with pytest.raises(UpstreamError) as raised:
            await client.recognize(SPEECH)
    return raised.value


async def test_an_utterance_is_asked_for_as_openai_has_it() -> None:
    async with whisper(text(" שלום עולם\n"), api_key="key") as (client, asked):
        assert await client.recognize(SPEECH) == "שלום עולם"

        (request,) = asked
    assert request.startswith(b"POST /v1/audio/transcriptions HTTP/1.1\r\n")
    assert b"authorization: bearer key\r\n" in request.lower()
    assert b'name="model"\r\n\r\nwhisper-1' in request
    assert b'name="language"\r\n\r\nhe' in request
    assert (
        b'name="file"; filename="utterance.wav"\r\nContent-Type: audio/wav\r\n\r\n'
        + wav_file(mulaw.decode_to_bytes(SPEECH))
        in request
    )


async def test_without_a_key_none_is_sent() -> None:
    async with whisper(text("כן")) as (client, asked):
        await client.recognize(SPEECH)

        assert b"authorization" not in asked[0].lower()


async def test_a_login_in_the_url_is_sent_as_a_header_and_is_in_no_error() -> None:
    async with answering(text("כן")) as (url, asked):
        named = url.replace("http://", "http://user:Zq7%2F%40@")
        client = WhisperServer(url=named, model="whisper-1", language="he", api_key="", timeout=20)
        assert await client.recognize(SPEECH) == "כן"
        await client.close()
    assert b"Basic " + b64encode(b"user:Zq7/@") in asked[0]

    client = WhisperServer(url=named, model="whisper-1", language="he", api_key="", timeout=20)
    with pytest.raises(UpstreamError) as raised:
        await client.recognize(SPEECH)
    await client.close()
    assert "Zq7" not in "".join(traceback.format_exception(raised.value))


async def test_silence_is_an_empty_text() -> None:
    async with whisper(text("  ")) as (client, _):
        assert await client.recognize(SPEECH) == ""


@pytest.mark.parametrize(
    ("status", "retryable", "remedy"),
    [
        ("500 Internal Server Error", True, ""),
        ("503 Service Unavailable", True, ""),
        ("429 Too Many Requests", True, "raise its limits"),
        ("307 Temporary Redirect", False, "set WHISPER_URL to its target, and restart"),
        ("400 Bad Request", False, "check WHISPER_MODEL and GCP_STT_LANGUAGE, and restart"),
        ("401 Unauthorized", False, "set WHISPER_API_KEY to a valid one, and restart"),
        ("403 Forbidden", False, "set WHISPER_API_KEY to a valid one, and restart"),
        ("404 Not Found", False, "and WHISPER_MODEL, which the server must have downloaded, and restart"),
        ("413 Content Too Large", False, "raise its limit"),
    ],
)
async def test_a_status_says_whether_to_try_again_and_what_to_do(status: str, retryable: bool, remedy: str) -> None:
    error = await refusal(http(status, b'{"error": "x"}'))

    assert remedy in error.remedy
    assert bool(remedy) is bool(error.remedy)

    assert (error.reason, error.retryable) == ("http_error", retryable)
    assert str(error) == f"Whisper answered HTTP {status[:3]}"


async def test_no_answer_in_time_is_a_deadline() -> None:
    async def never(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    error = await refusal(never, patience=0.2)

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


async def test_an_answer_that_is_compressed_is_refused_before_it_is_inflated() -> None:
    """400 kB of gzip became 400 MB, and 2 GB of memory."""
    bomb = gzip.compress(b" " * 10_000_000)
    error = await refusal(http("200 OK", bomb, "Content-Encoding: gzip"))

    assert (error.reason, error.retryable) == ("malformed", False)
    assert "compressed" in str(error)


async def test_whisper_is_asked_not_to_compress() -> None:
    async with whisper(text("כן")) as (client, asked):
        await client.recognize(SPEECH)

        assert b"accept-encoding: identity\r\n" in asked[0].lower()


async def test_an_answer_without_end_is_left_when_it_is_too_long() -> None:
    written = 0

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while written < 200 * LARGEST:
            writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
            await writer.drain()
            written += 0x10000

    error = await refusal(flood)

    assert (error.reason, f"longer than {LARGEST} bytes" in str(error)) == ("malformed", True)
    assert written < 100 * LARGEST, "what sockets hold, and no more"


async def test_an_answer_that_drips_is_a_deadline() -> None:
    """Each read is quick, and the answer has no end."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    error = await refusal(drip, patience=0.5)

    assert (error.reason, error.retryable) == ("deadline", True)


async def test_a_redirect_is_not_followed_with_a_callers_speech() -> None:
    error = await refusal(http("302 Found", b"", "Location: http://127.0.0.1:9/"))

    assert error.reason in {"http_error", "malformed"}


async def test_a_text_that_no_minute_of_speech_has_is_refused_and_another_utterance_may_be_asked_about() -> None:
    """A model that repeats itself without end: the server is right, and its answer is none."""
    error = await refusal(text("כן " * MOST_CHARACTERS))

    assert (error.reason, error.retryable) == ("too_large", True)
    assert "כן" not in str(error)
