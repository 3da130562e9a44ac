"""The recognizer that a call wants may change at any moment, also while a stream of another one is still being opened.

The newest wish wins, and every word has one place. In virtual time.
"""

from __future__ import annotations

import asyncio
import random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.recognizers.streaming.errors import Next
from batkol.recognizers.streaming.events import StreamRotated
from batkol.speech.breaker import BreakerState
from batkol.speech.rotation import LAP, Why
from batkol.transcription.events import FinalReady
from batkol.voices.marked.voice import WORDS, SpokenAudio, script
from support.properties import few_by_day
from support.speech.memory_vendor import TIMED, UNTIMED, broken
from support.speech.vendor_call import KnowingFallback, VendorCall, vendor_call
from support.time.virtual import in_virtual_time
from support.time.waiting import until

FIRST, SECOND, THIRD = "first/a", "second/b", "third/c"
ALL: Final = {FIRST: TIMED, SECOND: TIMED, THIRD: TIMED}
SHORT = script([WORDS[0:3], WORDS[3:6], WORDS[6:9], WORDS[0:2]], gap_ms=1200)
BRIEF = script([WORDS[0:2], WORDS[2:3], WORDS[3:4], WORDS[4:6]], gap_ms=700)
LONG = script([WORDS[0:3], WORDS * 3])
SLOW_S: Final = 1.9
"""Less than the patience with an opening where another recognizer can take over, and longer than a pause."""


def by(call: VendorCall) -> list[str]:
    """Who gave the text of each final."""
    return [event.utterance.recognizer for event in call.told.of(FinalReady)]


async def flip(call: VendorCall, *names: str) -> None:
    """Change the order in force, and have the call follow, once for each name; the first of them all is tried first."""
    for name in names:
        call.put_in_force(name, *(other.name for other in call.vendors if other.name != name))
        await asyncio.sleep(0.2)


@pytest.mark.virtual_time
async def test_a_flag_that_goes_back_while_the_other_stream_opens_leaves_the_call_where_it_is() -> None:
    async with vendor_call(BRIEF) as call:
        _, second = call.vendors
        await call.say(0)
        second.opening_s = SLOW_S
        call.preferred = SECOND
        await call.begin(1)
        await call.end(1)
        assert second.streams == 1, "it is still being opened"
        call.preferred = FIRST
        await call.begin(2)
        assert second.streams == 0, "and is given up"
        await call.end(2)
        await call.say(3)

    assert (call.changes, set(by(call))) == ([], {FIRST})
    assert call.text == BRIEF.text
    assert len(call.vendors[0].connections) == 1
    assert call.recognizers.step(SECOND).breaker.state is BreakerState.CLOSED


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("wishes", "changes"),
    [
        ((SECOND, FIRST), []),
        ((SECOND, FIRST, SECOND), [SECOND]),
        ((SECOND, THIRD), [THIRD]),
        ((SECOND, THIRD, FIRST), []),
        ((SECOND, FIRST, THIRD, SECOND), [SECOND]),
    ],
)
async def test_of_wishes_that_come_while_a_stream_opens_the_newest_one_wins(
    wishes: tuple[str, ...], changes: list[str]
) -> None:
    async with vendor_call(LONG, traits=ALL) as call:
        for vendor in call.vendors[1:]:
            vendor.opening_s = SLOW_S
        await call.say(0)
        await call.begin(1, words=4)
        await asyncio.gather(flip(call, *wishes), call.end(1))
        await until(lambda: 1 in call.told.texts)

    assert [after for after, _ in call.changes] == changes
    assert call.text == LONG.text
    assert by(call)[-1] == (changes or [FIRST])[-1]
    rotated = call.told.of(StreamRotated)
    assert [(each.cut.why, each.recognizer) for each in rotated] == [(Why.CHOSEN, name) for name in changes]


@pytest.mark.virtual_time
async def test_a_change_away_from_a_recognizer_that_hangs_lasts() -> None:
    """Nothing of the new session counts before the old one has ended: that one is at fault, and not the new one."""
    async with vendor_call(SHORT, single=KnowingFallback(SHORT)) as call:
        first, _ = call.vendors
        await call.say(0)
        await call.begin(1)
        first.hangs = True
        call.put_in_force(SECOND, FIRST)
        await call.end(1)
        for index in (2, 3):
            await call.begin(index)
            await call.end(index)
        await until(lambda: len(call.told.texts) == 4)

    assert call.changes == [(SECOND, "chosen")]
    assert (call.text, by(call)[-1]) == (SHORT.text, SECOND)


