"""A load balancer: each new connection goes to the pod that is chosen at that moment; open ones stay where they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress


class Balancer:
    """`pod` is the port that the next connection goes to; `then`, if given, those of the ones after it, in turn."""

    def __init__(self, pod: int) -> None:
        self.pod = pod
        self.then: list[int] = []
        self.on_connection: Callable[[], None] = lambda: None
        """Called before each new connection is passed on."""
        self.url = ""
        self._tasks: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        self.on_connection()
        port = self.pod
        if self.then:
            self.pod = self.then.pop(0)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        with suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(_carry(reader, back), _carry(there, writer))
        writer.close()
        back.close()

    async def leave(self) -> None:
        for task in self._tasks:
            if task is not None:
                task.cancel()
                await asyncio.wait([task])


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(1 << 16):
        sink.write(data)
        await sink.drain()
    sink.close()


@asynccontextmanager
async def balancing(pod: int) -> AsyncIterator[Balancer]:
    """Listen on a free port, for one pod at first."""
    balancer = Balancer(pod)
    server = await asyncio.start_server(balancer.serve, "127.0.0.1", 0)
    balancer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield balancer
    finally:
        server.close()
        await balancer.leave()
        await server.wait_closed()
