"""The asking of Google, whenever it refuses, hangs and mends, and every timer late."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import pytest

from batkol.errors import UpstreamError
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.speech.breaker import BreakerState
from batkol.speech.punctuation import punctuate
from batkol.speech.utterance import Source
from batkol.transcription.health import CHECK_TIMEOUT, Health
from batkol.transcription.recognizers import Recognizers
from batkol.transcription.vendor_check import ASK_EVERY
from support.google.streaming import google_step
from support.time.virtual import in_virtual_time

LATE_S = 2.0
ROUNDS = 16
SLACK_S = 3 * LATE_S
"""What late timers add between two questions: to the rest, to the answer, and to what notes it."""

REFUSED = UpstreamError("who are you", reason="unauthenticated", retryable=False)
AWAY = UpstreamError("try later", reason="unavailable", retryable=True)


class Google:
    """Refuses, is away or answers, in moods that change; notes when it was asked."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.error: UpstreamError | None = None
        self.asked_at: list[float] = []
        self.asking = 0

    async def recognize(self, audio: bytes) -> str:
        assert audio
        self.asking += 1
        assert self.asking == 1, "two questions at once"
        self.asked_at.append(asyncio.get_running_loop().time())
        try:
            await asyncio.sleep(self.chance.uniform(0, CHECK_TIMEOUT))
            if self.error is not None:
                raise self.error
        finally:
            self.asking -= 1
        return ""


def made(google: Google) -> tuple[Health, Recognizers]:
    recognizers = Recognizers(
        streaming=google_step(Channels(endpoint="127.0.0.1:9", insecure=True)),
        options=StreamingOptions(on_written=lambda *_: None),
        fallbacks=((Source.SINGLE, google),),
        punctuate=punctuate,
    )
    return Health(recognizers, google, check_at_start=True), recognizers


async def calls(recognizers: Recognizers, google: Google, chance: random.Random) -> None:
    """A call now and then: it tries each step that its breaker allows, and learns what Google says of it."""
    clock = asyncio.get_running_loop().time
    while True:
        await asyncio.sleep(chance.uniform(0, 20))
        for breaker in (recognizers.streaming[0].breaker, recognizers.breakers[Source.SINGLE]):
            if not breaker.allows(clock()):
                continue
            error = google.error
            await asyncio.sleep(chance.uniform(0, 1))
            if error is None:
                breaker.succeed(clock())
            else:
                breaker.fail(clock(), error.reason, grave=not error.retryable)


@pytest.mark.parametrize("seed", range(8))
def test_google_is_asked_one_question_at_a_time_not_too_often_and_until_it_is_well(seed: int) -> None:
    async def scene() -> None:
        chance = random.Random(seed)
        google = Google(chance)
        health, recognizers = made(google)
        clock, refusals = asyncio.get_running_loop().time, 0
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(health.run()), tasks.create_task(calls(recognizers, google, chance))]
            for _ in range(ROUNDS):
                google.error = chance.choice([REFUSED, REFUSED, AWAY, None])
                await asyncio.sleep(chance.uniform(60, 400))
                if health.why_not_ready() is not None:
                    refusals += 1
                    assert clock() - google.asked_at[-1] <= ASK_EVERY + CHECK_TIMEOUT + SLACK_S
            google.error = None
            await asyncio.sleep(5 * (ASK_EVERY + CHECK_TIMEOUT + SLACK_S))
            assert health.why_not_ready() is None
            assert recognizers.breakers[Source.SINGLE].state is BreakerState.CLOSED
            asked = len(google.asked_at)
            await asyncio.sleep(3600)
            assert len(google.asked_at) == asked
            for task in running:
                task.cancel()
        assert refusals > 1
        waits = [later - earlier for earlier, later in pairwise(google.asked_at)]
        assert sum(wait < ASK_EVERY - 1e-6 for wait in waits) <= ROUNDS, "asked sooner than it should be"

    in_virtual_time(scene(), random.Random(seed), LATE_S)
