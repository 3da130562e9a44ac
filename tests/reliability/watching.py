"""What a trial writes down beside the words: the log, line by line, and what /v1/status said meanwhile."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpx
import structlog

_EVERY_S = 0.25
_OWN_AFFAIR = ("uptime", "active_calls", "subscribers", "tuning", "live", "vad", "flags.", "process", "drain.")
"""What changes in the status whether or not something goes wrong."""

_NOT_SHOWN = frozenset({"event", "call_sid", "log_level", "utterance", "exc_info"})


class LogBook:
    """Every line of the log, with when it was written (monotonic seconds)."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, Mapping[str, Any]]] = []

    def says(self, text: str) -> bool:
        """Tell whether a line has the text in it, or one of the texts that `|` separates."""
        return any(part in rendered(line) for part in text.split("|") for _, line in self.lines)

    def first(self, text: str) -> float:
        """Return the number of the first line that has the text in it, infinite if none has."""
        return next((number for number, (_, line) in enumerate(self.lines) if text in rendered(line)), math.inf)

    def at_least(self, *levels: str) -> list[str]:
        """Return the lines of these levels, without the call's SID, each once."""
        found = [rendered(line) for _, line in self.lines if line["log_level"] in levels and _of_a_call(line)]
        return list(dict.fromkeys(found))

    def whole(self, since: float) -> list[str]:
        """Return every line, with its time."""
        return [f"{at - since:7.2f} {line['log_level'][0].upper()} {rendered(line)}" for at, line in self.lines]

    def take(self, method: str, event: Mapping[str, Any]) -> None:
        self.lines.append((time.monotonic(), {**event, "log_level": "error" if method == "exception" else method}))


_book: ContextVar[LogBook | None] = ContextVar("book", default=None)
_before: list[dict[str, Any]] = []


@contextmanager
def logged() -> Iterator[LogBook]:
    """Gather the log meanwhile: what is written by the tasks that begin here, for several trials run side by side."""
    book = LogBook()
    _before.append(_before[0] if _before else structlog.get_config())
    structlog.configure(processors=[_route], cache_logger_on_first_use=False)
    before = _book.set(book)
    try:
        yield book
    finally:
        _book.reset(before)
        configured = _before.pop()
        if not _before:
            structlog.configure(**configured)


def _route(_logger: Any, method: str, event: Mapping[str, Any]) -> Any:
    book = _book.get()
    if book is not None:
        book.take(method, event)
    raise structlog.DropEvent


def rendered(line: Mapping[str, Any]) -> str:
    """Return a line as people read it, less what names a call."""
    fields = [f"{name}={value}" for name, value in line.items() if name not in _NOT_SHOWN]
    return " ".join([str(line["event"]), *fields])


def _of_a_call(line: Mapping[str, Any]) -> bool:
    return line.get("active_calls") != 0  # else this machine was busy before there was a call


class StatusWatch:
    """Asks /v1/status now and again, and keeps every answer that it had not seen before."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/status"
        self._first: dict[str, str] = {}
        self.said: list[str] = []
        """`name=value` for whatever was not as at the beginning, in order, each once. Numbers are left out."""

    async def run(self) -> None:
        """Ask until cancelled."""
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=10) as http:
            while True:
                flat = dict(_flat("", (await http.get(self._url)).json()))
                self._first = self._first or flat
                for name, value in flat.items():
                    told = f"{name.removeprefix('recognizer.').removeprefix('health.')}={value}"
                    if value != self._first.get(name) and told not in self.said:
                        self.said.append(told)
                await asyncio.sleep(_EVERY_S)


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if name.startswith(_OWN_AFFAIR) or (name.startswith("tasks.") and value == "running"):  # it begins with a call
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}" if name else key, inner)
    elif isinstance(value, bool | str) and not name.endswith(("_at", ".at", "since")):
        yield name, str(value)
