"""Any faults of two vendors under any call, and flips of the flag: every word has one place. In virtual time."""

from __future__ import annotations

import asyncio
import random
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from batkol.recognizers.streaming.errors import NO_STREAM_FREE, Next
from batkol.voices.marked.voice import WORDS, SpokenAudio, script
from support.speech.memory_vendor import TIMED, UNTIMED, MemoryVendor, broken
from support.speech.vendor_call import KnowingFallback, VendorCall, vendor_call
from support.time.virtual import in_virtual_time
from support.time.waiting import until

FIRST, SECOND = "first/a", "second/b"
FAULTS: Final = (
    broken(),
    broken("quota", Next.COOL_OFF),
    broken("unauthenticated", Next.MISCONFIGURED),
    broken(NO_STREAM_FREE, Next.COOL_OFF),
    broken("session_limit", Next.ROTATE),
)


def speech(draw: random.Random) -> SpokenAudio:
    """No word is said twice in a row, as words without times could not be told apart there."""
    words = [*WORDS]
    draw.shuffle(words)
    counts = [draw.randint(1, 8) for _ in range(draw.randint(2, 5))]
    taken = [words[at % len(words)] for at in range(sum(counts))]
    utterances = [[taken.pop() for _ in range(count)] for count in counts]
    return script(utterances, gap_ms=draw.choice([1200, 3000, 8000]))


def misbehave(draw: random.Random, vendor: MemoryVendor) -> None:
    """Do one thing that a vendor does to a call, or end it."""
    match draw.choice(["die", "refuse", "hang", "slow", "recover", "nothing"]):
        case "die" if vendor.connections and not vendor.connections[-1].over:
            vendor.die(draw.choice(FAULTS))
        case "refuse":
            vendor.refusal = draw.choice(FAULTS)
        case "hang":
            vendor.hangs = True
        case "slow":
            vendor.opening_s = draw.choice([0.3, 1.0, 1.8])
        case "recover":
            recover(vendor)


def recover(vendor: MemoryVendor) -> None:
    vendor.refusal, vendor.hangs, vendor.opening_s = None, False, 0.0


async def speak(draw: random.Random, call: VendorCall) -> None:
    for index in range(len(call.spoken.utterances)):
        if draw.random() < 0.4:
            call.preferred = draw.choice([FIRST, SECOND])
        await call.begin(index)
        misbehave(draw, draw.choice(call.vendors))
        await call.end(index)
        if draw.random() < 0.5:
            misbehave(draw, draw.choice(call.vendors))
    await until(lambda: len(call.told.texts) == len(call.spoken.utterances))
    await asyncio.sleep(20)


async def scene(seed: int, *, timed: bool) -> tuple[list[str], list[str]]:
    """Return what was said and what was heard, utterance by utterance."""
    draw = random.Random(seed)
    spoken = speech(draw)
    traits = {FIRST: TIMED, SECOND: TIMED if timed else UNTIMED}
    async with vendor_call(spoken, traits=traits, single=KnowingFallback(spoken)) as call:
        await speak(draw, call)
    heard = {**call.told.texts, **dict(call.told.revisions)}
    return [span.text for span in spoken.utterances], [heard[index] for index in sorted(heard)]


@given(seed=st.integers(0, 2**32))
def test_no_word_is_lost_doubled_or_misattributed_between_two_vendors(seed: int) -> None:
    said, heard = in_virtual_time(scene(seed, timed=True))

    assert heard == said


@given(seed=st.integers(0, 2**32))
def test_a_vendor_without_word_times_loses_no_word_either(seed: int) -> None:
    """It may put a word to the utterance before it."""
    said, heard = in_virtual_time(scene(seed, timed=False))

    assert " ".join(heard).split() == " ".join(said).split()
