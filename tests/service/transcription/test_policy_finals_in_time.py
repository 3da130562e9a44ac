"""What a final waits for where the recognizer can be asked for it: silence, its answer, the end of the utterance.

In virtual time, with the detector's own rounds: nothing may come on top of the later one of the last two.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from batkol.audio.segmenter import SegmenterSettings, SegmentQuiet
from batkol.calls.speech_events import pass_on
from batkol.speech.utterance import Source
from batkol.transcription.events import FinalReady, SpeechStopped
from batkol.transcription.final_request import FINALIZE
from batkol.vad.scheduler import VadScheduler
from batkol.voices.marked.voice import WORDS, script
from support.speech.policy_call import FRAME
from support.speech.vendor_call import VendorCall, vendor_call
from support.time.waiting import until
from support.vad.inline_jobs import InlineJobs
from support.vad.level_engine import LevelEngine

pytestmark = pytest.mark.virtual_time

SPOKEN = script([WORDS[0:3], WORDS[3:6], WORDS[6:9], WORDS[0:3], WORDS[3:6]], gap_ms=1_490, tail_ms=1_500)
"""Sentences that end at other moments of the detector's rounds of 64 ms each."""

FRAME_S = FRAME / 8000


class Times:
    """When an utterance was over, by the detector, and when its final went out; and the samples at which it ended."""

    def __init__(self, call: VendorCall) -> None:
        self.over: list[float] = []
        self.published: list[float] = []
        self.ended: list[int] = []
        self._loop = asyncio.get_running_loop()
        call.told.on_event = self._take

    def _take(self, event: object) -> None:
        match event:
            case SpeechStopped(utterance):
                assert utterance.end is not None
                self.over.append(self._loop.time())
                self.ended.append(utterance.end)
            case FinalReady(utterance):
                assert utterance.source is Source.FINAL
                self.published.append(self._loop.time())


@asynccontextmanager
async def listening(call: VendorCall, silence_ms: int) -> AsyncIterator[None]:
    """The call is heard by the detector's scheduler; only its network and its thread are others."""
    detector = VadScheduler(LevelEngine(), thread=InlineJobs())
    detector.open(call.ring, lambda event: pass_on(event, call.transcription), SegmenterSettings(silence_ms=silence_ms))
    try:
        yield
    finally:
        await detector.aclose()


@pytest.mark.parametrize("silence_ms", [200, 480])
async def test_a_final_goes_out_with_the_later_of_the_answer_and_the_end_of_the_utterance(silence_ms: int) -> None:
    async with vendor_call(SPOKEN) as call, listening(call, silence_ms):
        times, begun = Times(call), asyncio.get_running_loop().time()
        await call.feed(len(SPOKEN.mulaw))
        await until(lambda: len(times.published) == len(SPOKEN.utterances))
        (connection,) = call.vendors[0].connections

    assert call.text == SPOKEN.text
    assert times.published == [max(both) for both in zip(times.over, connection.final_at, strict=True)]
    waits = [at - begun - end / 8000 for at, end in zip(connection.flushed_at, times.ended, strict=True)]
    assert all(0.2 - 1e-6 <= wait <= 0.2 + 2 * FRAME_S for wait in waits), waits
    if silence_ms == 480:
        assert times.published == times.over


@pytest.mark.parametrize("late_ms", [0, 64, 120])
async def test_a_pause_that_is_reported_late_is_not_waited_for_again(late_ms: int) -> None:
    end = SPOKEN.utterances[0].end
    async with vendor_call(SPOKEN) as call:
        await call.begin(0, words=3)
        (connection,) = call.vendors[0].connections
        await call.feed(end + (64 + late_ms) * 8)
        call.transcription.speech_paused(SegmentQuiet(end, end + 64 * 8))
        await call.feed(end + FINALIZE - FRAME)
        assert connection.flushes == 0
        await call.feed(end + FINALIZE + FRAME)
        assert connection.flushes == 1


async def test_a_pause_that_is_reported_when_it_has_lasted_long_enough_is_asked_about_at_once() -> None:
    end = SPOKEN.utterances[0].end
    async with vendor_call(SPOKEN) as call:
        await call.begin(0, words=3)
        (connection,) = call.vendors[0].connections
        await call.feed(end + 2 * FINALIZE)
        call.transcription.speech_paused(SegmentQuiet(end, end + 64 * 8))
        await until(lambda: connection.flushes, seconds=FRAME_S)
        call.transcription.speech_ended(end)
        await until(lambda: 0 in call.told.texts)

    assert call.told.texts[0] == SPOKEN.utterances[0].text
