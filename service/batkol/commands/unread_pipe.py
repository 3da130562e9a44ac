"""The stdout of a command for people, when it is a pipe whose reader may stop reading.

A write to a full pipe waits for its reader, on the thread of the event loop: the handlers of signals would
wait too, and the command would never end. Here such a write ends at a signal, as if the reader had left. A reader who
only pauses, a pager for example, loses nothing. A signal in the instant before the write waits with it; the next one
does not.
"""

from __future__ import annotations

import io
import os
import select
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from batkol.interrupt import ending

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_LOOK_S: Final = 0.2


def guard_stdout() -> None:
    """Have writes to stdout end at a signal, if it is a pipe. A terminal and a file stay as they are."""
    out = sys.__stdout__
    if out is None or sys.stdout is not out or not _is_pipe(out.fileno()):
        return
    out.flush()
    way = io.BufferedWriter(_UnreadPipe(out.fileno()))
    sys.stdout = io.TextIOWrapper(way, out.encoding, out.errors, line_buffering=True)


def _is_pipe(fd: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(fd).st_mode)
    except OSError:  # it is closed
        return False


class _UnreadPipe(io.RawIOBase):
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write what there is room for. Raises `BrokenPipeError` if the reader has left, or at a signal."""
        if not self._has_room(0):
            self._wait()
        return os.write(self._fd, memoryview(data)[: select.PIPE_BUF])  # a pipe with room has room for so much

    def _wait(self) -> None:
        with _signals() as signalled:
            while not self._has_room(_LOOK_S):
                if signalled:
                    raise BrokenPipeError("the reader of stdout does not read")
        for number in signalled:  # there is room all the same: the signal is for the command
            signal.raise_signal(number)

    def _has_room(self, timeout_s: float) -> bool:
        return bool(select.select([], [self._fd], [], timeout_s)[1])


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Yield the numbers of the signals that come, in place of the handlers that wait for the event loop."""
    signalled: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield signalled
        return
    former = {each: signal.signal(each, lambda number, _: signalled.append(number)) for each in ending()}
    try:
        yield signalled
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)
