"""The process's stderr, when it is a pipe or a socket whose reader may stop reading.

A write to a full pipe waits, and many write to stderr: gRPC's core on whichever thread it runs, the interpreter's
tracebacks, warnings, libraries after the logging has ended. One such write on the event loop ends every call, and on
the main thread it keeps the process from ending. So descriptor 2 becomes one that does not wait: what its reader does
not take is dropped. Our own lines go through a duplicate that waits, which only the thread of the logs writes to.

A terminal and a file stay as they are. Of a socket only what Python writes does not wait: a socket cannot be opened a
second time, and `O_NONBLOCK` on the first one would hold for every process that has it.
"""

from __future__ import annotations

import asyncio
import io
import os
import select
import socket
import stat
import sys
from collections.abc import Callable
from typing import Final, TextIO, cast

PATIENCE_S: Final = 1.0
"""Seconds that a write waits where no event loop runs: a traceback at the end is worth it. Once, until one succeeds."""

_STDERR: Final = 2

Write = Callable[[memoryview], int]
"""Writes what there is room for. Raises `BlockingIOError` if there is none."""


class Stderr:
    """The writer of stderr; one per process, made before anything is written. It stays until the process ends."""

    def __init__(self) -> None:
        self.out: TextIO = sys.stderr
        """For the thread that writes the log: it waits for the reader."""
        self._ways: list[_NeverWaits] = []
        if sys.stderr is not sys.__stderr__ or not _may_stop_being_read(_STDERR):  # another's, or one that is read
            return
        kept = os.dup(_STDERR)
        way = _NeverWaits(_dropping(kept))
        sys.stderr = io.TextIOWrapper(way, "utf-8", "backslashreplace", line_buffering=True, write_through=True)
        self.out = cast("TextIO", _Waits(kept))
        self._ways.append(way)

    @property
    def lost(self) -> int:
        """Lines that Python wrote past the log, and that were dropped."""
        return sum(way.lost for way in self._ways)


def _may_stop_being_read(fd: int) -> bool:
    try:
        mode = os.fstat(fd).st_mode
    except OSError:  # it is closed
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _dropping(kept: int) -> Write:
    """Have descriptor 2 drop what is not taken, and return what writes to it."""
    if stat.S_ISSOCK(os.fstat(kept).st_mode):
        out = socket.socket(fileno=os.dup(kept))
        return lambda data: out.send(data, socket.MSG_DONTWAIT)
    try:
        own = os.open(f"/proc/self/fd/{kept}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # no /proc, or a pipe that another user made: what C code writes waits, as it always did
        return lambda data: _written_if_room(kept, data)
    os.dup2(own, _STDERR)
    os.close(own)
    return lambda data: os.write(_STDERR, data)


def _written_if_room(fd: int, data: memoryview) -> int:
    """A pipe that is ready has room for `PIPE_BUF` bytes (pipe(7)), but for a race with another writer."""
    if not _ready(fd, 0.0):
        raise BlockingIOError
    return os.write(fd, data[: select.PIPE_BUF])


def _ready(fd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))


class _NeverWaits(io.RawIOBase):
    """The stream behind `sys.stderr`. It raises nothing: its writers have no other place for an error."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._patient = True
        self.lost = 0

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return _STDERR

    def write(self, data: bytes) -> int:  # type: ignore[override]  # any buffer, as of every raw stream
        """Write what is taken, and count the rest as lost."""
        unwritten = memoryview(data)
        while unwritten:
            try:
                unwritten = unwritten[self._write(unwritten) :]
                self._patient = True
            except BlockingIOError:
                if not self._waited():
                    break
            except OSError:  # the other end has no reader any more
                break
        if unwritten:
            self.lost += max(1, bytes(unwritten).count(b"\n"))
        return len(data)

    def _waited(self) -> bool:
        """Wait for room where that stops no event loop, and return whether there is some."""
        if self._patient and asyncio._get_running_loop() is None:  # noqa: SLF001  its documented name
            self._patient = _ready(_STDERR, PATIENCE_S)
            return self._patient
        return False


class _Waits(io.TextIOBase):
    """Writes all of it, however long that takes; without a lock that the end of the interpreter could wait for."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, text: str) -> int:
        """Write to the end. Raises `OSError` when the other end has no reader any more."""
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        while data:
            data = data[os.write(self._fd, data) :]
        return len(text)
