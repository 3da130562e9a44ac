"""One stream after another by plan, in virtual time."""

import asyncio

import grpc
import pytest
from structlog.testing import capture_logs

from batkol.audio import mulaw
from batkol.recognizers.streaming.errors import SpeechError
from batkol.speech.rotation import Why
from support.google.scripted import ServedStream, result, until_the_end
from support.google.session_rig import SECOND, covered, ends, in_memory, one_after_another, says, talk_on
from support.time.waiting import until

pytestmark = pytest.mark.virtual_time

CODE = grpc.StatusCode


async def test_a_silent_caller_is_handed_over_when_the_time_has_come() -> None:
    """No response ever comes: a clock decides. The next stream is open before the old one is half-closed."""
    half_closed_with: list[int] = []

    async def hear(stream: ServedStream) -> None:
        await stream.read_to_end()
        half_closed_with.append(rig.channels.streams)  # as the client counts: the server may be late to notice

    async with in_memory(hear, rotate=(0.5, 100)) as rig:
        running = rig.run()
        said = await talk_on(rig, 3)
        await rig.session.close()
        await running

        assert min(half_closed_with[:2]) >= 2
        assert covered(rig, said)
        assert {cut.why for cut in rig.owner.cuts} == {Why.SILENCE}
        assert rig.owner.holes == []


async def test_a_caller_who_speaks_is_handed_over_behind_a_final() -> None:
    script = one_after_another(says("אחת", 1000, after=9600), until_the_end)
    async with in_memory(script, rotate=(0.5, 100)) as rig:
        running = rig.run()
        rig.session.set_silent(quiet=False)
        said = await talk_on(rig, 2)
        await rig.session.close()
        await running

        cut = rig.owner.cuts[0]
        assert (cut.why, cut.limit) == (Why.FINAL, SECOND)
        assert covered(rig, said)


@pytest.mark.parametrize("text", ["", "אחת"])
async def test_a_final_whose_end_is_a_guess_is_no_place_to_hand_over_in_mid_speech(text: str) -> None:
    """It seems to end at the newest audio sent, wherever the caller stands."""
    script = one_after_another(says(text, 0, after=4800), until_the_end)
    async with in_memory(script, rotate=(0.2, 1.2)) as rig:
        running = rig.run()
        rig.session.set_silent(quiet=False)
        said = await talk_on(rig, 2)
        await rig.session.close()
        await running

        assert [heard.text for heard in rig.heard] == [text]
        assert rig.owner.cuts[0].why is Why.FORCED
        assert covered(rig, said)


async def test_a_caller_who_never_pauses_is_handed_over_at_the_last_moment() -> None:
    async with in_memory(rotate=(0.2, 0.8)) as rig:
        running = rig.run()
        rig.session.set_silent(quiet=False)
        said = await talk_on(rig, 2)
        await rig.session.close()
        await running

        (cut, *_) = rig.owner.cuts
        assert cut.why is Why.FORCED
        assert covered(rig, said)


async def test_the_last_final_of_the_old_stream_comes_before_the_first_of_the_new_one() -> None:
    async def old(stream: ServedStream) -> None:
        await stream.read_to_end()
        await rig.google.opened(2)
        await asyncio.sleep(0.3)
        await stream.say(result("ישן", 300, final=True))

    async def new(stream: ServedStream) -> None:
        await stream.read()
        await stream.say(result("חדש", 5000, final=True))
        await stream.read_to_end()

    async with in_memory(one_after_another(old, new), rotate=(1.0, 100)) as rig:
        running = rig.run()
        await talk_on(rig, 2)
        await until(lambda: len(rig.heard) == 2)
        await rig.session.close()
        await running

        assert [heard.text for heard in rig.heard] == ["ישן", "חדש"]


async def test_what_an_old_stream_that_is_not_read_to_its_end_owes_is_told_as_lost() -> None:
    async def never(stream: ServedStream) -> None:
        await stream.read_to_end()
        await asyncio.Event().wait()

    async with in_memory(one_after_another(never, until_the_end), rotate=(1.0, 100), close_timeout=0.2) as rig:
        running = rig.run()
        await talk_on(rig, 2)
        await until(lambda: rig.owner.holes)
        await rig.session.close()
        await running

        assert rig.owner.holes == [(0, rig.owner.cuts[0].limit)]


async def test_while_the_next_stream_cannot_be_opened_the_old_one_goes_on() -> None:
    script = one_after_another(until_the_end, ends(CODE.UNAVAILABLE), until_the_end)
    async with in_memory(script, rotate=(0.3, 100)) as rig:
        running = rig.run()
        with capture_logs() as logs:
            said = await talk_on(rig, 3)
        await rig.session.close()
        await running

        assert rig.google.streams[1].messages == []
        first, _, third = rig.google.streams[:3]
        assert mulaw.decode_to_bytes(said).find(third.linear16) <= len(first.linear16)
        assert [line["log_level"] for line in logs].count("warning") == 1
        assert rig.owner.failures == ["unavailable"]


async def test_where_every_stream_is_taken_the_old_one_makes_room_for_the_new_one() -> None:
    most = 0

    async def hear(stream: ServedStream) -> None:
        nonlocal most
        most = max(most, rig.channels.streams)
        await stream.read_to_end()

    async with in_memory(hear, rotate=(0.5, 100)) as rig:
        rig.channels._limit = 1
        running = rig.run()
        said = await talk_on(rig, 3)
        await rig.session.close()
        await running

        assert most == 1
        assert covered(rig, said)
        assert len(rig.owner.cuts) >= 2


async def test_a_stream_that_answers_nothing_while_the_caller_speaks_is_replaced_once() -> None:
    async with in_memory(stall=0.3) as rig:
        rig.owner.waits_from = 0
        running = rig.run()
        rig.session.set_silent(quiet=False)
        await talk_on(rig, 2)
        while not running.done():
            rig.speak(160)
            await asyncio.sleep(0.02)
        with pytest.raises(SpeechError) as raised:
            await running

        assert raised.value.reason == "stalled"
        assert len(rig.google.streams) == 2
        assert rig.google.streams[1].linear16[:1000] == rig.google.streams[0].linear16[:1000]


async def test_a_stream_is_not_blamed_for_a_silent_caller() -> None:
    async with in_memory(stall=0.1) as rig:
        running = rig.run()
        for _ in range(30):
            rig.speak(160)
            await asyncio.sleep(0.02)
        await rig.session.close()
        await running

        assert len(rig.google.streams) == 1
