"""The playout's task against a Twilio and an ear in memory, in virtual time; one test on the wire is in tests/e2e."""

import asyncio
import itertools
import json
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from batkol.calls.playout import LEAD_MS, LONGEST, Playout
from batkol.errors import CallError
from batkol.simulators.twilio.checks import Cleared, MarkAsked, Sound
from support.properties import few_by_day
from support.time.virtual import in_virtual_time, virtual_loop
from support.twilio.far_ear import SID, FarEar
from support.twilio.interruptions import CLEARS, NETWORKS, interrupted, line

pytestmark = pytest.mark.virtual_time


NOISE = bytes(range(100, 200)) * 200
"""20,000 samples that can be told apart, and never look like the header of a file."""


async def test_sound_and_marks_go_out_in_the_order_they_were_asked_for() -> None:
    async with line() as (playout, far):
        playout.play(b"\x01" * 160)
        playout.mark("one")
        playout.play(b"\x02" * 160)
        playout.mark("two")
        await asyncio.sleep(1)

    assert far.described == ["160", "one", "160", "two"]
    assert far.marks == ["one", "two"]
    assert far.ear.heard == b"\x01" * 160 + b"\x02" * 160


async def test_what_was_queued_before_anything_wrote_is_written() -> None:
    playout = Playout(SID)
    playout.play(b"\x01" * 160)
    far = FarEar(playout)
    task = asyncio.create_task(playout.run(far.send))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert far.described == ["160"]


async def test_a_listener_that_raises_takes_the_line_from_nobody() -> None:
    def broken(*_: object) -> None:
        raise KeyError("a defect")

    async with line() as (playout, far):
        playout.on_written = playout.on_first_sound = broken
        with capture_logs() as logs:
            playout.at(100, broken)
            playout.play(b"\x01" * 1600)
            await asyncio.sleep(1)
            playout.at(5000, broken)
            playout.play(b"\x01" * 8000)
            playout.clear()
            playout.play(b"\x02" * 160)
            await asyncio.sleep(1)

        assert far.ear.heard.startswith(b"\x01" * 1600)
        assert far.ear.heard.endswith(b"\x02" * 160)
        assert {entry["event"].partition(";")[0] for entry in logs} == {
            "[CALL] a listener of the line failed by a defect of the service"
        }


@few_by_day(30)
@given(st.lists(st.tuples(st.integers(1, 20_000), st.integers(0, 3000)), max_size=5))
def test_all_of_the_sound_is_heard_once_and_without_a_gap_of_our_making(sizes: list[tuple[int, int]]) -> None:
    sounds = [(NOISE[:size], pause) for size, pause in sizes]

    async def run() -> None:
        async with line() as (playout, far):
            for sound, pause in sounds:
                playout.play(sound)
                await asyncio.sleep(pause / 1000)
            playout.flush()
            await asyncio.sleep(20)
            expected = b"".join(sound for sound, _ in sounds)
            assert playout.position == playout.written == playout.queued_to == len(far.ear.heard)
            assert playout.queued_to % 160 == 0
            assert playout.queued_to < len(expected) + 160 * (len(sounds) + 1)
            assert all(at >= 0 for at, _ in far.ear.gaps)
            if all(pause == 0 for _, pause in sounds):
                assert far.ear.heard.startswith(expected)

    in_virtual_time(run())


async def test_clear_drops_the_sound_goes_ahead_of_everything_and_keeps_the_marks() -> None:
    """Twilio echoes all pending marks on `clear`, so who waits for one of ours must not wait for ever."""
    async with line() as (playout, far):
        playout.play(b"\x01" * 80_000)
        playout.mark("one")
        playout.play(b"\x02" * 80_000)
        playout.mark("two")
        playout.clear()
        playout.play(b"\x03" * 160)
        await asyncio.sleep(1)

    assert far.described == ["clear", "one", "two", "160"]
    assert far.marks == ["one", "two"]


async def test_a_clear_is_the_next_thing_that_is_written() -> None:
    async with line() as (playout, far):
        playout.play(b"\x01" * LONGEST)
        await asyncio.sleep(1.05)
        for number in range(1000):
            playout.mark(f"m{number}")
        decided, before = virtual_loop().time(), len(far.written)
        playout.clear()
        await asyncio.sleep(1)

    at, command = far.written[before]
    assert isinstance(command, Cleared)
    assert at - decided < 0.001
    assert not [command for _, command in far.written[before:] if isinstance(command, Sound)]


