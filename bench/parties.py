"""The processes of one case: recognizer, server, load. Each is started on its core and ended by its own id."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec

from cases import HERE, Case
from double import StreamLog
from load import Plan, Result
from measured import Histogram

SERVER_CORE: Final = 0
LOAD_CORE: Final = 1
_START_S: Final = 60.0
_LIVE: Final = HERE.parent / "config" / "live"


def keep_to_load_core() -> None:
    """Leave the server its core, from now on; ends the program where there is one core alone."""
    if (os.cpu_count() or 1) < 2:
        sys.exit("The benchmark needs two cores: one for the server under test, one for everything else.")
    os.sched_setaffinity(0, {LOAD_CORE})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Party(ABC):
    """One process. Leaving it sends SIGTERM, and SIGKILL to one that does not go."""

    core: int | None = None

    def __init__(self, name: str, folder: Path) -> None:
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("not started")
        return self._process.pid

    def spawn(self, command: list[str], environment: Mapping[str, str]) -> None:
        mine = os.sched_getaffinity(0)
        with self._log.open("wb") as log:
            if self.core is not None:
                os.sched_setaffinity(0, {self.core})  # the child inherits it, before it has a thread
            try:
                self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self._log.parent)
            finally:
                os.sched_setaffinity(0, mine)

    async def listening(self, port: int) -> None:
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            if self._process is None or self._process.poll() is not None:
                break
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                return
        raise SystemExit(f"{self._log.stem} did not start:\n{self._log.read_text()[-2000:]}")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @abstractmethod
    async def start(self) -> None:
        """Start the server; return when it listens."""


class Double(Party):
    """The recognizer."""

    def __init__(self, folder: Path) -> None:
        super().__init__("double", folder)
        self._out = folder / "double.json"
        self._port = free_port()
        self.endpoint = f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        command = [sys.executable, str(HERE / "double.py"), "--port", str(self._port), "--out", str(self._out)]
        self.spawn(command, dict(os.environ))
        await self.listening(self._port)

    def logs(self) -> list[StreamLog]:
        """The load's result; it exists once the load has ended."""
        return msgspec.json.decode(self._out.read_bytes(), type=list[StreamLog])


class Sink(Party):
    """An OTLP receiver that reads nothing."""

    def __init__(self, folder: Path) -> None:
        super().__init__("sink", folder)
        self._port = free_port()
        self.endpoint = f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        self.spawn([sys.executable, str(HERE / "sink.py"), "--port", str(self._port)], dict(os.environ))
        await self.listening(self._port)


class Server(Party):
    """The server under test, alone on its core."""

    core: int | None = SERVER_CORE

    def __init__(self, case: Case, endpoint: str, folder: Path, sink: str = "") -> None:
        super().__init__("server", folder)
        self._case = case
        self._endpoint = endpoint
        self._sink = sink
        self._live = folder / "live"
        self._port = free_port()
        self.internal_port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._internal = f"http://127.0.0.1:{self.internal_port}"

    async def start(self) -> None:
        command = [part.format(port=self._port, endpoint=self._endpoint) for part in self._case.command]
        environment = {name: value for name, value in os.environ.items() if name.startswith(("PATH", "HOME", "LANG"))}
        if "BENCH_SERVICE" in os.environ:
            environment["PYTHONPATH"] = os.environ["BENCH_SERVICE"]
        if self._case.kind == "batkol":
            shutil.copytree(_LIVE, self._live, dirs_exist_ok=True)
            environment |= self._settings()
        if self._case.traced:
            environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = self._sink
        self.spawn(command, environment)
        await self.listening(self._port)
        await asyncio.sleep(1)

    def _settings(self) -> dict[str, str]:
        """Production's, but for who is called and who signs."""
        return {
            "PUBLIC_BASE_URL": self.url,
            "TWILIO_VALIDATE_SIGNATURES": "false",
            "HOST": "127.0.0.1",
            "PORT": str(self._port),
            "INTERNAL_PORT": str(self.internal_port),
            "GCP_STT_ENDPOINT": self._endpoint,
            "GCP_STT_INSECURE": "true",
            "LIVE_SOURCE": f"file:{self._live}",
            "FLAGS_PROVIDER": "live",
            "VAD": "silero",
            "STORE": "postgres" if self._case.stores else "none",
            "LOG_FORMAT": "json",
            "LOG_TRANSCRIPTS": "false",
            "MAX_CALLS": "200",
        }

    async def written(self) -> Histogram | None:
        """The service's own histogram of last byte received to written."""
        if self._case.kind != "batkol":
            return None
        async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
            return Histogram.read((await http.get(f"{self._internal}/metrics")).text)

    async def report(self) -> Mapping[str, Any]:
        """The words that a peer reports."""
        if self._case.kind in ("batkol", "floor"):
            return {}
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            told: Mapping[str, Any] = (await http.get(f"{self.url}/report")).json()
            return told

    async def change_live(self) -> dict[str, float]:
        """Change the tuning, three times, and the flag, off and on; return the worst time to effect, in seconds."""
        async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
            tuning = [await self._retune(http, milliseconds) for milliseconds in (200, 100, 150)]
            flags = [await self._flip(http, variant) for variant in ("off", "on")]
        return {"tuning": max(tuning), "flag": max(flags)}

    async def _retune(self, http: httpx.AsyncClient, batch_ms: int) -> float:
        path = self._live / "tuning.json"
        document = json.loads(path.read_text())
        document["recognition"]["batchMilliseconds"] = batch_ms
        return await self._write(http, path, document, lambda status: status["tuning"]["batch_ms"] == batch_ms)

    async def _flip(self, http: httpx.AsyncClient, variant: str) -> float:
        path = self._live / "flags.json"
        document = json.loads(path.read_text())
        before = (await self._status(http))["live"]["flags_revision"]
        document["flags"]["streaming-stt"]["defaultVariant"] = variant
        return await self._write(http, path, document, lambda status: status["live"]["flags_revision"] != before)

    async def _write(self, http: httpx.AsyncClient, path: Path, document: Any, in_effect: Any) -> float:
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(document))
        began = time.monotonic()
        fresh.replace(path)
        while not in_effect(await self._status(http)):
            if time.monotonic() - began > 10:
                return float("inf")
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def _status(self, http: httpx.AsyncClient) -> Any:
        return (await http.get(f"{self._internal}/v1/status")).json()


class Load:
    """The callers."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._process: asyncio.subprocess.Process | None = None
        self.pid = 0

    async def __aenter__(self) -> Self:
        plan = msgspec.json.encode(self._plan).decode()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / "load.py"), plan, stdout=asyncio.subprocess.PIPE
        )
        self.pid = self._process.pid
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            if self._process.returncode is None and error is not None:
                self._process.kill()
            await self._process.wait()

    async def says(self, word: str) -> None:
        """Wait until the load says so."""
        if self._process is None or self._process.stdout is None:
            raise RuntimeError("not started")
        limit = self._plan.ramp_s + self._plan.warm_s + self._plan.seconds + self._plan.after_s + 90
        line = await asyncio.wait_for(self._process.stdout.readline(), limit)
        if line.decode().strip() != word:
            raise SystemExit("the load ended early; what it said is above")

    def result(self) -> Result:
        return msgspec.json.decode(Path(self._plan.out).read_bytes(), type=Result)
