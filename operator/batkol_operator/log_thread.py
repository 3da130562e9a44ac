"""The thread that writes the log: a stderr that nobody reads costs lines, and neither the loop nor the end waits."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, TextIO

QUEUE: Final = 10_000
"""Lines that may wait."""

PATIENCE_S: Final = 5.0
"""How long `close` waits for an output that takes nothing."""

_INTERVAL_S: Final = 0.1
_STDERR: Final = 2

Lost = Callable[[int], str]
"""Makes the line that says how many lines were lost."""


class ThreadedHandler(logging.Handler):
    """Formats where the line is logged, and writes ten times a second on a thread of its own.

    Begins to write with `start`. What there is no room for, and what the output does not take, is counted and said in
    a line of its own as soon as the output takes lines again.
    """

    def __init__(self, stream: TextIO | None, lost: Lost) -> None:
        super().__init__()
        self._write = _to_stderr if stream is None else stream.write
        self._lost_line = lost
        self._waiting: deque[str] = deque()
        self._told = threading.Event()
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
        self._said = 0
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
        """Write what waits, for at most `PATIENCE_S`."""
        self._told.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE_S)
        super().close()

    def _run(self) -> None:
        while not self._told.wait(_INTERVAL_S):
            self._write_all()
        self._write_all()

    def _write_all(self) -> None:
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        count, lost = len(lines), self.lost
        if lost > self._said:
            lines.append(self._lost_line(lost - self._said))
        if not lines:
            return
        try:
            self._write("".join(f"{line}\n" for line in lines))
        except (OSError, ValueError):  # a full disk, a pipe whose reader is gone, a file that was closed
            self.lost += count
        else:
            self._said = lost


def _to_stderr(text: str) -> None:
    """Write all of it, past the buffer of `sys.stderr`, whose lock the end of the interpreter would wait for."""
    data = memoryview(text.encode("utf-8", "backslashreplace"))
    while data:
        data = data[os.write(_STDERR, data) :]