async def test_a_clear_waits_for_one_message_of_a_socket_that_is_slow() -> None:
    playout, sent = Playout(SID), []

    async def slow(text: str) -> None:
        await asyncio.sleep(3)
        sent.append(json.loads(text)["event"])

    task = asyncio.create_task(playout.run(slow))
    playout.play(b"\x01" * 80_000)
    await asyncio.sleep(4)  # the mark that measures, and the first sound is being written
    heard = playout.clear()
    await asyncio.sleep(30)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert sent == ["mark", "media", "clear"]
    assert (heard, playout.position) == (0, 0)


async def test_sound_is_written_at_most_the_lead_ahead_of_the_ear() -> None:
    async with line() as (playout, far):
        playout.play(b"\x01" * 400_000)
        await asyncio.sleep(60)

    sounds = [(at, len(command.mulaw)) for at, command in far.written if isinstance(command, Sound)]
    begun = sounds[0][0]
    written = itertools.accumulate(samples for _, samples in sounds)
    ahead = [total - (at - begun) * 8000 for (at, _), total in zip(sounds, written, strict=True)]
    assert max(ahead) <= LEAD_MS * 8 + 1
    assert far.ear.gaps == ()
    assert len(far.ear.heard) == 400_000


async def test_a_loop_that_stalls_for_less_than_the_lead_is_not_heard() -> None:
    async with line() as (playout, far):
        playout.play(b"\x01" * 160_000)
        for _ in range(30):
            await asyncio.sleep(random.Random(1).uniform(0.1, 0.5))
            virtual_loop().stall(0.2)
        await asyncio.sleep(20)

    assert far.ear.gaps == ()
    assert len(far.ear.sounds) == 1


async def test_nothing_is_timed_while_nothing_plays() -> None:
    async with line() as (playout, _far):
        playout.play(b"\x01" * 8000)
        assert await playout.wait_played(8000)
        await asyncio.sleep(0.1)
        timers = [timer for timer in virtual_loop()._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]

    assert timers == []


async def test_one_timer_is_set_however_often_something_is_queued() -> None:
    async with line() as (playout, _far):
        playout.play(b"\x01" * 80_000)
        await asyncio.sleep(1)  # the marks have come back
        for _ in range(20):
            playout.flush()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        timers = [timer for timer in virtual_loop()._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]

    assert len(timers) == 1


async def test_ten_minutes_of_sound_may_wait_and_not_one_sample_more() -> None:
    playout = Playout(SID)
    playout.play(b"\x01" * LONGEST)

    with pytest.raises(CallError, match="ten minutes"):
        playout.play(b"\x01")
    playout.mark("still possible")
    playout.clear()
    assert playout.play(b"\x01" * LONGEST) == LONGEST


async def test_sound_that_is_refused_is_refused_whole() -> None:
    playout = Playout(SID)
    playout.play(b"\x01" * (LONGEST - 160))

    with pytest.raises(CallError):
        playout.play(b"\x01" * 320)

    assert playout.queued_to == LONGEST - 160
    assert playout.play(b"\x01" * 160) == LONGEST


async def test_sound_that_was_played_makes_room_and_sound_at_twilio_does_not() -> None:
    async with line() as (playout, far):
        playout.play(b"\x01" * LONGEST)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [isinstance(command, Sound) for _, command in far.written].count(True) == 1
        with pytest.raises(CallError):
            playout.play(b"\x01" * 160)
        await asyncio.sleep(0.5)
        playout.play(b"\x01" * 3840)


