"""One `StreamingRecognize`: mu-law in, portions out.

Streams are opened by the client's transport, not by its method: docs/adr/0006.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import grpc

from batkol.audio import mulaw
from batkol.google_api.error_info import of_details
from batkol.recognizers.google import wire
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.ending import StreamEnding
from batkol.recognizers.google.errors import ended, too_large
from batkol.recognizers.streaming.connection import ConnectionEnded
from batkol.speech.results import Portion

STREAM_TIMEOUT: Final = 330.0  # seconds; Google ends a stream at 305


class GoogleConnection:
    """A stream that is open; see `batkol.recognizers.streaming.connection.StreamConnection`."""

    def __init__(self, call: Any, ending: StreamEnding, *, client: Any, channels: Channels) -> None:
        self._call = call
        self._ending = ending
        self._client = client
        self._channels = channels
        self._written = 0

    async def write(self, audio: bytes) -> None:
        self._written += len(audio)
        try:
            await self._call.write(wire.audio(mulaw.decode_to_bytes(audio)))
        except (grpc.RpcError, asyncio.InvalidStateError) as error:
            raise ConnectionEnded from error

    async def flush(self) -> None:
        """Do nothing: v1 has no such request."""

    async def half_close(self) -> None:
        try:
            await self._call.done_writing()
        except (grpc.RpcError, asyncio.InvalidStateError) as error:
            raise ConnectionEnded from error

    async def read(self) -> Sequence[Portion] | None:
        try:
            response = await self._call.read()
        except grpc.RpcError as error:
            raise self._ending.error(error) from error
        if response is grpc.aio.EOF:
            return None
        if response.error.code:  # a google.rpc.Status inside a response: the stream is over
            status = response.error
            raise ended(_status(status.code), status.message, of_details(status.details))
        if wire.is_too_large(response):
            raise too_large()
        return wire.portions(response, self._written)

    def suspect(self) -> None:
        self._channels.avoid(self._client)


@asynccontextmanager
async def open_stream(
    channels: Channels, config: wire.RecognitionConfig, *, within: float
) -> AsyncIterator[GoogleConnection]:
    """Open a stream `within` so many seconds; leaving it cancels it. Raises `SpeechError`."""
    with channels.lease() as leased:
        client: Any = leased
        # Not the client's wrapper: it hands out the stream only when it is connected, so one that was given up while
        # it waited would open later and stay.
        call = wire.streaming_recognize(client.transport.grpc_channel)(timeout=STREAM_TIMEOUT)
        ending = StreamEnding(call)
        try:
            try:
                async with asyncio.timeout(within):
                    await call.wait_for_connection()
                    with suppress(asyncio.InvalidStateError):  # refused already: `read` has the reason
                        await call.write(wire.opening(config))
            except (grpc.RpcError, TimeoutError) as error:
                failed = ending.error(error)
                if isinstance(error, TimeoutError):
                    channels.avoid(client)
                raise failed from error
            yield GoogleConnection(call, ending, client=client, channels=channels)
        finally:
            call.cancel()


def _status(code: int) -> grpc.StatusCode:
    return next((s for s in grpc.StatusCode if s.value[0] == code), grpc.StatusCode.UNKNOWN)
