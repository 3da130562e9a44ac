"""A reader of the fleet's feed that comes back with its cursor, and a protocol of what it got."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from batkol.fleet.fleet import Fleet
from batkol.fleet.reader import FleetReader
from support.fleet.memory import ASKING
from support.http.event_source import EventSource


@dataclass
class Reader:
    """Reads as a page's EventSource does; a connection that breaks in the middle of an event leaves it unread."""

    source: EventSource = field(default_factory=EventSource)
    got: dict[str, list[int]] = field(default_factory=dict)
    """Numbers of events, by the process that they are of."""
    gaps: list[str] = field(default_factory=list)
    peers: list[dict[str, Any]] = field(default_factory=list)
    """The newest `peers`."""
    changes: int = 0
    """Events `peers` so far."""
    joined: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, fleet: Fleet, *, break_at: float = 1.0) -> None:
        """Read until cancelled, or until the fleet ends it. Of the last piece only that part arrives."""
        self.source.reconnected()
        listener, unread = FleetReader(self.source.last_event_id or None), b""
        try:
            async with fleet.following(ASKING, listener):
                self.joined.set()
                while unread := await listener.some():
                    await asyncio.sleep(0)
                    self._take(unread)
                    unread = b""
        finally:
            self.joined.clear()
            listener.close()
            rest = unread + await listener.some()
            self._take(rest[: int(len(rest) * break_at)])

    def has(self, boot: str, number: int) -> bool:
        return bool(self.got.get(boot)) and self.got[boot][-1] >= number

    def reachable(self) -> dict[str, bool]:
        return {peer["pod"]: peer["reachable"] for peer in self.peers}

    def _take(self, text: bytes) -> None:
        for event in self.source.feed(text):
            match event.type:
                case "peers":
                    self.peers = event.json["peers"]
                    self.changes += 1
                case "gap":
                    self.gaps.append(event.json["missed_from"])
                case _:
                    boot, number = event.json["text"].split(" ")
                    assert event.last_event_id.endswith(f"{boot}-{number}"), "the pod of an event stands last"
                    self.got.setdefault(boot, []).append(int(number))
