"""A double of a receiver: takes what it is given, unless its script says otherwise. Its door holds pods to the seam."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope, Later

Script = Callable[[Envelope], DeliveryOutcome]


def take(_event: Envelope) -> DeliveryOutcome:
    return Delivered()


class ScriptedSink:
    """Several pods may share one, as they share a receiver: each has a `door` of its own."""

    def __init__(self, name: str = "crm", script: Script = take) -> None:
        self.name = name
        self.script = script
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

    async def take(self, event: Envelope) -> DeliveryOutcome:
        self.asked.append(event.id)
        await self.open.wait()
        await asyncio.sleep(0)
        outcome = self.script(event)
        if isinstance(outcome, Delivered):
            self.got.append(event)
        return outcome


class Door:
    """What a pod has of it: `batkol.sinks.delivery.Sink`."""

    def __init__(self, receiver: ScriptedSink) -> None:
        self.name = receiver.name
        self.given: list[str] = []
        """The ids that this pod was to deliver."""
        self.open = asyncio.Event()
        """Closed, this pod's way to the receiver hangs."""
        self.open.set()
        self._receiver = receiver
        self._busy = False

    async def deliver(self, events: Sequence[Envelope]) -> Sequence[DeliveryOutcome]:
        assert events, "a sink is not asked to deliver nothing"
        assert not self._busy, "a sink has one caller at a time"
        self._busy = True
        self.given += [event.id for event in events]
        try:
            await self.open.wait()
            return await self._deliver(events)
        finally:
            self._busy = False

    async def _deliver(self, events: Sequence[Envelope]) -> list[DeliveryOutcome]:
        outcomes: list[DeliveryOutcome] = []
        held: set[str] = set()
        newest: dict[str, int] = {}
        for event in events:
            assert event.seq > newest.get(event.stream, 0), "events of a stream come in order"
            newest[event.stream] = event.seq
            outcome = Later("behind another") if event.stream in held else await self._receiver.take(event)
            if isinstance(outcome, Later):
                held.add(event.stream)
            outcomes.append(outcome)
        return outcomes

    async def aclose(self) -> None:
        self._receiver.closed += 1
