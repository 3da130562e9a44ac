import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from batkol.audio import mulaw
from batkol.google_api.endpoint import LARGEST
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.recognizer import SingleRecognizer
from batkol.recognizers.google.wire import recognition
from batkol.recognizers.streaming.errors import Next, SpeechError
from batkol.speech.results import MOST_CHARACTERS
from support.google.scripted import ScriptedGoogle, SingleScript, scripted_google

CODE = grpc.StatusCode
SPEECH = bytes(range(256)) * 10


@asynccontextmanager
async def recognizing(
    single: SingleScript, deadline: float = 20, compression: grpc.Compression = grpc.Compression.NoCompression
) -> AsyncIterator[tuple[SingleRecognizer, ScriptedGoogle, Channels]]:
    async with scripted_google(single=single, compression=compression) as google:
        channels = Channels(endpoint=google.address, insecure=True)
        try:
            yield SingleRecognizer(channels, recognition("he-IL", "default"), deadline=deadline), google, channels
        finally:
            await channels.close()


async def test_one_utterance_is_one_request_with_all_of_its_audio() -> None:
    async def answer(request: Any, context: Any) -> str:
        return " שלום "

    async with recognizing(answer) as (recognizer, google, channels):
        assert await recognizer.recognize(SPEECH) == "שלום"

        (request,) = google.requests
        assert request.audio.content == mulaw.decode_to_bytes(SPEECH)
        assert request.config.language_code == "iw-IL"
        assert channels.streams == 0


async def test_nothing_made_out_is_an_empty_text() -> None:
    async def answer(request: Any, context: Any) -> str:
        return ""

    async with recognizing(answer) as (recognizer, _, _):
        assert await recognizer.recognize(SPEECH) == ""


REFUSALS = [
    (CODE.UNAVAILABLE, Next.REPLAY, True),
    (CODE.INTERNAL, Next.REPLAY, True),
    (CODE.RESOURCE_EXHAUSTED, Next.COOL_OFF, True),
    (CODE.INVALID_ARGUMENT, Next.MISCONFIGURED, False),
    (CODE.PERMISSION_DENIED, Next.MISCONFIGURED, False),
    (CODE.UNAUTHENTICATED, Next.MISCONFIGURED, False),
    (CODE.CANCELLED, Next.REPLAY, True),
]


@pytest.mark.parametrize(("code", "next_step", "retryable"), REFUSALS)
async def test_a_refused_request_is_asked_exactly_once(code: grpc.StatusCode, next_step: Next, retryable: bool) -> None:
    """The client library would try UNAVAILABLE again by itself, for 5,000 s; who retries is the policy's to say."""

    async def refuse(request: Any, context: Any) -> str:
        await context.abort(code, "no")
        return ""

    async with recognizing(refuse) as (recognizer, google, channels):
        with pytest.raises(SpeechError) as raised:
            await recognizer.recognize(SPEECH)

        assert (raised.value.next, raised.value.retryable) == (next_step, retryable)
        assert len(google.requests) == 1
        assert channels.streams == 0


async def test_a_request_that_is_not_answered_times_out_and_is_given_up_at_google() -> None:
    given_up = asyncio.Event()

    async def never(request: Any, context: Any) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        return ""

    async with recognizing(never, deadline=0.2) as (recognizer, google, channels):
        with pytest.raises(SpeechError) as raised:
            await recognizer.recognize(SPEECH)

        assert raised.value.reason == "deadline"
        async with asyncio.timeout(20):
            await given_up.wait()
        assert len(google.requests) == 1
        assert channels.streams == 0


async def test_cancelling_cancels_the_request() -> None:
    asked, given_up = asyncio.Event(), asyncio.Event()

    async def never(request: Any, context: Any) -> str:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        return ""

    async with recognizing(never) as (recognizer, _, channels):
        task = asyncio.create_task(recognizer.recognize(SPEECH))
        async with asyncio.timeout(20):
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await given_up.wait()

        assert channels.streams == 0


async def lacks_models(request: Any, context: Any) -> str:
    if request.config.model != "default":
        await context.abort(CODE.INVALID_ARGUMENT, "The requested model is currently not supported for language : fr.")
    return "oui"


async def test_a_model_that_the_language_lacks_is_given_up_once_for_all_requests() -> None:
    async with scripted_google(single=lacks_models) as google:
        channels = Channels(endpoint=google.address, insecure=True)
        config = recognition("fr-FR", "phone_call")
        recognizer, other = (SingleRecognizer(channels, config) for _ in range(2))
        with capture_logs() as lines:
            answers = await asyncio.gather(*(recognizer.recognize(SPEECH) for _ in range(3)))
            assert await other.recognize(SPEECH) == "oui"
        await channels.close()

    assert answers == ["oui"] * 3
    assert config.model == "default"
    assert [request.config.model for request in google.requests].count("phone_call") == 3
    assert len(google.requests) == 3 + 3 + 1
    assert [line["log_level"] for line in lines] == ["error"]


async def test_a_language_that_lacks_the_default_model_too_is_no_loop() -> None:
    async def lacks_all(request: Any, context: Any) -> str:
        await context.abort(CODE.INVALID_ARGUMENT, "The requested model is currently not supported for language : xx.")
        return ""

    async with scripted_google(single=lacks_all) as google:
        channels = Channels(endpoint=google.address, insecure=True)
        recognizer = SingleRecognizer(channels, recognition("xx-XX", "latest_long"))
        for _ in range(2):
            with pytest.raises(SpeechError):
                await recognizer.recognize(SPEECH)
        await channels.close()

    assert [request.config.model for request in google.requests] == ["latest_long", "default", "default"]


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
async def test_an_answer_of_megabytes_is_refused_and_is_no_quota(compression: grpc.Compression) -> None:
    """Also one that would be megabytes: gRPC inflates up to the limit."""

    async def answer(request: Any, context: Any) -> str:
        return "x" * (2 * LARGEST)

    async with recognizing(answer, compression=compression) as (recognizer, _, _):
        with pytest.raises(SpeechError) as told:
            await recognizer.recognize(SPEECH)

    assert (told.value.reason, told.value.retryable) == ("too_large", True)


async def test_a_text_that_no_minute_of_speech_has_is_refused() -> None:
    async def answer(request: Any, context: Any) -> str:
        return "א" * (MOST_CHARACTERS + 1)

    async with recognizing(answer) as (recognizer, _, _):
        with pytest.raises(SpeechError) as told:
            await recognizer.recognize(SPEECH)

    assert (told.value.reason, told.value.retryable) == ("too_large", True)
    assert "א" not in str(told.value)