@pytest.mark.virtual_time
@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.7, 0.9])
async def test_a_change_in_mid_word_to_a_recognizer_that_opens_and_refuses_loses_no_word(part: float) -> None:
    """Wherever in a word the seam of that change lies: the old session is closed by then, and another one follows."""
    async with vendor_call(LONG) as call:
        _, second = call.vendors
        await call.begin(0)
        word = LONG.words[0]
        await call.feed(int(word.start + part * (word.end - word.start)) + LAP)
        call.put_in_force(SECOND, FIRST)
        await until(lambda: bool(second.connections))
        second.refusal = broken()
        second.die(second.refusal)
        await call.end(0)
        await call.say(1)

    assert [after for after, _ in call.changes] == [SECOND, FIRST]
    assert call.text == LONG.text
    assert call.single.asked == []


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    "traits", [{FIRST: TIMED, SECOND: TIMED}, {FIRST: UNTIMED, SECOND: TIMED}, {FIRST: TIMED, SECOND: UNTIMED}]
)
async def test_an_order_that_changes_in_mid_utterance_is_one_cut_there_and_partials_go_on(
    traits: dict[str, object],
) -> None:
    async with vendor_call(LONG, traits=traits) as call:  # type: ignore[arg-type]
        await call.say(0)
        await call.begin(1, words=10)
        at, before = call.ring.end, len(call.told.partials)
        call.put_in_force(SECOND, FIRST)
        await call.end(1)
        await until(lambda: 1 in call.told.texts)

    (rotated,) = call.told.of(StreamRotated)
    assert (rotated.cut.why, rotated.recognizer, call.changes) == (Why.CHOSEN, SECOND, [(SECOND, "chosen")])
    assert at - 8_000 <= rotated.cut.limit <= at, "where the caller stands, and not where the utterance began"
    assert call.text == LONG.text
    assert len(call.told.partials) > before + 5


@pytest.mark.virtual_time
async def test_a_recognizer_that_comes_into_force_while_the_call_is_up_is_used_and_one_that_goes_is_left() -> None:
    async with vendor_call(SHORT, in_force=1) as call:
        await call.say(0)
        assert call.recognizers.known.keys() == {FIRST}
        call.put_in_force(SECOND)
        await call.say(1, 2)
        call.put_in_force(FIRST, SECOND)
        await call.say(3)

    assert (call.text, by(call)) == (SHORT.text, [FIRST, SECOND, SECOND, FIRST])
    assert [step.name for step in call.recognizers.streaming] == [FIRST, SECOND]


@pytest.mark.virtual_time
async def test_a_call_stays_with_a_recognizer_that_is_not_in_force_while_the_others_refuse() -> None:
    async with vendor_call(SHORT) as call:
        _, second = call.vendors
        second.refusal = broken("unauthenticated", Next.MISCONFIGURED)
        await call.say(0)
        call.put_in_force(SECOND)
        await call.say(1, 2, 3)

    assert (call.text, by(call), call.changes) == (SHORT.text, [FIRST] * 4, [])


@pytest.mark.virtual_time
async def test_a_stream_that_never_took_over_is_not_taken_for_the_one_that_hears_the_call() -> None:
    """A single request that finds words where the newest stream gave none has that stream replaced."""
    single = KnowingFallback(SHORT)
    async with vendor_call(SHORT, single=single) as call:
        first, second = call.vendors
        await call.say(0)
        second.refusal = broken()
        first.gives_finals = False
        call.preferred = SECOND
        await call.say(1)
        await until(lambda: single.asked)
        await asyncio.sleep(3)

        assert len(first.connections) == 1
        first.gives_finals = True

    assert call.text.startswith(SHORT.utterances[0].text)


def speech(draw: random.Random) -> SpokenAudio:
    """No word is said twice in a row, as words without times could not be told apart there."""
    words = [*WORDS]
    draw.shuffle(words)
    counts = [draw.randint(2, 8) for _ in range(draw.randint(2, 4))]
    taken = [words[at % len(words)] for at in range(sum(counts))]
    return script([[taken.pop() for _ in range(count)] for count in counts], gap_ms=draw.choice([1200, 3000]))


async def wishes(draw: random.Random, call: VendorCall, over: asyncio.Event) -> None:
    """Change the order in force, and what the vendors do to an opening, until the caller has spoken."""
    while not over.is_set():
        vendor = draw.choice(call.vendors)
        vendor.opening_s = draw.choice([0.0, 0.1, 0.7, 1.8])
        vendor.refusal = draw.choice([None, None, None, broken()])
        await flip(call, draw.choice(call.vendors).name)
        await asyncio.sleep(draw.choice([0.0, 0.3, 1.0, 3.0]))


async def scene(seed: int) -> tuple[list[str], list[str], str, str]:
    """Return what was said, what was heard, and whom the call wanted at last and got."""
    draw = random.Random(seed)
    spoken = speech(draw)
    async with vendor_call(spoken, traits=ALL, single=KnowingFallback(spoken)) as call:
        over = asyncio.Event()
        changing = asyncio.create_task(wishes(draw, call, over))
        for index in range(len(spoken.utterances) - 1):
            await call.begin(index)
            await call.end(index)
        over.set()
        await changing
        for vendor in call.vendors:
            vendor.opening_s, vendor.refusal = 0.0, None
        await asyncio.sleep(60)  # whoever failed has rested
        last = draw.choice(call.vendors).name
        await flip(call, *draw.sample([FIRST, SECOND, THIRD], 2), last)
        await call.say(len(spoken.utterances) - 1)
        await until(lambda: len(call.told.texts) == len(spoken.utterances))
        await asyncio.sleep(20)
        heard = {**call.told.texts, **dict(call.told.revisions)}
        got = by(call)[-1]
    return [span.text for span in spoken.utterances], [heard[index] for index in sorted(heard)], last, got


@few_by_day(20)
@given(seed=st.integers(0, 2**32))
def test_the_newest_wish_wins_and_no_word_is_lost_doubled_or_misattributed(seed: int) -> None:
    said, heard, wanted, got = in_virtual_time(scene(seed))

    assert heard == said
    assert got == wanted
