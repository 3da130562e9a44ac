"""The processes of a soak: the service as it is deployed, and the strict double. Each is ended by its own id."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec

from batkol.simulators.google.stats import StreamRecord

PUBLIC_URL: Final = "https://voice.example.test"
_LIVE: Final = Path(__file__).parents[2] / "config" / "live"
_START_S: Final = 60.0
_LEAVE_S: Final = 20.0


class Party(ABC):
    """One process, its output in a file. Leaving it sends SIGTERM, and SIGKILL to one that does not go."""

    name: str

    def __init__(self, folder: Path) -> None:
        self._log = folder / f"{self.name}.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("not started")
        return self._process.pid

    async def spawn(self, arguments: Sequence[str], settings: Mapping[str, str], listening: str) -> re.Match[str]:
        """Start it and wait for the line that says where it listens; returns its match."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "batkol", *arguments),
                stdout=log,
                stderr=log,
                env={**kept, **settings},
                cwd=self._log.parent,
            )
        async with asyncio.timeout(_START_S):
            while (found := re.search(listening, self._log.read_text())) is None:
                if self._process.returncode is not None:
                    raise RuntimeError(f"the {self.name} did not start: {self._log.read_text()[-2000:]}")
                await asyncio.sleep(0.1)
        return found

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    @abstractmethod
    async def start(self) -> None:
        """Start it and learn where it listens."""

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(_LEAVE_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


class Double(Party):
    """The strict double, whose streams live `limit_s`."""

    name = "double"

    def __init__(self, folder: Path, limit_s: float) -> None:
        super().__init__(folder)
        self._limit_s = limit_s
        self.endpoint = ""
        self._control = ""

    async def start(self) -> None:
        limit = ("--set", f"stream_limit_s={self._limit_s}")
        arguments = ("speech-double", "--port", "0", "--control-port", "0", *limit)
        found = await self.spawn(arguments, {}, r"gRPC on (\S+), control on (\S+)\n")
        self.endpoint, self._control = found.groups()

    async def forget(self) -> None:
        """Begin the records anew."""
        async with httpx.AsyncClient(base_url=self._control, trust_env=False) as http:
            (await http.post("/reset")).raise_for_status()

    async def records(self) -> tuple[list[StreamRecord], int]:
        """Return the streams it saw, and the number of single requests."""
        async with httpx.AsyncClient(base_url=self._control, trust_env=False, timeout=30) as http:
            stats = (await http.get("/stats")).raise_for_status().json()
        return msgspec.convert(stats["streams"], list[StreamRecord]), int(stats["unary_calls"])


class Served(Party):
    """`batkol serve` with production's settings, but for who is called, who signs and what a soak scales down."""

    name = "service"

    def __init__(self, folder: Path, endpoint: str, settings: Mapping[str, str]) -> None:
        super().__init__(folder)
        self._live = folder / "live"
        self._settings = {
            "PUBLIC_BASE_URL": PUBLIC_URL,
            "TWILIO_VALIDATE_SIGNATURES": "false",
            "HOST": "127.0.0.1",
            "PORT": "0",
            "INTERNAL_PORT": "0",
            "GCP_STT_ENDPOINT": endpoint,
            "GCP_STT_INSECURE": "true",
            "LIVE_SOURCE": f"file:{self._live}",
            "FLAGS_PROVIDER": "live",
            "VAD": "silero",
            "STORE": "none",
            "LOG_FORMAT": "json",
            "LOG_TRANSCRIPTS": "false",
            "DRAIN_TIMEOUT_S": "5",
            **settings,
        }
        self.url = ""
        self.internal = ""

    async def start(self) -> None:
        shutil.copytree(_LIVE, self._live, dirs_exist_ok=True)
        found = await self.spawn(("serve",), self._settings, r'"port":(\d+),"internal_port":(\d+)')
        self.url, self.internal = (f"http://127.0.0.1:{port}" for port in found.groups())

    def complaints(self) -> Counter[tuple[str, str]]:
        """Count what it logged above INFO, by level and text."""
        lines: list[dict[str, Any]] = [
            json.loads(line) for line in self._log.read_text().splitlines() if line[:1] == "{"
        ]
        return Counter(
            (str(line.get("level")), str(line.get("event")))
            for line in lines
            if line.get("level") not in ("info", "debug")
        )
