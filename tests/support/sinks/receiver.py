"""A double of a receiver: takes what it is given, unless its script says otherwise. Its door holds pods to the seam."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope

Script = Callable[[Envelope], DeliveryOutcome]


def take(_event: Envelope) -> DeliveryOutcome:
    return Delivered()


class ScriptedSink:
    """Several pods may share one, as they share a receiver: each has a `door` of its own."""

    def __init__(self, name: str = "crm", script: Script = take, at_once: int = 16) -> None:
        self.name = name
        self.script = script
        self.at_once = at_once
        """The most events of one pod that it takes at the same time."""
        self.hangs: set[str] = set()
        """The streams of which it answers nothing; `let_go` answers all that hangs."""
        self._goes = asyncio.Event()
        self.most_at_once = self.under_way = 0
        self.got: list[Envelope] = []
        """What the receiver took, as it came; some of it more than once."""
        self.asked: list[str] = []
        """The ids of all that it was given."""
        self.open = asyncio.Event()
        """Closed, the receiver hangs."""
        self.open.set()
        self.closed = 0

    @property
    def ids(self) -> list[str]:
        """What it has, once, in the order in which it came first."""
        return list(dict.fromkeys(event.id for event in self.got))

    @property
    def streams(self) -> dict[str, list[int]]:
        """The numbers of what it has, by stream, in the order in which they came first."""
        found: dict[str, list[int]] = defaultdict(list)
        for event in {event.id: event for event in self.got}.values():
            found[event.stream].append(event.seq)
        return dict(found)

    def door(self) -> Door:
        """The sink of one pod."""
        return Door(self)

    def let_go(self) -> None:
        """Answer what hangs."""
        self.hangs.clear()
        self._goes.set()
        self._goes = asyncio.Event()

    async def take(self, event: Envelope) -> DeliveryOutcome:
        self.asked.append(event.id)
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            await self.open.wait()
            if event.stream in self.hangs:
                await self._goes.wait()
            await asyncio.sleep(0)
        finally:
            self.under_way -= 1
        outcome = self.script(event)
        if isinstance(outcome, Delivered):
            self.got.append(event)
        return outcome


class Door:
    """What a pod has of it: `batkol.sinks.delivery.Sink`."""

    def __init__(self, receiver: ScriptedSink) -> None:
        self.name = receiver.name
        self.at_once = receiver.at_once
        self.given: list[str] = []
        """The ids that this pod was to deliver."""
        self.open = asyncio.Event()
        """Closed, this pod's way to the receiver hangs."""
        self.open.set()
        self.violations: list[str] = []
        self._receiver = receiver
        self._done: set[str] = set()
        self._busy: dict[str, str] = {}  # by id, the stream

    async def deliver(self, event: Envelope) -> DeliveryOutcome:
        self._check(event)
        self._busy[event.id] = event.stream
        self.given.append(event.id)
        try:
            await self.open.wait()
            return await self._receiver.take(event)
        finally:
            del self._busy[event.id]
            self._done.add(event.id)

    def _check(self, event: Envelope) -> None:
        """Note what a sink need not bear. An exception would be taken for a defect of the sink."""
        if len(self._busy) >= self.at_once:
            self.violations.append("more than the sink allows at once")
        if event.id in self._busy:
            self.violations.append("an event twice at a time")
        beside = [one for one, stream in self._busy.items() if stream == event.stream]
        if beside and not any(one in self._done for one in (event.id, *beside)):
            self.violations.append("two events of a stream at a time, of which none is a replay")

    async def aclose(self) -> None:
        self._receiver.closed += 1
