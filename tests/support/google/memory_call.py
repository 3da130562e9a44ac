"""One gRPC call without a network: the client's end, the server's end, and the messages that are under way.

It is as strict and as untidy as grpc.aio's: messages take their time, a slow reader stops the writer, and a status that
comes under a write is overwritten by INTERNAL. `test_two_wires.py` holds both to the same.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple, NoReturn

import grpc
from grpc.aio import AioRpcError, Metadata

WINDOW: Final = 65_536
"""Bytes that one side may send before the other has read them: HTTP/2's default."""

_CODE: Final = grpc.StatusCode
_ALREADY_FINISHED: Final = "RPC already finished."
_HALF_CLOSED: Final = 'RPC is half closed after calling "done_writing".'

Delay = Callable[[], float]


def at_once() -> float:
    """The delay of a wire on which a message arrives in the next turn of the loop."""
    return 0.0


class Status(NamedTuple):
    """The end of a call."""

    code: grpc.StatusCode
    details: str
    trailers: tuple[tuple[str, bytes], ...] = ()


class Method(NamedTuple):
    """One method: its handler at the server, and the client's two translators."""

    handler: Any
    serialize: Callable[[Any], bytes]
    deserialize: Callable[[bytes], Any]


class Pipe:
    """One direction of a call. Messages arrive in order, each after a delay; None is the end of what is sent."""

    def __init__(self, delay: Delay) -> None:
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._messages: deque[tuple[float, bytes | None]] = deque()
        self._arrives = 0.0
        self._unread = 0
        self._moved = asyncio.Event()
        self.on_moved: Callable[[], None] = lambda: None

    @property
    def is_empty(self) -> bool:
        return not self._messages

    def wake(self) -> None:
        """Have everybody look again."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def put(self, message: bytes | None, *, ended: Callable[[], bool]) -> None:
        """Send, when there is room in the window; returns at the end of the call, too."""
        while message and self._unread >= WINDOW and not ended():
            await self._moved.wait()
        self._unread += len(message or b"")
        self._arrives = max(self._arrives, self._loop.time() + self._delay())
        self._messages.append((self._arrives, message))
        self.wake()
        await asyncio.sleep(0)

    async def get(self, *, ended: Callable[[], bool]) -> bytes | None:
        """Take the next message when it has arrived; None at the end."""
        while not ended():
            if not self._messages:
                await self._moved.wait()
            elif (wait := self._messages[0][0] - self._loop.time()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._moved.wait()
            else:
                _, message = self._messages.popleft()
                self._unread -= len(message or b"")
                self.wake()
                self.on_moved()
                return message
        return None


class ServerContext:
    """The call from the server's side: the part of `grpc.aio.ServicerContext` that a speech service uses."""

    def __init__(self, call: MemoryCall, metadata: tuple[tuple[str, str], ...]) -> None:
        self._call = call
        self._metadata = metadata

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._metadata

    def peer(self) -> str:
        return "memory:0"

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._call.served_callbacks.append(partial(callback, self))

    async def read(self) -> Any:
        message = await self._call.up.get(ended=self._call.done)
        return grpc.aio.EOF if message is None else self._call.method.handler.request_deserializer(message)

    async def write(self, response: Any) -> None:
        await self._call.down.put(self._call.method.handler.response_serializer(response), ended=self._call.done)

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: tuple[tuple[str, bytes], ...] = ()
    ) -> NoReturn:
        self._call.end_from_server(Status(code, details, trailing_metadata))
        raise grpc.aio.AbortError(details)


