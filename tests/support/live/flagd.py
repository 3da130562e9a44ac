"""A real flagd on loopback with one file as its source: started, killed, started again on the same ports."""

from __future__ import annotations

import asyncio
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from support.network.ports import free_ports
from support.process.programs import Program, tool


class Flagd:
    """One flagd. An async context manager that does not start it: `start` does, so that it can be absent at first."""

    def __init__(self, folder: Path, definitions: str) -> None:
        """Raises `FileNotFoundError` where there is no flagd. `folder` holds `flags.json` and the log."""
        self.source = folder / "flags.json"
        self.write(definitions)
        self.sync_port, evaluation, self._management, self._ofrep = free_ports(4)
        self._program = Program(
            [
                tool("flagd"),
                "start",
                f"--uri=file:{self.source}",
                f"--sync-port={self.sync_port}",
                f"--port={evaluation}",
                f"--management-port={self._management}",
                f"--ofrep-port={self._ofrep}",
            ],
            folder / "flagd.log",
        )

    @property
    def environment(self) -> dict[str, str]:
        """What a service needs to find it."""
        return {"FLAGD_HOST": "127.0.0.1", "FLAGD_SYNC_PORT": str(self.sync_port)}

    def write(self, definitions: str) -> None:
        """Write in place: flagd loses sight of a file that is removed and put back (open-feature/flagd#1876)."""
        self.source.write_text(definitions)

    @property
    def evaluations(self) -> str:
        """Where it evaluates flags itself, over HTTP (https://openfeature.dev/docs/reference/other-technologies/ofrep)."""
        return f"http://127.0.0.1:{self._ofrep}/ofrep/v1/evaluate/flags"

    def said(self) -> str:
        return self._program.said()

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        await asyncio.to_thread(self._program.start)
        await asyncio.to_thread(self._program.wait, self._ready)

    async def kill(self) -> None:
        """SIGKILL: no goodbye to those who listen."""
        await asyncio.to_thread(self._program.stop, signal.SIGKILL)

    async def restart(self) -> None:
        """In good order, with SIGTERM."""
        await asyncio.to_thread(self._program.stop)
        await self.start()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._program.stop)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._management}/readyz", timeout=5) as answer:  # loopback
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False
