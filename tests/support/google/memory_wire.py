"""gRPC without a network: a channel and a service in one process and on one loop, in virtual time if the loop is.

Both ends are gRPC's own interfaces (`grpc.aio.Channel`, `grpc.GenericRpcHandler`), and messages are serialized, so
everything above runs as it is: the client library, `Channels`, the streams, the speech double. The stream beyond a
connection's limit waits without a word, as HTTP/2's does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, NoReturn, Self

import grpc

from batkol.recognizers.google.channels import Channels
from support.google.memory_call import Delay, MemoryCall, Method, at_once


class _Unary:
    """One request under way: awaited for its response."""

    def __init__(self, call: MemoryCall, request: Any) -> None:
        self._call, self._request = call, request

    def __await__(self) -> Any:
        return self._exchange().__await__()

    async def _exchange(self) -> Any:
        with suppress(asyncio.InvalidStateError):  # it is over already; the status says why
            await self._call.write(self._request)
        await self._call.done_writing()
        response = await self._call.read()
        assert response is not grpc.aio.EOF
        return response


class MemoryChannel(grpc.aio.Channel):  # type: ignore[misc]  # grpc has no types
    """One connection. It carries so many calls at once; the next one waits without a word."""

    def __init__(self, wire: MemoryWire) -> None:
        self._wire = wire
        self._room = asyncio.Semaphore(wire.most_streams)
        self._calls: set[MemoryCall] = set()
        self._unary_unary_interceptors: list[Any] = []  # the client library appends to it

    def stream_stream(self, method: str, request_serializer: Any = None, response_deserializer: Any = None) -> Any:
        def call(*, timeout: float | None = None, metadata: Any = ()) -> MemoryCall:
            return self._call(method, request_serializer, response_deserializer, timeout, metadata)

        return call

    def unary_unary(self, method: str, request_serializer: Any = None, response_deserializer: Any = None) -> Any:
        def call(request: Any, *, timeout: float | None = None, metadata: Any = (), **_: Any) -> _Unary:
            made = self._call(method, request_serializer, response_deserializer, timeout, metadata)
            return _Unary(made, request)

        return call

    def _call(self, name: str, serializer: Any, deserializer: Any, timeout: float | None, metadata: Any) -> MemoryCall:
        found = Method(self._wire.handler(name), serializer, deserializer)
        call = MemoryCall(found, timeout=timeout, delay=self._wire.delay)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        begun = asyncio.create_task(self._begin(call, tuple(metadata)), name="memory_wire.begin")
        self._wire.keep(begun)
        return call

    async def _begin(self, call: MemoryCall, metadata: tuple[tuple[str, str], ...]) -> None:
        await self._room.acquire()
        if call.done():
            self._room.release()
            return
        call.add_done_callback(lambda _: self._room.release())
        self._wire.keep(call.serve(metadata))

    async def close(self, grace: float | None = None) -> None:
        for call in tuple(self._calls):
            call.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def channel_ready(self) -> None:
        pass

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return grpc.ChannelConnectivity.READY

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await asyncio.Event().wait()

    def unary_stream(self, *_: Any, **__: Any) -> NoReturn:
        raise AssertionError("Google's service has no method of this kind")

    def stream_unary(self, *_: Any, **__: Any) -> NoReturn:
        raise AssertionError("Google's service has no method of this kind")


class MemoryWire:
    """All connections to one service. `delay` draws how long each message is under way."""

    def __init__(self, handlers: Any, *, delay: Delay = at_once, most_streams: int = 100) -> None:
        self._handlers = handlers
        self.delay = delay
        self.most_streams = most_streams
        self.tasks: set[asyncio.Task[None]] = set()

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold a task until it is done."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def handler(self, name: str) -> Any:
        """Return the service's method of that name."""

        class Details(NamedTuple):
            method: str
            invocation_metadata: tuple[()] = ()

        found = self._handlers.service(Details(name))
        assert found is not None, f"the service has no {name}"
        return found

    def dial(self) -> grpc.aio.Channel:
        """Open a connection."""
        return MemoryChannel(self)


@asynccontextmanager
async def memory_channels(handlers: Any, *, delay: Delay = at_once, most_streams: int = 100) -> AsyncIterator[Channels]:
    """The product's own pool, whose connections lead to this service; afterwards nothing of them is left."""
    wire = MemoryWire(handlers, delay=delay, most_streams=most_streams)
    channels = Channels(endpoint="memory:0", insecure=True, dial=wire.dial)
    try:
        yield channels
    finally:
        await channels.close()
        for task in tuple(wire.tasks):
            task.cancel()
        await asyncio.gather(*wire.tasks, return_exceptions=True)
