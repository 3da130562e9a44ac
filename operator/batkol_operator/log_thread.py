"""The thread that writes the log: a stderr that is not read costs lines, but blocks neither event loop nor exit."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, TextIO

QUEUE: Final = 10_000
"""Lines that may wait to be written."""

CLOSE_TIMEOUT_S: Final = 5.0
"""Seconds that `close` waits for an output that accepts nothing."""

_INTERVAL_S: Final = 0.1
_STDERR: Final = 2

LostLine = Callable[[int], str]
"""A function that makes the line with the number of lost lines."""


class ThreadedHandler(logging.Handler):
    """Formats each line on the thread that logs it, and writes ten times a second on a thread of its own.

    Writes after `start`. Lines that find no room, and lines that the output does not accept, are counted; the count is
    written as a line of its own as soon as the output accepts lines again.
    """

    def __init__(self, stream: TextIO | None, lost: LostLine) -> None:
        super().__init__()
        self._write = _to_stderr if stream is None else stream.write
        self._lost_line = lost
        self._waiting: deque[str] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
        self._lost_reported = 0
        self.lost = 0

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line, or count it if there is no room. Never waits."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  as every handler of the standard library
            self.handleError(record)
            return
        if len(self._waiting) < QUEUE:
            self._waiting.append(line)
        else:
            self.lost += 1

    def close(self) -> None:
        """Write the lines that wait, for at most `CLOSE_TIMEOUT_S`."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_TIMEOUT_S)
        super().close()

    def _run(self) -> None:
        while not self._stop.wait(_INTERVAL_S):
            self._write_all()
        self._write_all()

    def _write_all(self) -> None:
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        count, lost = len(lines), self.lost
        if lost > self._lost_reported:
            lines.append(self._lost_line(lost - self._lost_reported))
        if not lines:
            return
        try:
            self._write("".join(f"{line}\n" for line in lines))
        except (OSError, ValueError):  # a full disk, a pipe whose reader is gone, a file that was closed
            self.lost += count
        else:
            self._lost_reported = lost


def _to_stderr(text: str) -> None:
    """Write all of it, past the buffer of `sys.stderr`, whose lock the end of the interpreter would wait for."""
    data = memoryview(text.encode("utf-8", "backslashreplace"))
    while data:
        data = data[os.write(_STDERR, data) :]
