"""Structured logs: JSON in production, readable in a terminal. kopf's lines come the same way.

No line holds a spec, a flag, a token or an exception's text about one: names, reasons and counts only.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor

from batkol_operator.log_thread import LostLine, ThreadedHandler
from batkol_operator.settings import OperatorLogFormat

_QUIET: Final[Mapping[str, int]] = {
    "httpx": logging.WARNING,  # a line per request
    "httpx2": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpcore2": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    "kopf": logging.INFO,  # its debug lines quote patches
    "kopf.objects": logging.WARNING,  # a line per object and start
    "asyncio": logging.WARNING,
}


class OperatorLogs:
    """The logging of one process; `close` restores the previous one."""

    def __init__(self, *, level: str, format_: OperatorLogFormat, stream: TextIO | None = None) -> None:
        out = stream or sys.stderr
        json = format_ is OperatorLogFormat.JSON or (format_ is OperatorLogFormat.AUTO and not out.isatty())
        shared: list[Processor] = [
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        ]
        self.handler = handler = ThreadedHandler(stream, _lost(json=json))
        handler.addFilter(_concerns_people)
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, _of_kopf],
                processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(json=json)],
            )
        )
        root = logging.getLogger()
        self._before = (root.handlers[:], root.level)
        root.handlers[:] = [handler]
        root.setLevel(level)
        self._levels = {name: logging.getLogger(name).level for name in _QUIET}
        for name, quiet in _QUIET.items():
            logging.getLogger(name).setLevel(max(quiet, logging.getLevelNamesMapping()[level]))
        structlog.configure(
            processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
            cache_logger_on_first_use=False,
        )
        handler.start()

    def close(self) -> None:
        """Write the lines that wait, for a few seconds at most, and restore the previous logging."""
        self.handler.close()
        root = logging.getLogger()
        root.handlers[:], level = self._before
        root.setLevel(level)
        for name, before in self._levels.items():
            logging.getLogger(name).setLevel(before)
        structlog.reset_defaults()


def _concerns_people(record: logging.LogRecord) -> bool:
    """Leave out that a kind which a cluster may lack is absent: kopf warns of it at each change of any definition."""
    text = str(record.msg)
    alone = text.count("Selector(") == 1 and "'featureflags'" in text
    return not (text.startswith("Unresolved resources") and alone)


def _lost(*, json: bool) -> LostLine:
    """Return the function that makes the line with the number of lost lines; the writing thread calls it."""
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp")
    processors: list[Processor] = [stamp, *_rendering(json=json)]

    def line(count: int) -> str:
        event: Any = {
            "event": "[LOG] lines were lost: stderr was not read, or its disk or pipe accepted nothing",
            "level": "warning",
            "lines_lost": count,
        }
        for processor in processors:
            event = processor(None, "warning", event)
        return str(event)

    return line


def _of_kopf(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Add the agent that a line of kopf's is about."""
    record = event.get("_record")
    about = getattr(record, "k8s_ref", None)
    if isinstance(about, Mapping):
        event["namespace"], event["agent"] = about.get("namespace"), about.get("name")
    return event


def _rendering(*, json: bool) -> list[Processor]:
    if json:
        bare = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [structlog.processors.ExceptionRenderer(bare), structlog.processors.JSONRenderer(ensure_ascii=False)]
    return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
