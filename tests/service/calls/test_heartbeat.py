import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from batkol.calls.call import Call
from batkol.calls.heartbeat import HEARTBEAT_S, Heartbeat
from batkol.calls.limits import HOLD_S
from batkol.calls.registry import CallRegistry
from batkol.calls.services import Services
from batkol.telemetry.metrics import Metrics
from batkol.vad.scheduler import VadScheduler
from support.time.virtual import virtual_loop
from support.twilio.calls import new_call, services
from support.vad.inline_jobs import InlineJobs
from support.vad.level_engine import LevelEngine

pytestmark = pytest.mark.virtual_time


@dataclass
class House:
    """A heart that beats, and calls on hold: at each beat there is more silence in place of their media."""

    services: Services
    calls: CallRegistry
    heartbeat: Heartbeat

    def __post_init__(self) -> None:
        self.made: list[Call] = []

    @property
    def metrics(self) -> Metrics:
        return self.services.metrics

    def admitted(self) -> Call:
        call = new_call(self.services)
        self.made.append(call)
        assert self.calls.admit(call)
        return call

    def held(self) -> Call:
        call = self.admitted()
        call.transcription.begin(asyncio.TaskGroup())
        return call


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with services(vad=VadScheduler(LevelEngine(), thread=InlineJobs())) as shared:
        calls = CallRegistry(limit=3)
        house = House(shared, calls, Heartbeat(calls, shared.metrics))
        running = asyncio.create_task(house.heartbeat.run())
        yield house
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for call in house.made:
            call.discard()


async def test_a_beat_after_a_stall_is_left_out_and_the_next_one_is_not(house: House) -> None:
    """What the callers said meanwhile is still in their sockets: it is no hold."""
    call = house.held()
    await asyncio.sleep(HOLD_S - 0.1)
    with capture_logs() as logs:
        virtual_loop().stall(1.0)
        await asyncio.sleep(HEARTBEAT_S - 0.01)
        assert call.audio.ms == 0
        await asyncio.sleep(0.02)

    assert call.audio.ms == pytest.approx(1000 * (HOLD_S - 0.1 + 1.0 + HEARTBEAT_S), abs=1)
    assert house.heartbeat.loop_lag() == pytest.approx(0.9)
    assert [line["stalls"] for line in logs if line["log_level"] == "warning"] == [1]
    assert call.ended_by == ""


@pytest.mark.parametrize("calling", [False, True])
async def test_a_stall_that_no_call_was_late_for_is_no_warning(house: House, calling: bool) -> None:
    if calling:
        house.held()
    await asyncio.sleep(HEARTBEAT_S / 2)
    with capture_logs() as logs:
        virtual_loop().stall(1.0)
        await asyncio.sleep(HEARTBEAT_S)

    (line,) = [(line["log_level"], line["event"]) for line in logs]
    late, idle = "every call was late", "while there was no call"
    assert line == (
        ("warning", f"[LOOP] event loop stalled; {late}") if calling else ("info", f"[LOOP] event loop stalled {idle}")
    )


async def test_every_call_has_a_heartbeat_and_the_loops_lag_is_measured(house: House) -> None:
    calls = [house.held() for _ in range(2)]
    await asyncio.sleep(HOLD_S + HEARTBEAT_S)

    assert all(call.audio.ms >= 1000 * HOLD_S for call in calls)  # silence in place of media that does not come
    assert b"batkol_audio_loop_lag_seconds_count" in house.metrics.render()


async def test_one_calls_fault_in_its_heartbeat_does_not_stop_the_others(house: House) -> None:
    broken, whole = house.admitted(), house.held()
    del broken.audio
    await asyncio.sleep(2 * HOLD_S + HEARTBEAT_S)

    assert whole.audio.ms == 2000 * HOLD_S
    assert broken.ended_by == "error"
