"""The real programs of `.tools/bin`, built by `tools/build`, run on loopback and ended by their own process ids."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

BIN: Final = Path(__file__).resolve().parents[3] / ".tools" / "bin"


def tool(name: str) -> Path:
    """Where a tool is; raises `FileNotFoundError` with the command that builds it."""
    if not (found := installed(name)):
        raise FileNotFoundError(f"{name} is not built. Run `make tools TOOLS={name}`, which puts it into .tools/bin.")
    return found


def installed(name: str) -> Path | None:
    """Our own build, if there is one."""
    return BIN / name if (BIN / name).exists() else None


def schema(name: str) -> Path:
    """A published schema or definitions; raises `FileNotFoundError` with the command that fetches it."""
    for found in (BIN.parent / "schemas").glob(f"{name}.*"):
        return found
    raise FileNotFoundError(f"The schema {name} is not here. Run `make tools TOOLS={name}-schema`.")


class Program:
    """One process, its log, and its end. The same command can be started again."""

    def __init__(self, command: Sequence[str | Path], log: Path, environment: dict[str, str] | None = None) -> None:
        self.command = [str(part) for part in command]
        self.name = Path(self.command[0]).name
        self.log = log
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(self.command, stdout=out, stderr=out, env=self._environment)

    def stop(self, how: signal.Signals = signal.SIGTERM, within: float = 15.0) -> None:
        """Signal it and wait for its end; one that will not go in time is killed. Nothing, if it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def signal(self, which: signal.Signals) -> None:
        """Send a signal that does not end it."""
        assert self._process is not None, f"{self.name} was not started"
        self._process.send_signal(which)

    def wait(self, ready: Callable[[], bool], within: float = 120.0) -> None:
        """Wait until it is ready; raises `RuntimeError` with the end of its log if it ends or takes too long."""
        deadline = time.monotonic() + within
        while not ready():
            if not self.running:
                raise RuntimeError(f"{self.name} ended before it was ready. It said:\n{self.said()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} was not ready within {within:.0f} s. It said:\n{self.said()}")
            time.sleep(0.05)

    def said(self, characters: int = 4000) -> str:
        return self.log.read_text(errors="replace")[-characters:]
