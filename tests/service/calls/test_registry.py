import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from batkol.audio import mulaw
from batkol.calls.call import Call
from batkol.calls.ending import ENDING_S
from batkol.calls.memory import REMEMBERED_S, RESERVED_S
from batkol.calls.registry import (
    CLOSING_S,
    PROMISED_S,
    AdmissionRefusal,
    CallRegistry,
)
from batkol.calls.services import Services
from batkol.clock import REAL, Clock
from batkol.vad.scheduler import VadScheduler
from support.speech.recognizer import TimedRecognizer
from support.time.virtual import virtual_clock
from support.time.waiting import let_the_loop_run
from support.twilio.calls import new_call, services, sid
from support.twilio.line import Line
from support.vad.inline_jobs import InlineJobs
from support.vad.level_engine import LOUD, LevelEngine

pytestmark = pytest.mark.virtual_time


@dataclass
class House:
    services: Services
    calls: CallRegistry
    clock: Clock

    def __post_init__(self) -> None:
        self.made: list[Call] = []

    def call(self, call_sid: str | None = None) -> Call:
        """A stream of its own: of a new call, or of this one."""
        self.made.append(new_call(self.services, call_sid, f"MZ{len(self.made):032x}"))
        return self.made[-1]

    async def run(self, call: Call) -> None:
        """Have a call that was admitted as long as it lives."""
        line = Line()
        await call.run(line, line.direct)
        self.calls.release(call)

    def admitted(self, call_sid: str | None = None) -> Call:
        call = self.call(call_sid)
        assert self.calls.admit(call)
        return call


@pytest.fixture
async def house() -> AsyncIterator[House]:
    clock = virtual_clock()
    vad = VadScheduler(LevelEngine(), thread=InlineJobs())
    async with services(vad=vad, single=TimedRecognizer()) as shared:
        house = House(shared, CallRegistry(limit=3, clock=clock), clock)
        yield house
        for call in house.made:
            call.discard()


async def test_a_place_is_reserved_taken_and_left(house: House) -> None:
    call = house.call()
    assert house.calls.reserve(call.identity.call_sid)
    assert len(house.calls) == 0
    assert house.calls.admit(call)
    assert house.calls.get(call.identity.call_sid) is call
    assert list(house.calls) == [call]
    house.calls.release(call)

    assert house.calls.get(call.identity.call_sid) is None
    assert len(house.calls) == 0


async def test_places_that_are_reserved_count(house: House) -> None:
    for _ in range(3):
        assert house.calls.reserve(sid())

    assert not house.calls.reserve(sid())
    assert not house.calls.admit(house.call())


async def test_the_limit_holds_whatever_comes_at_once(house: House) -> None:
    """Admission is one step of the event loop: nothing comes between the look and the taking."""
    order = random.Random(7)
    most = 0

    async def caller() -> bool:
        nonlocal most
        call = house.call()
        for _ in range(order.randrange(5)):
            await asyncio.sleep(0)
        if order.random() < 0.5 and not house.calls.reserve(call.identity.call_sid):
            return False
        await asyncio.sleep(0)
        if not house.calls.admit(call):
            house.calls.forget(call.identity.call_sid)
            return False
        most = max(most, len(house.calls))
        await asyncio.sleep(20)
        house.calls.release(call)
        return True

    served = await asyncio.gather(*(caller() for _ in range(100)))

    assert any(served)
    assert not all(served)
    assert most <= 3
    assert house.calls._occupied() == 0


async def test_a_webhook_that_comes_twice_takes_one_place(house: House) -> None:
    """Twilio asks again when an answer was slow."""
    call_sid = sid()
    assert house.calls.reserve(call_sid)
    assert house.calls.reserve(call_sid)

    assert house.calls.reserve(sid())
    assert house.calls.reserve(sid())
    assert not house.calls.reserve(sid())


async def test_a_second_stream_of_a_live_call_takes_over_and_the_first_ends_without_a_place(house: House) -> None:
    first = house.admitted()
    second = house.admitted(first.identity.call_sid)

    assert first.ended_by == "replaced"
    assert house.calls.get(first.identity.call_sid) is second
    assert (house.calls.active, house.calls.ending, list(house.calls)) == (1, 1, [second, first])
    house.calls.release(first)
    assert house.calls.get(first.identity.call_sid) is second
    assert list(house.calls) == [second]


