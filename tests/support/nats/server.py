"""A real nats-server on loopback, with JetStream in a folder: started, killed, started again on the same port."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import nats
from nats.js.api import StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from support.network.ports import free_ports
from support.process.programs import Program, tool


@dataclass(frozen=True, slots=True)
class Stored:
    """One message of a stream."""

    subject: str
    id: str
    data: bytes


class NatsServer:
    """One server. An async context manager that starts it."""

    def __init__(self, folder: Path, *lines: str) -> None:
        """`lines` are of its configuration file. Raises `FileNotFoundError` where there is no nats-server."""
        (self._port,) = free_ports(1)
        self._configuration = folder / "nats.conf"
        self._folder = folder
        self.configure(*lines)
        self._program = Program([tool("nats-server"), "-c", self._configuration], folder / "nats.log")

    def configure(self, *lines: str) -> None:
        """Set these lines, from its next start."""
        always = (f"listen: 127.0.0.1:{self._port}", f'jetstream {{ store_dir: "{self._folder}" }}')
        self._configuration.write_text("\n".join([*always, *lines, ""]))

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    async def start(self) -> None:
        await asyncio.to_thread(self._program.start)
        await asyncio.to_thread(self._program.wait, self._answers)

    async def kill(self) -> None:
        """SIGKILL: no goodbye."""
        await asyncio.to_thread(self._program.stop, signal.SIGKILL)

    async def restart(self) -> None:
        """In good order."""
        await asyncio.to_thread(self._program.stop)
        await self.start()

    def signal(self, which: signal.Signals) -> None:
        """Stop it in its tracks, or let it go on."""
        self._program.signal(which)

    def said(self) -> str:
        return self._program.said()

    async def add_stream(self, name: str, subjects: Sequence[str], login: str = "", **config: object) -> None:
        async with Looker(self.url, login) as stream:
            await stream.add_stream(StreamConfig(name=name, subjects=list(subjects), **config))  # type: ignore[arg-type]

    async def stored(self, name: str = "batkol", login: str = "") -> list[Stored]:
        """Return what a stream has, in order."""
        async with Looker(self.url, login) as stream:
            last = (await stream.stream_info(name)).state.last_seq
            found = []
            for number in range(1, last + 1):
                with suppress(NotFoundError):  # discarded
                    message = await stream.get_msg(name, number)
                    headers = message.headers or {}
                    found.append(Stored(message.subject or "", headers.get("Nats-Msg-Id", ""), message.data or b""))
            return found

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._program.stop, signal.SIGKILL)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), 5) as connection:
                return connection.recv(5) == b"INFO "
        except OSError:
            return False


class Looker:
    """A client of its own, for what a test looks at."""

    def __init__(self, url: str, login: str = "") -> None:
        self._url = url.replace("://", f"://{login}@") if login else url

    async def __aenter__(self) -> JetStreamContext:
        self._client = await nats.connect(self._url, allow_reconnect=False)
        return self._client.jetstream()

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
