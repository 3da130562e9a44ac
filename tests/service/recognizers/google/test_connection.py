"""One stream of Google's over a real socket: a response that would keep every call waiting ends it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from google.cloud.speech_v1p1beta1.types import cloud_speech

from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.connection import open_stream
from batkol.recognizers.google.wire import recognition
from batkol.recognizers.streaming.errors import Next, SpeechError
from batkol.speech.results import MOST_CHARACTERS, MOST_WORDS, Portion
from support.google.scripted import ServedStream, result, scripted_google

HEBREW = recognition("he-IL", "default")


def worded(count: int) -> Any:
    """A final with so many words and their times, and next to no text."""
    found = result("שלום", 1000, final=True)
    at = timedelta(milliseconds=100)
    found.alternatives[0].words = [cloud_speech.WordInfo(word="א", start_time=at, end_time=at)] * count
    return found


async def read(*results: Any) -> list[Portion]:
    """Return the portions of one response, or raise what it raises."""

    async def say(stream: ServedStream) -> None:
        await stream.read()
        await stream.say(*results)
        await stream.read_to_end()

    async with scripted_google(stream=say) as google:
        channels = Channels(endpoint=google.address, insecure=True)
        try:
            async with open_stream(channels, HEBREW, within=20) as connection:
                return list(await connection.read() or ())
        finally:
            await channels.close()


@pytest.mark.parametrize(
    "results",
    [
        (worded(MOST_WORDS + 1),),
        (result("א" * (MOST_CHARACTERS + 1), 1000),),
        tuple(result("", number) for number in range(MOST_WORDS + 1)),
    ],
    ids=["words", "characters", "results"],
)
async def test_a_response_that_no_speech_has_ends_the_stream(results: tuple[Any, ...]) -> None:
    with pytest.raises(SpeechError) as failed:
        await read(*results)

    assert (failed.value.reason, failed.value.next, failed.value.retryable) == ("too_large", Next.REPLAY, True)
    assert "א" not in str(failed.value)


async def test_a_final_of_as_many_words_as_may_be_is_read() -> None:
    (portion,) = await read(worded(MOST_WORDS))

    assert (len(portion.words), portion.final) == (MOST_WORDS, True)