async def test_a_stop_frees_the_place_at_once_and_the_call_is_shown_until_it_is_done(house: House) -> None:
    house.calls.limit = 1
    first = house.admitted()
    assert house.calls.refusal(house.call().identity) is AdmissionRefusal.FULL
    first.end("stop")

    assert house.calls.get(first.identity.call_sid) is first
    second = house.admitted(first.identity.call_sid)
    assert house.calls.get(first.identity.call_sid) is second
    second.end("stop")
    house.calls.release(second)
    assert house.calls.get(first.identity.call_sid) is first
    assert house.admitted()


async def test_a_webhook_of_a_live_call_keeps_its_place_when_its_stream_stops_first(house: House) -> None:
    house.calls.limit = 1
    first = house.admitted()
    assert house.calls.reserve(first.identity.call_sid)
    assert house.calls._occupied() == 1
    first.end("stop")

    assert house.calls.refusal(house.call().identity) is AdmissionRefusal.FULL
    assert house.admitted(first.identity.call_sid)


async def test_a_stream_that_is_replayed_is_refused_by_its_own_reason_and_changes_nothing(house: House) -> None:
    first = house.admitted()
    again = new_call(house.services, first.identity.call_sid, first.identity.stream_sid)
    house.made.append(again)

    assert house.calls.refusal(again.identity) is AdmissionRefusal.DUPLICATE
    assert not house.calls.admit(again)
    house.calls.release(again)
    assert (first.ended_by, house.calls.get(first.identity.call_sid)) == ("", first)
    first.end("stop")
    assert house.calls.refusal(again.identity) is AdmissionRefusal.DUPLICATE, (
        "it would overwrite what the first one still delivers"
    )


async def test_a_drain_sends_the_next_stream_of_a_live_call_elsewhere(house: House) -> None:
    first = house.admitted()
    house.calls.refuse()

    assert not house.calls.reserve(first.identity.call_sid)
    assert house.calls.refusal(house.call(first.identity.call_sid).identity) is AdmissionRefusal.DRAINING
    assert first.ended_by == ""


async def test_a_drain_waits_for_calls_that_hold_no_place_any_more(house: House) -> None:
    first = house.admitted()
    second = house.admitted(first.identity.call_sid)
    draining = asyncio.create_task(house.calls.drain())
    house.calls.release(second)
    await asyncio.sleep(60)
    assert not draining.done()
    house.calls.release(first)

    assert await draining is True


async def test_as_many_calls_as_the_limit_may_end_without_a_place_and_no_more(house: House) -> None:
    for _ in range(3):
        house.admitted().end("stop")
    live = [house.admitted() for _ in range(3)]
    assert (house.calls.active, house.calls.ending) == (3, 3)
    live[0].end("stop")

    assert house.calls.refusal(house.call().identity) is AdmissionRefusal.FULL, "four are ending: one of them counts"
    house.calls.release(live[0])
    assert house.admitted()


async def test_a_call_that_hung_up_counts_again_when_it_has_not_ended_for_long(house: House) -> None:
    """Its recognizers cannot be reached: it goes on by their own time-outs."""
    house.calls.limit = 1
    house.admitted().end("stop")
    await asyncio.sleep(ENDING_S - 0.1)
    assert house.calls.refusal(house.call().identity) is None
    await asyncio.sleep(0.1)

    assert house.calls.refusal(house.call().identity) is AdmissionRefusal.FULL


async def test_a_peer_that_opens_stream_after_stream_of_one_call_cannot_pile_them_up(house: House) -> None:
    call_sid = sid()
    streams = [house.admitted(call_sid) for _ in range(6)]
    now = asyncio.get_running_loop().time()
    due = [stream._deadline.due for stream in streams]
    left = [each - now for each in due if each is not None]

    assert [round(seconds) for seconds in left] == [0, 0, 20, 20, 20]
    assert (house.calls.active, house.calls._occupied()) == (1, 3), "five are ending, and three may without a place"


