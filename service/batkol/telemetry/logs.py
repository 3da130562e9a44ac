"""Structured logs: JSON in production, readable in a terminal, and never a disk in the way of the audio.

A line is made where something happens and written by a thread of its own, from a bounded queue: a slow reader of
stdout costs log lines, which are counted, and never a call. What callers say is in a line only with LOG_TRANSCRIPTS.
"""

from __future__ import annotations

import logging
import queue
import sys
from logging.handlers import QueueHandler, QueueListener
from typing import Final, TextIO

import structlog
from structlog.typing import Processor

QUEUE: Final = 10_000
"""Lines that may wait for the writer."""


class _Dropping(QueueHandler):
    """Counts the lines it has no room for."""

    dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # the listener is in this process: nothing needs pickling

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            type(self).dropped += 1


class Logs:
    """The logging of one process; `close` writes what waits."""

    def __init__(self, *, level: str, json: bool, stream: TextIO | None = None) -> None:
        out = logging.StreamHandler(stream or sys.stderr)
        out.setFormatter(_formatter(json=json))
        waiting: queue.Queue[logging.LogRecord] = queue.Queue(QUEUE)
        self._handler = _Dropping(waiting)
        self._listener = QueueListener(waiting, out)
        root = logging.getLogger()
        self._before = (root.handlers[:], root.level)
        root.handlers[:] = [self._handler]
        root.setLevel(level)
        for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx", "watchfiles"):
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.WARNING)
        structlog.configure(
            processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
            cache_logger_on_first_use=False,
        )
        self._listener.start()

    @property
    def dropped(self) -> int:
        """Lines there was no room for."""
        return _Dropping.dropped

    def close(self) -> None:
        """Write what waits and put the logging back as it was."""
        self._listener.stop()
        root = logging.getLogger()
        root.handlers[:], level = self._before
        root.setLevel(level)


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _formatter(*, json: bool) -> logging.Formatter:
    renderer: Processor
    if json:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
        errors: list[Processor] = [structlog.processors.dict_tracebacks]
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        errors = []
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *errors, renderer],
    )
