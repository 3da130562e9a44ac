"""A stderr that nobody reads, done to processes: no write to it waits, and if it is read, the last lines come out."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

BEGIN = """
import asyncio, json, os, sys
from batkol.telemetry.stderr import Stderr
stderr = Stderr()
FULL = "x" * 99 + "\\n"
def report(**about): print(json.dumps(about), flush=True)
"""


@contextmanager
def running(code: str, stderr: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", BEGIN + code], stderr=stderr, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """Return the exit code and what was printed; a process that does not end fails by its time."""
    out, _ = process.communicate(timeout=15)
    return process.returncode, out


ON_THE_LOOP = """
async def main():
    for _ in range(5000):
        sys.stderr.write(FULL)
asyncio.run(main())
report(lost=stderr.lost > 1000)
"""


def test_on_an_event_loop_a_write_to_a_full_pipe_is_dropped_and_counted(pipe: tuple[int, int]) -> None:
    with running(ON_THE_LOOP, pipe[1]) as process:
        assert ended(process) == (0, b'{"lost": true}\n')


def test_on_an_event_loop_a_write_to_a_full_socket_is_dropped_and_counted(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    with running(ON_THE_LOOP, sockets[1].fileno()) as process:
        assert ended(process) == (0, b'{"lost": true}\n')


def test_what_is_not_python_does_not_wait_either(pipe: tuple[int, int]) -> None:
    """As gRPC's core: a `write` to descriptor 2, on a thread that may hold a lock the event loop needs."""
    code = """
try:
    while True: os.write(2, FULL.encode())
except BlockingIOError:
    report(waits=False)
"""
    with running(code, pipe[1]) as process:
        assert ended(process) == (0, b'{"waits": false}\n')


def test_another_process_with_the_same_pipe_still_waits_for_room(pipe: tuple[int, int]) -> None:
    with running("report(ready=True)", pipe[1]) as process:
        ended(process)

    assert os.get_blocking(pipe[1])


def test_a_process_ends_though_its_log_is_not_read(pipe: tuple[int, int]) -> None:
    code = """
from batkol.telemetry.logs import LogLimits, Logs
import structlog
limits = LogLimits(closing_s=0.2)
logs = Logs(level="INFO", json=True, stream=stderr.out, lost_elsewhere=lambda: stderr.lost, limits=limits)
for _ in range(2000): structlog.get_logger().info(FULL)
logs.close()
import logging
for _ in range(1000): logging.getLogger("late").error(FULL)  # as a library does after the end
report(done=True)
"""
    with running(code, pipe[1]) as process:
        assert ended(process) == (0, b'{"done": true}\n')


def test_a_crash_is_told_to_the_end_though_its_reader_is_late(pipe: tuple[int, int]) -> None:
    code = """
def deeper(n): return deeper(n - 1) if n else 1 / 0
sys.stderr.write(FULL * 650)
report(full=True)
deeper(3)
"""
    with running(code, pipe[1]) as process:
        assert process.stdout is not None
        process.stdout.readline()
        told = bytearray()

        def read() -> None:
            while not told.endswith(b"division by zero\n"):
                told.extend(os.read(pipe[0], 65_536))

        reading = threading.Thread(target=read, daemon=True)
        reading.start()
        assert ended(process)[0] == 1
        reading.join(10)

    last = told.decode().splitlines()[-1]
    assert last == "ZeroDivisionError: division by zero"
    assert told.count(b"in deeper") == 3  # and "repeated"


def test_a_file_stays_as_it_is(tmp_path: object) -> None:
    code = "import io; report(same=sys.stderr is sys.__stderr__ is stderr.out)"
    with open(f"{tmp_path}/log", "wb") as file, running(code, file.fileno()) as process:  # noqa: PTH123
        assert ended(process) == (0, b'{"same": true}\n')