class MemoryCall:
    """One call: the client's view of it, as `grpc.aio.StreamStreamCall`, and the task that serves it."""

    def __init__(self, method: Method, *, timeout: float | None, delay: Delay) -> None:
        loop = asyncio.get_running_loop()
        self.method = method
        self.up, self.down = Pipe(delay), Pipe(delay)
        self.down.on_moved = self._finish_if_read
        self.served_callbacks: list[Callable[[], None]] = []
        self.started = asyncio.Event()
        self._status: Status | None = None
        self._ending: Status | None = None  # on its way to the client
        self._cancelled = self._half_closed = False
        self._callbacks: list[Callable[[], None]] = []
        self._serving: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        late = Status(_CODE.DEADLINE_EXCEEDED, "Deadline Exceeded")
        self._timer = None if timeout is None else loop.call_later(timeout, self._finish, late)

    # -- the client's view -----------------------------------------------------------------------------------------

    def done(self) -> bool:
        return self._status is not None

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callbacks.append(partial(callback, self))
        if self.done():
            callback(self)

    def cancel(self) -> bool:
        if self.done():
            return False
        self._cancelled = True
        self._finish(Status(_CODE.CANCELLED, "Locally cancelled by application!"))
        return True

    async def code(self) -> grpc.StatusCode:
        return (await self._final_status()).code

    async def details(self) -> str:
        return (await self._final_status()).details

    async def trailing_metadata(self) -> Metadata:
        return Metadata(*(await self._final_status()).trailers)

    async def wait_for_connection(self) -> None:
        await self.started.wait()
        if self.done():
            self._raise_for_status()

    async def write(self, request: Any) -> None:
        if self.done():
            raise asyncio.InvalidStateError(_ALREADY_FINISHED)
        if self._half_closed:
            raise asyncio.InvalidStateError(_HALF_CLOSED)
        if not self.started.is_set():
            await self.wait_for_connection()
        with self._cancelling():
            await self.up.put(self.method.serialize(request), ended=self.done)
        if self.done():
            self._status = Status(_CODE.INTERNAL, "Internal error from Core")
            self._raise_for_status()

    async def done_writing(self) -> None:
        if not self.done() and not self._half_closed:
            self._half_closed = True
            with self._cancelling():
                await self.up.put(None, ended=self.done)

    async def read(self) -> Any:
        if not self.done():
            with self._cancelling():
                await self.started.wait()
                message = await self.down.get(ended=self.done)
            if message is not None:
                return self.method.deserialize(message)
        self._raise_for_status()
        return grpc.aio.EOF

    def _cancelling(self) -> _CancelsCall:
        return _CancelsCall(self)

    def _raise_for_status(self) -> None:
        if self._cancelled:
            raise asyncio.CancelledError
        status = self._status
        if status is not None and status.code is not _CODE.OK:
            raise AioRpcError(status.code, Metadata(), Metadata(*status.trailers), details=status.details)

    async def _final_status(self) -> Status:
        await self._over.wait()
        assert self._status is not None
        return self._status

    # -- the server's side -----------------------------------------------------------------------------------------

    def serve(self, metadata: tuple[tuple[str, str], ...]) -> asyncio.Task[None]:
        """Begin: there is room for this call on the connection. Return the task that serves it."""
        self.started.set()
        self._serving = asyncio.create_task(self._serve(ServerContext(self, metadata)), name="memory_wire.serve")
        return self._serving

    async def _serve(self, context: ServerContext) -> None:
        status = Status(_CODE.OK, "")
        handler = self.method.handler
        try:
            if handler.request_streaming:
                await handler.stream_stream(None, context)
            else:
                request = await context.read()
                await context.write(await handler.unary_unary(request, context))
        except grpc.aio.AbortError:
            return
        except Exception as error:  # noqa: BLE001  as grpc.aio does
            status = Status(_CODE.UNKNOWN, f"Unexpected {type(error)}: {error}")
        finally:
            for callback in self.served_callbacks:
                callback()
        self.end_from_server(status)

    def end_from_server(self, status: Status) -> None:
        """Send the status, behind the messages that are on their way."""
        if self._ending is None:
            self._ending = status
            asyncio.get_running_loop().call_soon(self._finish_if_read)

    def _finish_if_read(self) -> None:
        if self._ending is not None and self.down.is_empty:
            self._finish(self._ending)

    def _finish(self, status: Status) -> None:
        if self.done():
            return
        self._status = status
        if self._timer is not None:
            self._timer.cancel()
        if self._serving is not None and self._ending is None:
            self._serving.cancel()
        self._over.set()
        self.started.set()
        for callback in self._callbacks:
            callback()
        self.up.wake()
        self.down.wake()


class _CancelsCall:
    """A read or write that is cancelled cancels its call, as grpc.aio's does."""

    def __init__(self, call: MemoryCall) -> None:
        self._call = call

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is asyncio.CancelledError:
            self._call.cancel()
