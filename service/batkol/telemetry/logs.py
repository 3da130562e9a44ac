"""Structured logs: JSON in production, readable in a terminal, and never a disk in the way of the audio.

Where something happens a line costs one append. A thread of its own renders and writes what has come, ten times a
second, so a slow reader of stderr costs log lines, which are counted and reported, and never a call. Callers' words
are in a line only with LOG_TRANSCRIPTS.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TextIO

import msgspec
import structlog
from structlog.typing import EventDict

from batkol.supervision.threads import Thread
from batkol.telemetry.correlation import current_ids
from batkol.terminal_text import isolated_behind_label
from batkol.urls import masked_in

_INTERVAL_S: Final = 0.1
_QUIET: Final = (
    *("uvicorn", "uvicorn.error", "uvicorn.access", "watchfiles"),
    *("httpx", "httpx2", "faster_whisper"),  # a line a request; httpx's have the URL
    "alembic",  # seven lines a start about its own parts
    *("httpcore", "httpcore2"),  # at DEBUG, several a request
)


Rendering = Callable[[Sequence[EventDict]], str]
"""Makes lines, each with its end. A line's `timestamp` is a `datetime`."""


class LogLimits(NamedTuple):
    """Limits of the writer: of what it keeps, and of the time to close it."""

    lines: int = 10_000
    """Lines that may wait for the writer."""
    closing_s: float = 5.0
    """Seconds for which closing waits for an output that accepts nothing."""


LIMITS: Final = LogLimits()


class LogWriter:
    """Renders and writes lines in a thread. An output that stays blocked does not keep the process from ending.

    Neither a line that cannot be rendered nor an output that fails ends it: there would be no logs any more, and no
    log line about that. `batkol.supervision.threads.watch` starts the thread again if it ends all the same.
    """

    def __init__(
        self,
        out: TextIO,
        rendering: Rendering,
        lost_elsewhere: Callable[[], int] = lambda: 0,
        limits: LogLimits = LIMITS,
    ) -> None:
        """`lost_elsewhere`: lines that were written past this, and that the output did not take."""
        self._thread = Thread(self._run, "logs")
        self._lost_elsewhere = lost_elsewhere
        self._limits = limits
        self._logged = 0  # of the lines that were lost
        self._out = out
        self._rendering = rendering
        self._waiting: deque[EventDict] = deque()
        self._stopping = threading.Event()
        self._refused = 0  # by `take`
        self._unwritten = 0  # by the thread

    @property
    def dropped(self) -> int:
        """Lines there was no room for, and lines that the output did not take."""
        return self._refused + self._unwritten + self._lost_elsewhere()

    def offer(self, event: EventDict) -> None:
        """Queue a line, or count it if there is no room. Never waits."""
        if len(self._waiting) < self._limits.lines:
            self._waiting.append(event)
        else:
            self._refused += 1

    @property
    def alive(self) -> bool:
        """Whether the thread is there."""
        return self._thread.alive

    @property
    def fault(self) -> str:
        """See `batkol.supervision.threads.Revivable`."""
        return self._thread.fault

    @property
    def dead(self) -> bool:
        """See `batkol.supervision.threads.Revivable`."""
        return not self._stopping.is_set() and not self._thread.alive

    def revive(self) -> None:
        """See `batkol.supervision.threads.Revivable`."""
        self.start()

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(_INTERVAL_S):
            self._write()
        self._write()

    def close(self) -> None:
        """Write what waits, for at most `closing_s`."""
        self._stopping.set()
        self._thread.join(self._limits.closing_s)

    def _write(self) -> None:
        events = [self._waiting.popleft() for _ in range(len(self._waiting))]
        count, lost = len(events), self.dropped
        if lost > self._logged:
            events.append(_lost(lost - self._logged))
        if not events:
            return
        written = False
        try:
            written = self._written(events)
        finally:
            if written:
                self._logged = lost
            else:
                self._unwritten += count

    def _written(self, events: Sequence[EventDict]) -> bool:
        """Write lines; false if the output takes none."""
        for event in events:
            event["timestamp"] = datetime.fromtimestamp(event["timestamp"], UTC)
        try:
            text = self._rendering(events)
        except Exception:  # noqa: BLE001 -- whatever it is about one of them, the others are to be read
            text = "".join(map(self._alone, events))
        try:
            self._out.write(masked_in(text))
            self._out.flush()
        except (OSError, ValueError):  # a full disk, a pipe without a reader, a file that was closed
            return False
        return True

    def _alone(self, event: EventDict) -> str:
        try:
            return self._rendering([event])
        except Exception as error:  # noqa: BLE001 -- as above; the line that is written instead says so
            known = {key: event[key] for key in ("timestamp", "level")}
            return self._rendering([{**known, "event": ascii(event.get("event")), "unreadable": type(error).__name__}])


