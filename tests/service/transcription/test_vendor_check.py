"""Each recognizer with credentials of its own is asked by itself, and what it refuses is its own. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from batkol.recognizers.streaming.errors import Next
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.speech.utterance import Source
from batkol.transcription.health import Health
from batkol.transcription.recognizers import Recognizers
from batkol.transcription.streaming_step import StreamingStep
from batkol.transcription.vendor_check import ASK_EVERY
from batkol.voices.marked.voice import say
from support.speech.memory_vendor import MemoryVendor, broken
from support.speech.observer import Observed
from support.speech.scripted_recognizer import ScriptedRecognizer
from support.time.waiting import until

pytestmark = pytest.mark.virtual_time

GOOGLE, OTHER = "google-v1/default", "other/model"
REFUSED = broken("unauthenticated", Next.MISCONFIGURED)


@dataclass
class Clinic:
    """The health of a process with Google's streams, whose check is the single request, and another vendor's."""

    health: Health
    recognizers: Recognizers
    single: ScriptedRecognizer
    other: MemoryVendor

    def states(self) -> dict[str, str]:
        return {name: status.breaker.state for name, status in self.health.recognizer_status().items()}


@asynccontextmanager
async def clinic(*, refusing: bool = False, single_refuses: bool = False) -> AsyncIterator[Clinic]:
    google, other = (MemoryVendor(name, say(["כן"]), Observed()) for name in (GOOGLE, OTHER))
    other.refusal = REFUSED if refusing else None
    single = ScriptedRecognizer("", *([REFUSED] if single_refuses else []), delay_s=0.0)
    recognizers = Recognizers(
        streaming=(StreamingStep(google, stands_with_single=True), StreamingStep(other)),
        options=StreamingOptions(on_written=lambda *_: None),
        fallbacks=((Source.SINGLE, single),),
        punctuate=str,
    )
    health = Health(recognizers, single, check_at_start=True)
    task = asyncio.create_task(health.run())
    try:
        await until(lambda: health.why_not_ready() is None)
        yield Clinic(health, recognizers, single, other)
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_every_vendor_is_asked_once_at_the_start_and_no_more() -> None:
    async with clinic() as up:
        await asyncio.sleep(24 * 3600)

        assert (len(up.single.asked), up.other.checks) == (1, 1)
        assert up.health.degraded() is None
        checks = {name: status.check.state for name, status in up.health.recognizer_status().items()}
        assert checks == {GOOGLE: "accepted", OTHER: "accepted"}


async def test_a_vendor_that_refuses_is_named_and_asked_again_and_the_pod_stays_ready() -> None:
    async with clinic(refusing=True) as up:
        assert up.health.degraded() == f"{OTHER}: unauthenticated"
        assert up.states() == {GOOGLE: "closed", OTHER: "open"}
        assert up.health.status()["streaming"].state == "closed"
        assert up.health.words()["said"] == str(REFUSED)

        await asyncio.sleep(2 * ASK_EVERY + 1)
        assert up.other.checks == 3
        up.other.refusal = None
        await asyncio.sleep(ASK_EVERY)

        assert up.states() == {GOOGLE: "closed", OTHER: "closed"}
        await asyncio.sleep(24 * 3600)
        assert (len(up.single.asked), up.other.checks) == (1, 4)


async def test_a_refusal_that_a_call_meets_makes_that_vendor_be_asked_and_no_other() -> None:
    async with clinic() as up:
        now = asyncio.get_running_loop().time()
        up.other.refusal = REFUSED
        up.recognizers.step(OTHER).breaker.fail(now, "unauthenticated", grave=True)
        await asyncio.sleep(ASK_EVERY + 1)
        up.other.refusal = None
        await asyncio.sleep(ASK_EVERY)

        assert up.states() == {GOOGLE: "closed", OTHER: "closed"}
        assert (len(up.single.asked), up.other.checks) == (1, 3)


async def test_a_vendor_that_comes_into_force_is_asked_at_once_and_what_it_refuses_is_its_own() -> None:
    third = MemoryVendor("third/model", say(["כן"]), Observed(), refusal=REFUSED)
    async with clinic() as up:
        (made,) = up.recognizers.use(("third/model", GOOGLE), lambda _: StreamingStep(third))
        up.health.add(made)
        await until(lambda: third.checks)
        assert up.states() == {"third/model": "open", GOOGLE: "closed"}
        assert up.health.degraded() == "third/model: unauthenticated"

        third.refusal = None
        await asyncio.sleep(ASK_EVERY + 1)
        assert up.states() == {"third/model": "closed", GOOGLE: "closed"}
        await asyncio.sleep(24 * 3600)
        assert (len(up.single.asked), up.other.checks, third.checks) == (1, 1, 2)


async def test_a_vendor_that_is_not_in_force_any_more_degrades_no_pod() -> None:
    async with clinic(refusing=True) as up:
        assert up.health.degraded() == f"{OTHER}: unauthenticated"
        up.recognizers.use((GOOGLE,), lambda _: StreamingStep(up.other))

        assert up.health.degraded() is None
        assert up.states() == {GOOGLE: "closed"}


async def test_a_pod_whose_every_recognizer_refuses_is_not_ready_and_one_that_mends_makes_it_so() -> None:
    async with clinic(single_refuses=True) as up:
        now = asyncio.get_running_loop().time()
        up.other.refusal = REFUSED
        for breaker in (*(step.breaker for step in up.recognizers.streaming), up.recognizers.breakers[Source.SINGLE]):
            breaker.fail(now, "unauthenticated", grave=True)
        assert up.health.why_not_ready() == "recognizer: unauthenticated"

        up.other.refusal = None
        await asyncio.sleep(ASK_EVERY + 1)

        assert up.health.why_not_ready() is None
        assert up.states() == {GOOGLE: "open", OTHER: "closed"}
