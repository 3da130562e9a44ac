"""One feed of one pod, read until it ends; a pod that hangs is found by asking it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from batkol.fleet.blocks import Block, BlockReader, EndlessEventError
from batkol.fleet.endpoint import Endpoint
from batkol.fleet.peers import FleetRequest, PodRequestError, Pods


class Following:
    """Reads a pod's feed. A feed that is silent for `probe_s` seconds has its pod asked who it is."""

    def __init__(self, pods: Pods, at: Endpoint, asking: FleetRequest, *, probe_s: float) -> None:
        self._pods = pods
        self._at = at
        self._asking = asking
        self._probe_s = probe_s
        self._loop = asyncio.get_running_loop()
        self._heard_at = 0.0
        self._fault: PodRequestError | None = None

    async def read(
        self, boot: str, after: str, on_begin: Callable[[], None], on_blocks: Callable[[Sequence[Block]], bool]
    ) -> None:
        """Read from a cursor on, until the feed ends or `on_blocks` returns true. Raises `PodRequestError`.

        `on_begin` is called when no event will be missed any more. Cancelling it closes the connection.
        """
        async with self._pods.follow(self._at, self._asking, after) as pieces:
            on_begin()
            try:
                async with asyncio.timeout(None) as patience:
                    watching = asyncio.create_task(self._watch(boot, patience), name="fleet.watch")
                    try:
                        await self._read(pieces, on_blocks)
                    finally:
                        watching.cancel()
                        await asyncio.wait([watching])
            except TimeoutError:
                if self._fault is None:
                    raise
                raise self._fault from None

    async def _read(self, pieces: AsyncGenerator[bytes, None], on_blocks: Callable[[Sequence[Block]], bool]) -> None:
        blocks = BlockReader()
        self._heard_at = self._loop.time()
        async with aclosing(pieces):
            async for piece in pieces:
                self._heard_at = self._loop.time()
                try:
                    if on_blocks(blocks.feed(piece)):
                        return
                except EndlessEventError:
                    raise PodRequestError(
                        "It sends an event without an end: another program has this address."
                    ) from None

    async def _watch(self, boot: str, patience: asyncio.Timeout) -> None:
        """End the reading when the pod does not answer, or is another process by now."""
        while self._fault is None:
            await asyncio.sleep(self._probe_s)
            if self._loop.time() - self._heard_at < self._probe_s:
                continue
            try:
                identity = await self._pods.identify(self._at, self._asking)
            except PodRequestError as fault:
                self._fault = fault
            else:
                self._fault = None if identity.boot == boot else PodRequestError("It has restarted.")
        patience.reschedule(self._loop.time())
