"""Processes of the service without the seconds that its imports take: forked from one that has imported them.

Each is a process of its own, with its own environment, descriptors, signals and end. What reads the environment while
it is imported (gRPC, OpenTelemetry) must be started cold, and so must what a test of the start itself is about.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_SERVER: Final = Path(__file__).with_name("fork_server.py")
_IMPORTED: Final = (
    "batkol.main",
    "batkol.app.build",
    "batkol.telemetry.stderr",
    "batkol.store.commands",
    "batkol.simulators.google.server",
    "lightkube.generic_resource",
)
_READ_AT_IMPORT: Final = ("GRPC_", "OTEL_", "PYTHON")


class ForkedProcess:
    """A forked process, as `asyncio.subprocess.Process` shows one."""

    def __init__(self, pid: int, told: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._waiting = asyncio.create_task(self._wait(told), name="forked.wait")

    async def wait(self) -> int:
        """Wait for its end; returns the exit code, or the signal's number below zero. Cancelling it loses nothing."""
        return await asyncio.shield(self._waiting)

    def send_signal(self, name: signal.Signals) -> None:
        """Raises `ProcessLookupError` when it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, name)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def _wait(self, told: socket.socket) -> int:
        with told:
            code = await asyncio.get_running_loop().sock_recv(told, 64)
        self.returncode = int(code)
        return self.returncode


_FORKING: Final[list[subprocess.Popen[bytes]]] = []
"""The process that forks. It is kept here, too: a worker that forgets it would report it as left behind."""


def can_be_forked(environment: Mapping[str, str]) -> bool:
    """Whether no variable is read before a forked process has it."""
    return not any(name.startswith(_READ_AT_IMPORT) for name in environment)


async def start(code: str, environment: Mapping[str, str], stderr: int = 2, *, stdout: int = 1) -> ForkedProcess:
    """Run Python code in a process that has imported the service. The descriptors stay the caller's to close."""
    told, telling = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    told.setblocking(False)
    with telling:
        message = json.dumps({**environment, "": code}).encode()
        socket.send_fds(_control(), [message], [telling.fileno(), 0, stdout, stderr])
    pid = await asyncio.get_running_loop().sock_recv(told, 64)
    return ForkedProcess(int(pid), told)


def prepare() -> None:
    """Start the one that forks, for this process and for those that are forked from it."""
    _control()


@functools.cache
def _control() -> socket.socket:
    """Start the one that forks, for as long as this process lives."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    inherited = {name: value for name, value in os.environ.items() if can_be_forked({name: ""})}
    inherited["OPENBLAS_NUM_THREADS"] = "1"  # one thread forks
    with theirs:
        process = subprocess.Popen(
            [sys.executable, str(_SERVER), str(theirs.fileno()), *_IMPORTED],
            pass_fds=(theirs.fileno(),),
            env=inherited,
        )

    _FORKING.append(process)

    def end() -> None:
        ours.close()
        process.wait(20)

    atexit.register(end)
    return ours