def _lost(lines: int) -> EventDict:
    return {
        "event": "[LOG] lines were lost: stderr was not read, or its disk or pipe took nothing",
        "level": "warning",
        "timestamp": time.time(),
        "lines_lost": lines,
    }


class _Foreign(logging.Handler):
    """Brings the standard library's records to the same writer."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        event: EventDict = {
            "event": record.getMessage(),
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": record.created,
        }
        if record.exc_info:
            event["exc_info"] = record.exc_info
        self._writer.offer(event)


class Logs:
    """The logging of one process; `close` writes what waits."""

    def __init__(
        self,
        *,
        level: str,
        json: bool,
        stream: TextIO | None = None,
        lost_elsewhere: Callable[[], int] = lambda: 0,
        limits: LogLimits = LIMITS,
    ) -> None:
        self.writer = writer = LogWriter(stream or sys.stderr, _rendering(json=json), lost_elsewhere, limits)
        root = logging.getLogger()
        self._before = (root.handlers[:], root.level)
        root.handlers[:] = [_Foreign(writer)]
        root.setLevel(level)
        self._structlog_before = structlog.get_config() if structlog.is_configured() else None
        for name in _QUIET:
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.WARNING)

        def hand_over(_logger: Any, method: str, event: EventDict) -> EventDict:
            event["level"] = "error" if method == "exception" else method
            event["timestamp"] = time.time()
            if "trace_id" not in event:
                event.update(current_ids())
            if event.get("exc_info") is True:
                event["exc_info"] = sys.exc_info()  # the thread that writes has none
            writer.offer(event)
            raise structlog.DropEvent

        structlog.configure(
            processors=[hand_over],
            logger_factory=structlog.ReturnLoggerFactory(),
            wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
            cache_logger_on_first_use=False,
        )
        writer.start()

    @property
    def dropped(self) -> int:
        """Lines there was no room for."""
        return self.writer.dropped

    def close(self) -> None:
        """Write what waits and put the logging back as it was."""
        self.writer.close()
        root = logging.getLogger()
        root.handlers[:], level = self._before
        root.setLevel(level)
        structlog.reset_defaults()
        if self._structlog_before is not None:
            structlog.configure(**self._structlog_before)


def _rendering(*, json: bool) -> Rendering:
    return _json() if json else _console()


def _json() -> Rendering:
    # No trace shows variables: callers' words and numbers are in them.
    exceptions = structlog.processors.ExceptionRenderer(
        structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    )
    encoder = msgspec.json.Encoder(enc_hook=repr)

    def rendered(events: Sequence[EventDict]) -> str:
        for event in events:
            if "exc_info" in event:
                exceptions(None, event["level"], event)
        return encoder.encode_lines(events).decode()

    return rendered


def _console() -> Rendering:
    plain = structlog.dev.plain_traceback
    renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)

    def rendered(events: Sequence[EventDict]) -> str:
        return "".join(f"{renderer(None, event['level'], _readable(event))}\n" for event in events)

    return rendered


def _readable(event: EventDict) -> EventDict:
    """Return a line for a person: its time as text, and words of callers and agents in their own direction."""
    at = event["timestamp"].isoformat().replace("+00:00", "Z")
    return {**event, "timestamp": at, "event": isolated_behind_label(str(event.get("event", "")))}