async def test_a_socket_that_does_not_take_sound_holds_up_nothing_that_queues() -> None:
    playout = Playout(SID)

    async def stuck(_: str) -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(playout.run(stuck))
    playout.play(b"\x01" * 160)
    await asyncio.sleep(0)
    playout.mark("one")
    assert playout.clear() == 0
    waiting = asyncio.create_task(playout.wait_played(playout.play(b"\x01" * 160)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert await waiting is False


async def test_a_mark_that_comes_back_counts_once_and_only_if_it_was_sent() -> None:
    """A peer that may open a stream may send any mark, and thousands of them."""
    playout = Playout(SID)
    playout.mark("greeting")
    playout.mark("greeting")

    assert not playout.acknowledge_mark("never sent")
    assert [playout.acknowledge_mark("greeting") for _ in range(3)] == [True, True, False]


async def test_the_playouts_own_marks_are_no_marks_of_users() -> None:
    async with line() as (playout, far):
        playout.play(b"\x01" * 8000)
        await asyncio.sleep(2)
        own = [command.name for _, command in far.written if isinstance(command, MarkAsked)]

        assert len(own) == 2
        assert far.marks == []
        assert not any(playout.acknowledge_mark(name) for name in own)
    async with line() as (_other, elsewhere):
        _other.play(b"\x01" * 160)
        await asyncio.sleep(1)
    names = {command.name for _, command in elsewhere.written if isinstance(command, MarkAsked)}
    assert not names & set(own), "a name that was seen on one call is none on another"


async def test_the_owner_is_told_which_samples_were_written_and_when_sound_begins() -> None:
    async with line() as (playout, _far):
        told: list[tuple[int, int]] = []
        begun: list[float] = []
        playout.on_written = lambda begin, end: told.append((begin, end))
        playout.on_first_sound = lambda: begun.append(virtual_loop().time())
        playout.play(b"\x01" * 8000)
        await asyncio.sleep(5)
        playout.play(b"\x01" * 160)
        await asyncio.sleep(5)

    assert [begin for begin, _ in told[1:]] == [end for _, end in told[:-1]]
    assert (told[0], told[-1]) == ((0, LEAD_MS * 8), (8000, 8160))
    assert begun == [1000.0, 1005.0]


async def test_silence_is_counted_from_the_end_of_the_last_sound() -> None:
    async with line(delay_s=0.2) as (playout, _far):
        silent = [playout.silent_s]
        playout.play(b"\x01" * 80_000)
        for pause in (0.0, 5.0, 7.0, 1.0):
            await asyncio.sleep(pause)
            silent.append(playout.silent_s)

    assert silent == [float("inf"), 0.0, 0.0, pytest.approx(1.8, abs=0.03), pytest.approx(2.8, abs=0.03)]


async def test_callbacks_come_when_the_ear_does_and_a_clear_takes_them_back() -> None:
    async with line() as (playout, _far):
        came: list[tuple[str, int]] = []

        def at(name: str, position: int) -> None:
            playout.at(position, lambda: came.append((name, playout.position)))

        at("third", 12_000)  # before its sound is queued
        at("first", 0)
        playout.play(b"\x01" * 8000)
        at("second", 8000)
        playout.play(b"\x02" * 80_000)
        at("never", 16_000)
        played = asyncio.create_task(playout.wait_played(8000))
        whole = asyncio.create_task(playout.wait_played(88_000))
        await asyncio.sleep(1.75)
        heard = playout.clear()
        at("in what was thrown away", heard + 160)
        await asyncio.sleep(5)

    assert [name for name, _ in came] == ["first", "second", "third"]
    assert [position for _, position in came] == pytest.approx([0, 8000, 12_000], abs=16)
    assert (await played, await whole) == (True, False)
    assert await playout.wait_played(heard + 1) is False


async def test_a_callback_at_the_first_sample_waits_for_sound_after_a_pause() -> None:
    """The ear has come to that position long ago, but the sample has not been played."""
    async with line() as (playout, _far):
        playout.play(b"\x01" * 8000)
        await asyncio.sleep(3)
        came: list[float] = []
        playout.at(playout.queued_to, lambda: came.append(virtual_loop().time()))
        await asyncio.sleep(3)
        playout.play(b"\x01" * 8000)
        await asyncio.sleep(1)

    assert came == [pytest.approx(1006.0, abs=0.022)]


# -- what was heard: the playout's word against the ear's ------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
@few_by_day(5)
@given(st.integers(0, 1 << 32))
@example(3_233_520_971)  # the jitter of nearly all marks goes one way
def test_what_the_ear_has_heard_is_known_at_any_clear(name: str, seed: int) -> None:
    network = NETWORKS[name]
    errors = in_virtual_time(interrupted(seed, CLEARS, network.about))

    *_, second, largest = sorted(abs(error) for error in errors)
    assert largest <= network.at_most, errors
    assert second <= network.allowed, errors


async def test_without_a_calibration_a_buffer_at_twilio_would_be_taken_for_heard() -> None:
    """The peer echoes nothing: the answer is as good as the clock, and no worse."""
    async with line(delay_s=0.05, holds_s=0.12, echoes=False) as (playout, far):
        playout.play(b"\x01" * 80_000)
        await asyncio.sleep(2)
        heard = playout.clear()
        await asyncio.sleep(1)

    assert heard - far.heard_at_clears[0] == pytest.approx(960, abs=16)


async def test_a_peer_that_echoes_marks_it_was_never_sent_or_too_early_moves_nothing() -> None:
    async with line() as (playout, far):
        playout.play(b"\x01" * 80_000)
        await asyncio.sleep(0.1)
        for _, command in list(far.written):
            if isinstance(command, MarkAsked):
                playout.acknowledge_mark(command.name)
                playout.acknowledge_mark(command.name + "0")
        await asyncio.sleep(1)
        heard = playout.clear()
        await asyncio.sleep(1)

    assert heard == pytest.approx(far.heard_at_clears[0], abs=160)
