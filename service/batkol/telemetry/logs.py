"""Structured logs: JSON in production, readable in a terminal, and never a disk in the way of the audio.

A line is made where something happens and written by a thread of its own, from a bounded queue: a slow reader of
stdout costs log lines, which are counted, and never a call. What callers say is in a line only with LOG_TRANSCRIPTS.
"""

from __future__ import annotations

import logging
import queue
import sys
from contextlib import suppress
from logging.handlers import QueueHandler, QueueListener
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor

QUEUE: Final = 10_000
"""Lines that may wait for the writer."""

PATIENCE_S: Final = 5.0
"""How long closing waits for an output that takes nothing."""


class _Dropping(QueueHandler):
    """Counts the lines it has no room for."""

    def __init__(self, waiting: queue.Queue[Any]) -> None:
        super().__init__(waiting)
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # the listener is in this process: nothing needs pickling

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class _Writer(QueueListener):
    """The thread that writes. An output that stays blocked does not keep the process from ending."""

    def __init__(self, waiting: queue.Queue[Any], out: logging.Handler) -> None:
        super().__init__(waiting, out)
        self._waiting = waiting

    def stop(self) -> None:
        with suppress(queue.Full):
            self._waiting.put(None, timeout=PATIENCE_S)  # the listener's own sign to end
            if self._thread is not None:
                self._thread.join(PATIENCE_S)
        self._thread = None


class Logs:
    """The logging of one process; `close` writes what waits."""

    def __init__(self, *, level: str, json: bool, stream: TextIO | None = None) -> None:
        out = logging.StreamHandler(stream or sys.stderr)
        out.setFormatter(_formatter(json=json))
        waiting: queue.Queue[logging.LogRecord | None] = queue.Queue(QUEUE)
        self._handler = _Dropping(waiting)
        self._writer = _Writer(waiting, out)
        root = logging.getLogger()
        self._before = (root.handlers[:], root.level)
        root.handlers[:] = [self._handler]
        root.setLevel(level)
        self._structlog_before = structlog.get_config() if structlog.is_configured() else None
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
        self._writer.start()

    @property
    def dropped(self) -> int:
        """Lines there was no room for."""
        return self._handler.dropped

    def close(self) -> None:
        """Write what waits and put the logging back as it was."""
        self._writer.stop()
        root = logging.getLogger()
        root.handlers[:], level = self._before
        root.setLevel(level)
        structlog.reset_defaults()
        if self._structlog_before is not None:
            structlog.configure(**self._structlog_before)


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _caught,
    ]


def _caught(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Take hold of the exception here: the thread that writes has none."""
    if event.get("exc_info") is True:
        event["exc_info"] = sys.exc_info()
    return event


def _formatter(*, json: bool) -> logging.Formatter:
    # No trace shows variables: what callers say, and who they are, is in them.
    renderer: Processor
    if json:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
        bare = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        errors: list[Processor] = [structlog.processors.ExceptionRenderer(bare)]
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        errors = []
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *errors, renderer],
    )