async def test_a_call_that_another_pod_ended_is_over_unless_its_stream_is_here(house: House) -> None:
    here, elsewhere = house.admitted().identity.call_sid, sid()
    for call_sid in (here, elsewhere):
        house.calls.ended_elsewhere(call_sid)

    assert house.calls.hung_up(elsewhere)
    assert not house.calls.hung_up(here)
    assert not house.calls.redial_expected, "the pod that ended it waits to be asked"
    await asyncio.sleep(REMEMBERED_S + 1)
    house.calls.ended_elsewhere(here)
    house.calls.ended_elsewhere(sid())
    assert not house.calls.hung_up(elsewhere)


async def test_it_is_known_whether_a_calls_stream_carried_audio_since_a_time(house: House) -> None:
    now = house.clock.wall
    before = now()
    call = house.admitted()
    call_sid = call.identity.call_sid
    assert not house.calls.carried_audio(call_sid, before)
    call._stream.counters.frames = 1
    assert house.calls.carried_audio(call_sid, before)
    await asyncio.sleep(5)
    assert not house.calls.carried_audio(call_sid, now()), "it began before that"
    call.end("drained")
    house.calls.release(call)

    assert house.calls.carried_audio(call_sid, before)
    assert not house.calls.carried_audio(call_sid, now())
    assert not house.calls.carried_audio(sid(), before)


async def test_what_ended_a_minute_ago_is_forgotten(house: House) -> None:
    before = house.clock.wall()
    for wait_s in (REMEMBERED_S + 0.1, 0.0):
        call = house.admitted()
        call._stream.counters.frames = 1
        call.end("stop")
        house.calls.release(call)
        await asyncio.sleep(wait_s)

    assert [house.calls.carried_audio(call.identity.call_sid, before) for call in house.made] == [False, True]


async def test_a_place_whose_stream_never_came_is_free_again(house: House) -> None:
    waiting = [sid() for _ in range(3)]
    for call_sid in waiting:
        assert house.calls.reserve(call_sid)
    await asyncio.sleep(RESERVED_S - 0.1)
    assert not house.calls.reserve(sid())
    await asyncio.sleep(0.1)

    assert house.calls.reserve(sid())
    assert house.calls._occupied() == 1


async def test_a_webhook_that_is_asked_again_keeps_its_place_from_then_on(house: House) -> None:
    call_sid = sid()
    assert house.calls.reserve(call_sid)
    await asyncio.sleep(RESERVED_S - 0.1)
    assert house.calls.reserve(call_sid)
    await asyncio.sleep(RESERVED_S - 0.1)

    assert house.calls._occupied() == 1


async def test_an_expired_place_is_not_promised_again_when_the_house_is_full(house: House) -> None:
    """Else the caller gets a stream that is then refused: a dead one."""
    call_sid = sid()
    assert house.calls.reserve(call_sid)
    await asyncio.sleep(RESERVED_S)
    for _ in range(3):
        assert house.calls.admit(house.call())

    assert not house.calls.reserve(call_sid)


async def test_a_caller_who_hung_up_before_the_stream_frees_the_place(house: House) -> None:
    waiting = [sid() for _ in range(3)]
    for call_sid in waiting:
        house.calls.reserve(call_sid)
    house.calls.forget(waiting[0])

    assert house.calls.reserve(sid())
    house.calls.forget("CA-nobody")


async def test_a_stream_that_will_not_come_frees_the_place_that_was_kept_for_it_and_no_later_one(house: House) -> None:
    call_sid = sid()
    for name in ("first", "second"):
        assert house.calls.reserve(call_sid, name)
    house.calls.forget_stream(call_sid, "first")
    assert house.calls._occupied() == 1
    house.calls.forget_stream(call_sid, "second")
    assert house.calls._occupied() == 0
    house.calls.forget_stream(call_sid, "second")


async def test_a_stream_from_another_pods_webhook_takes_any_free_place(house: House) -> None:
    assert house.calls.admit(house.call())


async def test_leaving_twice_is_leaving_once(house: House) -> None:
    call = house.admitted()
    house.calls.release(call)
    house.calls.release(call)

    assert len(house.calls) == 0


async def test_a_drain_takes_no_new_call_but_those_it_has_promised(house: House) -> None:
    promised = house.call()
    house.calls.reserve(promised.identity.call_sid)
    draining = asyncio.create_task(house.calls.drain())
    await asyncio.sleep(0)

    assert house.calls.draining
    assert not house.calls.reserve(sid())
    assert not house.calls.admit(house.call())
    assert house.calls.admit(promised)
    house.calls.release(promised)
    assert await draining is True


