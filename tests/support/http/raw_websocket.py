"""A WebSocket client that may break every rule: frames by hand, cut into segments wherever a test likes."""

import asyncio
import base64
import fcntl
import hashlib
import os
import termios
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import NamedTuple

from websockets.utils import apply_mask

from support.time.waiting import until

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """One frame (RFC 6455, 5.2), masked by its length: another run gives the same bytes."""
    head = bytearray([(0x80 if fin else 0) | reserved | opcode])
    mask_bit = 0x80 if masked else 0
    if len(payload) < 126:
        head.append(mask_bit | len(payload))
    elif len(payload) < 1 << 16:
        head += bytes([mask_bit | 126]) + len(payload).to_bytes(2, "big")
    else:
        head += bytes([mask_bit | 127]) + len(payload).to_bytes(8, "big")
    if not masked:
        return bytes(head) + payload
    mask = hashlib.sha256(bytes(head)).digest()[:4]
    return bytes(head) + mask + apply_mask(payload, mask)


def text(words: str) -> bytes:
    return frame(TEXT, words.encode())


def close(code: int | None = 1000, reason: str = "") -> bytes:
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason.encode())


def handshake(path: str = "/", *headers: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def arrived(descriptor: int) -> None:
    """Wait until the peer's kernel has all that this socket sent, and give a peer on this loop turns to read it."""
    await until(lambda: not any(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))))
    for _ in range(3):
        await asyncio.sleep(0)


class Received(NamedTuple):
    """A frame from the server."""

    opcode: int
    payload: bytes

    @property
    def code(self) -> int:
        return int.from_bytes(self.payload[:2], "big")


class RawWebSocket:
    """One connection. Each segment that is sent is read by a server on the same loop before the next one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *segments: bytes) -> None:
        for segment in segments:
            self._writer.write(segment)
            await self._writer.drain()
            for _ in range(3):
                await asyncio.sleep(0)

    async def arrived(self) -> None:
        """Wait until the server has all that was sent in its socket, and has read what it is woken for."""
        await arrived(self._writer.get_extra_info("socket").fileno())

    async def send_cut(self, data: bytes, cuts: Iterable[int]) -> None:
        """Send it in pieces, cut at these offsets."""
        marks = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        await self.send(*(data[a:b] for a, b in pairwise(marks)))

    async def upgraded(self) -> bytes:
        """Read the server's answer to the handshake."""
        async with asyncio.timeout(20):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def frame(self) -> Received | None:
        """Read the server's next frame; None when it has hung up."""
        try:
            async with asyncio.timeout(20):
                first, second = await self._reader.readexactly(2)
                length = second & 0x7F
                if length > 125:
                    length = int.from_bytes(await self._reader.readexactly(2 if length == 126 else 8), "big")
                return Received(first & 0x0F, await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def closed(self) -> int | None:
        """Read until the server's close frame, and return its code; None if it hung up without one."""
        while (received := await self.frame()) is not None:
            if received.opcode == CLOSE:
                return received.code
        return None

    def abort(self) -> None:
        """Vanish."""
        self._writer.transport.abort()

    def finish(self) -> None:
        """Close the connection, properly as TCP has it and improperly as WebSocket does."""
        self._writer.close()


@asynccontextmanager
async def connected(port: int, path: str = "/", *, shake: bool = True) -> AsyncIterator[RawWebSocket]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    raw = RawWebSocket(reader, writer)
    try:
        if shake:
            await raw.send(handshake(path))
            assert b" 101 " in await raw.upgraded()
        yield raw
    finally:
        raw.abort()
