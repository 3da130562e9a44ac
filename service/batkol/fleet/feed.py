"""The fleet's feed for one token: every pod followed once, however many read, and only while there are readers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec
import structlog

from batkol.answers import Answer
from batkol.fleet.addresses import Addresses, Resolved
from batkol.fleet.blocks import Block
from batkol.fleet.endpoint import Endpoint
from batkol.fleet.following import Following
from batkol.fleet.membership import FleetPeers, Membership, PeerStatus
from batkol.fleet.peers import FleetRequest, OwnPod, PodIdentity, PodRequestError, Pods
from batkol.fleet.reader import FleetReader

PEERS: Final = "peers"
_SELDOM: Final = 10
"""A pod that is followed by another address is asked that much less often; a feed that ended, that much sooner."""

log = structlog.get_logger()


class FleetTimings(NamedTuple):
    """Intervals, in seconds."""

    answer_s: float = 1.0
    """A pod has this for each answer."""
    hung_up_s: float = 0.5
    """All pods together have this to say whether one of them has ended a call; Twilio waits meanwhile."""
    command_s: float = 5.0
    """A pod has this to carry out a command that is forwarded to it."""
    resolve_s: float = 3.0
    """DNS is asked again after this."""
    retry_s: float = 1.0
    """A pod that cannot be followed is asked again after this."""
    probe_s: float = 2.0
    """A pod whose feed is silent for this is asked whether it is still there."""
    gone_s: float = 60.0
    """A pod that no address has any more is taken for gone after this: no name server's cache is older."""


TIMINGS: Final = FleetTimings()