async def test_a_drain_waits_for_a_stream_it_has_promised_but_not_for_long(house: House) -> None:
    house.calls.reserve(sid())
    draining = asyncio.create_task(house.calls.drain())
    await asyncio.sleep(PROMISED_S - 0.1)

    assert not draining.done()
    await asyncio.sleep(0.2)
    assert draining.done()
    assert await draining is True


async def test_a_promise_that_is_taken_back_ends_the_drain(house: House) -> None:
    call_sid = sid()
    house.calls.reserve(call_sid)
    draining = asyncio.create_task(house.calls.drain())
    await asyncio.sleep(0)
    house.calls.forget(call_sid)

    assert await draining is True


async def test_a_drain_answers_when_the_last_call_has_ended(house: House) -> None:
    calls = [house.admitted() for _ in range(3)]
    draining = asyncio.create_task(house.calls.drain())
    for call in calls:
        await asyncio.sleep(60)
        assert not draining.done()
        house.calls.release(call)

    assert await draining is True


async def test_a_drain_that_takes_too_long_says_so_and_goes_on_refusing(house: House) -> None:
    call = house.admitted()

    assert await house.calls.drain(300) is False
    assert not house.calls.reserve(sid())
    house.calls.release(call)
    assert await house.calls.drain(300) is True


async def test_ending_all_tells_every_call_and_waits_for_the_last(house: House) -> None:
    calls = [house.admitted() for _ in range(3)]
    ending = asyncio.create_task(house.calls.end_all("drained", within=5))
    await asyncio.sleep(1)

    assert [call.ended_by for call in calls] == ["drained"] * 3
    assert not ending.done()
    for call in calls:
        house.calls.release(call)
    await ending


async def test_ending_all_takes_no_call_any_more_promised_or_not(house: House) -> None:
    promised = house.call()
    house.calls.reserve(promised.identity.call_sid)
    await house.calls.end_all("drained", within=5)

    assert not house.calls.admit(promised)


async def test_a_caller_who_is_speaking_is_let_finish_but_not_for_ever(house: House) -> None:
    silent, short, endless = (house.admitted() for _ in range(3))
    running = [asyncio.create_task(house.run(call)) for call in (silent, short, endless)]
    for call in (short, endless):
        call._append(LOUD)
    await asyncio.sleep(0.5)
    assert [call.speaking for call in (silent, short, endless)] == [False, True, True]
    ending = asyncio.create_task(house.calls.end_all("drained", within=5, pause_s=5))
    await asyncio.sleep(1)

    assert [call.ended_by for call in (silent, short, endless)] == ["drained", "", ""]
    short._append(mulaw.silence(8000))
    await asyncio.sleep(1)
    assert [call.ended_by for call in (short, endless)] == ["drained", ""]
    await asyncio.sleep(2.9)
    assert endless.ended_by == ""
    await asyncio.sleep(0.2)
    assert endless.ended_by == "drained"
    await ending
    await asyncio.gather(*running)
    assert [call.reporter.figures.utterances for call in (silent, short, endless)] == [0, 1, 1]


async def test_a_call_that_does_not_end_does_not_hold_the_process(house: House) -> None:
    call = house.admitted()
    begun = house.clock.monotonic()
    with capture_logs() as logs:
        await house.calls.end_all("drained", within=5)

    assert house.clock.monotonic() - begun == pytest.approx(5 + CLOSING_S, abs=0.1)
    (line,) = logs
    assert line["log_level"] == "error"
    assert line["call_sids"] == [call.identity.call_sid]
    house.calls.release(call)


@pytest.mark.real_time
async def test_by_a_real_clock_the_limit_holds_and_a_drain_waits_for_the_last() -> None:
    async with services() as shared:
        house = House(shared, CallRegistry(limit=2), REAL)
        first, second = house.admitted(), house.admitted()
        assert not house.calls.admit(house.call())
        draining = asyncio.create_task(house.calls.drain(20))
        for call in (first, second):
            await let_the_loop_run()
            assert not draining.done()
            house.calls.release(call)
        assert await draining
        for call in house.made:
            call.discard()
