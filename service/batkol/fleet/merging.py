"""Merge of the pods' feeds for one reader: what it has got of each pod, and the cursor of each event.

Pure. The order of a pod's events holds; between pods there is none but that of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from batkol.fleet.blocks import Block
from batkol.fleet.cursor import MOST_PODS, joined, parse

_GAP: Final = "gap"


class Merge:
    """One reader's positions. With `cursor` None it begins with what happens from now on."""

    def __init__(self, cursor: str | None = None) -> None:
        """Raises `CursorError`."""
        self._positions = {} if cursor is None else parse(cursor)
        self._fresh = cursor is None
        self._start = dict(self._positions)  # the positions before the first event
        self._catching_up: set[str] = set()
        self._gone: dict[str, int] = {}  # positions of pods that were taken for gone, should one come back
        self._others = b""  # the cursor's part before the pod whose events came last
        self._last = ""

    @property
    def cursor(self) -> str:
        """The position in all feeds."""
        return joined(self._positions)

    @property
    def positions(self) -> Mapping[str, int]:
        """The number of the last event by boot."""
        return self._positions

    @property
    def catching_up(self) -> frozenset[str]:
        """The pods whose earlier events this reader still reads by itself."""
        return frozenset(self._catching_up)

    def settle(self, kind: str, data: bytes) -> bytes:
        """All pods were asked once; return the event that says so, which belongs before all others.

        A pod that answers only later is followed from the oldest event that it has.
        """
        self._fresh = False
        start, self._start = self._start, {}
        return _written(kind, data, joined(start))

    def begin(self, boot: str, newest: int) -> int:
        """A pod is about to be followed; return the position to follow it from. `newest`: its last event's number."""
        if boot not in self._positions:
            self._positions[boot] = self._gone.pop(boot, newest if self._fresh else 0)
            self._start.setdefault(boot, self._positions[boot])
            self._forget_order()
        return self._positions[boot]

    def join(self, followed: Mapping[str, int]) -> list[str]:
        """Join pods that are followed already, each at a position; return those whose earlier events are needed."""
        for boot, at in followed.items():
            if self.begin(boot, at) < at:
                self._catching_up.add(boot)
        self._forget_order()
        return [boot for boot in followed if boot in self._catching_up]

    def take(self, boot: str, blocks: Iterable[Block], *, shared: bool) -> list[bytes]:
        """Return the events of a pod's feed that are new to this reader, each with its cursor.

        `shared`: they come from the feed that all readers share, else from the one that this reader catches up with.
        """
        if shared and boot in self._catching_up:
            return []
        return [text for block in blocks if (text := self._take(boot, block)) is not None]

    def meet(self, boot: str, at: int) -> bool:
        """Return whether the reader has caught up with the shared feed of that pod, which is `at` this position."""
        if self._positions.get(boot, 0) >= at:
            self._catching_up.discard(boot)
        return boot not in self._catching_up

    def lose(self, boot: str, *, complete: bool) -> bytes | None:
        """A pod is gone; return the event `gap`, unless this reader has had all of it."""
        at = self._positions.pop(boot, None)
        missed = boot in self._catching_up or not complete
        self._catching_up.discard(boot)
        self._forget_order()
        if at is None or not missed:
            return None
        self._gone[boot] = at
        if len(self._gone) > MOST_PODS:
            del self._gone[next(iter(self._gone))]
        data = msgspec.json.encode({"type": _GAP, "missed_from": f"{boot}-{at}"})
        return self.announcement(_GAP, data)

    def announcement(self, kind: str, data: bytes) -> bytes:
        """Write an event of the fleet's own; it moves no position."""
        return _written(kind, data, self.cursor)

    def _take(self, boot: str, block: Block) -> bytes | None:
        if not block.boot:
            return block.body
        at = self._positions.get(boot)
        if block.boot != boot or at is None or block.n <= at:
            return None
        self._move(boot, block.n)
        return b"id: %s%s-%d\n%s" % (self._others, boot.encode(), block.n, block.body) if block.body else None

    def _move(self, boot: str, n: int) -> None:
        if boot != self._last:  # the pod whose events come now stands last: the part before it stays the same
            del self._positions[boot]
            others = joined(self._positions)
            self._others = f"{others}.".encode() if others else b""
            self._last = boot
        self._positions[boot] = n
        if len(self._positions) > MOST_PODS:
            del self._positions[next(iter(self._positions))]
            self._forget_order()

    def _forget_order(self) -> None:
        self._last = ""


def _written(kind: str, data: bytes, cursor: str) -> bytes:
    position = f"id: {cursor}\n" if cursor else ""
    return f"{position}event: {kind}\ndata: ".encode() + data + b"\n\n"