class FleetFeed:
    """Readers join and leave; `run` follows the pods meanwhile."""

    def __init__(
        self, pods: Pods, addresses: Addresses, own: OwnPod, asking: FleetRequest, timings: FleetTimings = TIMINGS
    ) -> None:
        self.refusal: Answer | None = None
        """The answer of this pod itself, if it refuses the request: then no other pod is asked."""
        self._pods = pods
        self._addresses = addresses
        self._own = own
        self._asking = asking
        self._timings = timings
        self._members = Membership(own.at, own.boot)
        self._followers: dict[Endpoint, asyncio.Task[None]] = {}
        self._readers: dict[FleetReader, list[asyncio.Task[None]]] = {}  # with the tasks by which each catches up
        self._at: dict[str, int] = {}  # by boot: the newest event that came
        self._kept: dict[str, int] = {}  # by boot: the newest event there was when the pod was followed
        self._complete: set[str] = set()  # boots whose feed came to its end in good order
        self._absent: dict[str, float] = {}  # by boot: since when no address has it
        self._told: list[PeerStatus] = []
        self._own_asked = asyncio.Event()
        self._own_complete = asyncio.Event()
        self._settled = asyncio.Event()
        self._resolved = False
        self._group: asyncio.TaskGroup | None = None
        self._loop = asyncio.get_running_loop()

    def __len__(self) -> int:
        """Return the number of readers."""
        return len(self._readers)

    # -- readers ---------------------------------------------------------------------------------------------------

    async def join(self, reader: FleetReader) -> None:
        """Add a reader, and return when each pod is followed or has failed to answer; `leave` must follow.

        From then on the reader misses nothing that happens. Cancelling it leaves the reader added.
        """
        self._readers[reader] = []
        self._catch_up(reader)
        await self._settled.wait()
        reader.begin(PEERS, self._peers_event(self._members.peers()))

    def is_current(self, reader: FleetReader) -> bool:
        """Whether a reader has all that the pods had kept for it when they were followed."""
        return not reader.merge.catching_up and all(self._at.get(boot, 0) >= n for boot, n in self._kept.items())

    def remove(self, reader: FleetReader) -> None:
        """Remove a reader."""
        for task in self._readers.pop(reader, ()):
            task.cancel()

    async def finish(self) -> None:
        """The process ends: close all readers when they have the last events of this pod, or a moment later."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timings.answer_s):
                await self._own_complete.wait()
        self.close()

    def close(self) -> None:
        """Close all readers."""
        self._settled.set()
        self._own_complete.set()
        for reader in tuple(self._readers):
            reader.close()

    def _catch_up(self, reader: FleetReader) -> None:
        """Have a reader read by itself what it lacks of pods that are followed already."""
        for boot in reader.merge.join(self._at):
            if self._group is not None:
                work = self._read_missed(reader, boot)
                self._readers[reader].append(self._group.create_task(work, name="fleet.catch_up"))

    async def _read_missed(self, reader: FleetReader, boot: str) -> None:
        def take(blocks: Sequence[Block]) -> bool:
            reader.offer(boot, blocks, shared=False)
            return reader.merge.meet(boot, self._at.get(boot, 0))

        while boot in reader.merge.catching_up and (at := self._members.address(boot)) is not None:
            after = f"{boot}-{reader.merge.positions[boot]}"
            following = Following(self._pods, at, self._asking, probe_s=self._timings.probe_s)
            with suppress(PodRequestError):  # the follower of this pod meets the same fault, and names it
                if (await self._pods.identify(at, self._asking)).boot == boot:
                    await following.read(boot, after, lambda: None, take)
            if boot in reader.merge.catching_up:
                await asyncio.sleep(self._timings.retry_s)

    # -- pods ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow the pods until cancelled; returns if this pod itself refuses the request."""
        try:
            async with asyncio.TaskGroup() as self._group:
                self._follow(self._own.at)
                await self._own_asked.wait()  # a token that is no good here is shown to no other pod
                while self.refusal is None:
                    self._update(await self._addresses.current())
                    await asyncio.sleep(self._timings.resolve_s)
                self._followers[self._own.at].cancel()
        finally:
            self._group = None
            self.close()

    def _update(self, found: Resolved) -> None:
        change = self._members.resolved(found.addresses, found.failed)
        for address in change.gone:
            self._followers.pop(address).cancel()
        for address in change.new:
            self._follow(address)
        self._resolved = True
        self._lose_absent()
        self._announce_peers()

    def _follow(self, address: Endpoint) -> None:
        if self._group is not None:
            self._followers[address] = self._group.create_task(self._follow_on(address), name="fleet.follow")

    async def _follow_on(self, address: Endpoint) -> None:
        """Follow one address for as long as it is one of the fleet's."""
        while True:
            try:
                pause_s = await self._follow_once(address)
            except PodRequestError as fault:
                pause_s = self._timings.retry_s
                self._on_fault(address, fault)
            await asyncio.sleep(pause_s)

    async def _follow_once(self, address: Endpoint) -> float:
        """Follow a pod until its feed ends; return after how many seconds to ask again."""
        identity = await self._pods.identify(address, self._asking)
        after = self._begin(address, identity)
        if after is None:
            self._on_reached(address)
            return self._timings.retry_s * _SELDOM
        following = Following(self._pods, address, self._asking, probe_s=self._timings.probe_s)
        await following.read(
            identity.boot,
            after,
            on_begin=lambda: self._on_reached(address),
            on_blocks=lambda blocks: self._deliver(identity.boot, blocks),
        )
        self._complete.add(identity.boot)
        if address == self._own.at:
            self._own_complete.set()
        return self._timings.retry_s / _SELDOM

    def _begin(self, address: Endpoint, identity: PodIdentity) -> str | None:
        """Return the cursor from which to follow the pod at this address; None if it is followed by another one."""
        boot = identity.boot
        answered = self._members.answered(address, boot, identity.pod)
        if answered.ended:
            self._lose(answered.ended)
        if not answered.is_followed:
            return None
        self._complete.discard(boot)
        self._kept[boot] = identity.newest
        starts = [each.merge.begin(boot, identity.newest) for each in self._readers]
        at = self._at.setdefault(boot, min(starts, default=identity.newest))
        return f"{boot}-{at}"

    def _deliver(self, boot: str, blocks: Sequence[Block]) -> bool:
        for reader in tuple(self._readers):
            reader.offer(boot, blocks, shared=True)
        newest = max((block.n for block in blocks if block.boot == boot), default=0)
        self._at[boot] = max(newest, self._at.get(boot, 0))
        return False

    def _lose_absent(self) -> None:
        """Take pods for gone that no address has: at once where their feed was complete, else after `gone_s`."""
        now, here = self._loop.time(), self._members.boots
        wanted = self._at.keys() | {boot for each in self._readers for boot in each.merge.positions}
        self._absent = {boot: self._absent.get(boot, now) for boot in wanted - here}
        for boot, since in tuple(self._absent.items()):
            is_certain = now - since >= self._timings.gone_s and not self._members.has_strangers
            if boot in self._complete or is_certain:
                self._lose(boot)

    def _lose(self, boot: str) -> None:
        complete = boot in self._complete
        for reader in tuple(self._readers):
            reader.lose(boot, complete=complete)
        self._at.pop(boot, None)
        self._kept.pop(boot, None)
        self._complete.discard(boot)

    # -- what readers hear of the pods -----------------------------------------------------------------------------

    def _on_reached(self, address: Endpoint) -> None:
        self._members.reached(address)
        self._on_asked(address)

    def _on_fault(self, address: Endpoint, fault: PodRequestError) -> None:
        self._members.failed(address, str(fault))
        if address == self._own.at and not self._own_asked.is_set():
            self.refusal = fault.refusal
        self._on_asked(address)

    def _on_asked(self, address: Endpoint) -> None:
        if address == self._own.at:
            self._own_asked.set()
        self._announce_peers()

    def _announce_peers(self) -> None:
        if self._resolved and self._members.is_settled:
            self._settled.set()
        peers = self._members.peers()
        if self._settled.is_set() and peers != self._told:
            if self._told:  # else each reader hears of them when it has joined
                for reader in tuple(self._readers):
                    reader.announce(PEERS, self._peers_event(peers))
            self._log(peers)
            self._told = peers

    def _log(self, peers: list[PeerStatus]) -> None:
        for peer in peers:
            if not peer.reachable and peer not in self._told:
                log.warning(
                    "[FLEET] pod cannot be asked; its events are missing until it can", pod=peer.pod, why=peer.why
                )

    @staticmethod
    def _peers_event(peers: list[PeerStatus]) -> bytes:
        return msgspec.json.encode(FleetPeers(peers))
