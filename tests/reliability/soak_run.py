"""Calls that outlive their streams, beside real processes, and all that can be seen of it.

The service and the strict double are processes of their own; the callers talk in real time the whole while, and
everything that one of them or the service said, and the double heard, is in the `Findings`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from batkol.events.events import AnyEvent
from batkol.simulators.client.call_record import CallWatch
from batkol.simulators.client.watching import watching
from batkol.simulators.google.stats import StreamRecord
from batkol.simulators.twilio.caller import CallPlan, CallReport, place_call
from reliability.soak_callers import Hold, Part, part
from reliability.soak_parties import PUBLIC_URL, Double, Served
from reliability.soak_readings import Meter, Reading
from reliability.soak_streams import Spoken, Window, by_call

REAL: Final = Window(after_s=240, by_s=285, limit_s=305)

IDLE_S: Final = 10.0
"""In which everything that belonged to the calls must be gone."""

_AFTER_S: Final = 2.0  # from a call's end to its last event at the subscriber, at most
_RAMP_S: Final = 0.7  # between the beginnings of two calls
_SPARE_S: Final = 120.0  # beyond the calls themselves; then the soak is given up


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long, how many, and the limits: Google's own, and the service's defaults."""

    seconds: float
    calls: int = 4
    window: Window = REAL
    every_s: float = 2.0  # from one reading to the next

    @property
    def hold(self) -> Hold:
        """A hold in which a stream comes of age, whatever was heard before."""
        window = self.window
        begins = window.after_s - min(25.0, window.after_s / 2)
        return Hold(begins, 1.1 * window.by_s - begins, quiet_s=window.after_s / 24 + 1)

    @property
    def rotations(self) -> int:
        """How many a call of this length must have seen."""
        return int(self.seconds // self.window.by_s)


@dataclass(slots=True)
class Line:
    """One call, when it is over."""

    part: Part
    report: CallReport
    watch: CallWatch
    streams: list[StreamRecord] = field(default_factory=list)


@dataclass(slots=True)
class Findings:
    """What a soak saw; `soak_verdict` judges it."""

    plan: Plan
    lines: list[Line]
    readings: list[Reading]  # while the calls were up
    idle: Reading  # before them
    after: Reading
    singles: int  # single requests: utterances that the streams did not answer
    complaints: Counter[tuple[str, str]]  # by level and text


Tell = Callable[[float, Reading, int], None]
"""Told every now and then: seconds since the beginning, the newest reading, words heard so far."""


async def soak(plan: Plan, folder: Path, tell: Tell | None = None) -> Findings:
    """Soak the service. Raises `TimeoutError` if it does not come to an end; cancelling it ends what it started."""
    parts = [
        await asyncio.to_thread(part, number, seconds=plan.seconds, hold=plan.hold) for number in range(plan.calls)
    ]
    settings = {
        "STT_ROTATE_AFTER_S": f"{plan.window.after_s:g}",
        "STT_ROTATE_BY_S": f"{plan.window.by_s:g}",
    }
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(plan.seconds + _SPARE_S))
        double = await stack.enter_async_context(Double(folder, plan.window.limit_s))
        served = await stack.enter_async_context(Served(folder, double.endpoint, settings))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=served.internal, trust_env=False, timeout=10))
        watches = await stack.enter_async_context(_watching(served.internal))
        meter = Meter(served.pid, http)
        await _talk(served.url, [part(1, seconds=2, hold=plan.hold)] * plan.calls)  # what is opened once is there
        idle = await meter.idle(IDLE_S)
        await double.forget()
        watches.clear()
        async with _measured(meter, plan, watches, tell):
            reports = await _talk(served.url, parts)
        await asyncio.sleep(_AFTER_S)
        after = await meter.until(lambda now: now.is_back_to(idle), IDLE_S)
        records, singles = await double.records()
    lines = [
        Line(said, report, watches.get(report.call_sid, CallWatch(report.call_sid)))
        for said, report in zip(parts, reports, strict=True)
    ]
    streams = by_call(
        records, {line.report.call_sid: Spoken(line.report.media_start, line.part.words) for line in lines}
    )
    for line in lines:
        line.streams = streams[line.report.call_sid]
    return Findings(plan, lines, meter.readings, idle, after, singles, served.complaints())


async def _talk(url: str, parts: list[Part]) -> list[CallReport]:
    """Have everybody call, one after the other, and talk to the end."""

    async def call(number: int, said: Part) -> CallReport:
        await asyncio.sleep(number * _RAMP_S)
        plan = CallPlan(base_url=url, public_url=PUBLIC_URL, audio=said.mulaw, holds=said.holds, tail_ms=1500)
        return await place_call(plan)

    return await asyncio.gather(*(call(number, said) for number, said in enumerate(parts)))


@asynccontextmanager
async def _watching(internal: str) -> AsyncIterator[dict[str, CallWatch]]:
    """Subscribe to all events; yields what was heard, by call."""
    watches: dict[str, CallWatch] = {}

    async def listen(events: AsyncIterator[AnyEvent]) -> None:
        async for event in events:
            watches.setdefault(event.call_sid, CallWatch(event.call_sid)).observe(event)

    async with watching(internal) as events:
        listening = asyncio.create_task(listen(events), name="soak.listen")
        try:
            yield watches
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


@asynccontextmanager
async def _measured(meter: Meter, plan: Plan, watches: dict[str, CallWatch], tell: Tell | None) -> AsyncIterator[None]:
    """Read the service all the while; what a reading raises is raised at the end."""

    async def report() -> None:
        began = asyncio.get_running_loop().time()
        while tell is not None:
            await asyncio.sleep(max(5.0, plan.seconds / 12))
            heard = sum(final.words for watch in watches.values() for final in watch.finals)
            tell(asyncio.get_running_loop().time() - began, meter.readings[-1], heard)

    following = asyncio.create_task(meter.follow(plan.every_s), name="soak.read")
    reporting = asyncio.create_task(report(), name="soak.report")
    try:
        yield
    finally:
        for task in (following, reporting):
            task.cancel()
        for ended in await asyncio.gather(following, reporting, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
