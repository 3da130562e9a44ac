"""A network that damages what passes it: it cuts connections at any byte and flips bits, for a while.

    async with hostile(port, seed=1, harmed=12) as relay:
        connect to 127.0.0.1:relay.port

TCP's checksum lets one damaged packet in some ten million through, and proxies that copy memory have none; only TLS
notices. So that a test may ask for every record, nothing that was damaged is committed: once a bit was flipped on a
connection, it is cut before a COMMIT passes. (In plain text a network *can* have a wrong word committed.) A connection
that is to be harmed commits once at most, so that harm comes to it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

_FURTHEST = (9000, 3500)
"""Bytes to the server and from it within which a connection is harmed: those of one batch, and of what comes before."""


@dataclass
class _Harm:
    """What happens to one connection, by bytes that have passed in each direction (0: to the server)."""

    cut_at: int | None
    flip_at: tuple[int | None, int | None]
    bit: int
    flipped: bool = False
    commits: int = 0


class Hostile:
    """One port that stands for another one."""

    def __init__(self, to_port: int, seed: int, harmed: int) -> None:
        self._to_port = to_port
        self._chance = random.Random(seed)
        self._left = harmed
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.flips = 0
        self.cuts = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _next(self) -> _Harm | None:
        if not self._left:
            return None
        self._left -= 1
        to, back = (self._chance.randrange(furthest) for furthest in _FURTHEST)
        bit = self._chance.randrange(8)
        match self._chance.randrange(4):
            case 0:
                return _Harm(back, (None, None), bit)
            case 1:
                return _Harm(None, (to, None), bit)
        return _Harm(None, (None, back), bit)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        harm = self._next()
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        ways = [
            asyncio.create_task(self._pass(reader, far_writer, harm, 0)),
            asyncio.create_task(self._pass(far_reader, writer, harm, 1)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.transport.abort()
            far_writer.transport.abort()

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, harm: _Harm | None, way: int
    ) -> None:
        """Hand on what comes, until the end or the cut."""
        passed, tail = 0, b""
        with suppress(OSError):
            while chunk := await source.read(65536):
                if harm is not None:
                    tail = tail[1 - len(b"COMMIT") :] + chunk
                    if way == 0 and b"COMMIT" in tail:
                        harm.commits += 1
                        if harm.flipped or harm.commits > 1:
                            self.cuts += 1
                            return
                    chunk = self._damaged(chunk, harm, passed, way)
                    if harm.cut_at is not None and passed + len(chunk) > harm.cut_at:
                        sink.write(chunk[: harm.cut_at - passed])
                        await sink.drain()
                        self.cuts += 1
                        return
                passed += len(chunk)
                sink.write(chunk)
                await sink.drain()

    def _damaged(self, chunk: bytes, harm: _Harm, passed: int, way: int) -> bytes:
        at = harm.flip_at[way]
        if at is None or not passed <= at < passed + len(chunk):
            return chunk
        if way == 0 and b"COMMIT" in chunk:
            return chunk  # all before it was as it should be
        harm.flipped = True
        self.flips += 1
        damaged = bytearray(chunk)
        damaged[at - passed] ^= 1 << harm.bit
        return bytes(damaged)


@asynccontextmanager
async def hostile(to_port: int, *, seed: int, harmed: int) -> AsyncIterator[Hostile]:
    """Run one; the first `harmed` connections are damaged, each once, and those behind them are not."""
    relay = Hostile(to_port, seed, harmed)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()
