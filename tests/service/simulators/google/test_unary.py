"""The double's Recognize over the wire: one request, one transcript, and Google's limits."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core.exceptions import InvalidArgument

from batkol.audio import mulaw
from batkol.voices.marked.voice import script
from support.google.client import speech_client

HELLO = script([["שלום", "שלום", "תודה"], ["מתי"], ["איפה", "מחר"]], gap_ms=800)
SILENCE = bytes([mulaw.SILENCE]) * 8000


async def test_a_whole_utterance_is_recognised_by_one_request() -> None:
    async with speech_client() as client:
        response = await client.recognize(mulaw.decode_to_bytes(HELLO.mulaw), enable_word_time_offsets=True)

    assert "".join(result.alternatives[0].transcript for result in response.results) == HELLO.text
    assert [len(result.alternatives[0].words) for result in response.results] == [3, 1, 2]
    assert client.double.stats()["unary_calls"] == 1


async def test_a_request_without_speech_is_answered_with_nothing() -> None:
    async with speech_client() as client:
        response = await client.recognize(mulaw.decode_to_bytes(SILENCE))

    assert list(response.results) == []


@pytest.mark.parametrize(
    ("pcm", "overrides", "text"),
    [
        (b"", {}, "RecognitionAudio not set."),
        (bytes(60 * 16_000 + 2), {}, "Sync input too long. For audio longer than 1 min use LongRunningRecognize"),
        (bytes(10_485_762), {}, "Request payload size exceeds the limit: 10485760 bytes."),
        (bytes(1600), {"model": "phone_call"}, "The requested model is currently not supported for language : iw-IL."),
    ],
)
async def test_a_request_beyond_the_limits_is_refused(pcm: bytes, overrides: dict[str, Any], text: str) -> None:
    async with speech_client() as client:
        with pytest.raises(InvalidArgument) as refused:
            await client.recognize(pcm, **overrides)

    assert text in refused.value.message
