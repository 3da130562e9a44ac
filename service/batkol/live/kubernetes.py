"""Live configuration from one ConfigMap, watched through the API server: a change is here within milliseconds.

List, then watch from there; whatever goes wrong, begin anew with a list, which has the newest contents whatever was
missed. A connection that is cut in good health is taken up again at once; what fails again and again is asked less and
less often, every 10 s in the end. Between the two the configuration in force stays in force.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from batkol.backoff import Backoff
from batkol.live.answer_lines import LINE_S
from batkol.live.cluster import ANSWER_S, FILES_S, ClusterError, ObjectName, connected
from batkol.live.config_map import SILENCE_S, ConfigMap, GoneError, WatchError
from batkol.live.source import EMPTY, NAMES, FileContents, SourceState
from batkol.status import SourceStatus

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTimings:
    """Time limits of the source, in seconds."""

    first_wait: float = 0.2  # after a failure; doubled after each further one
    longest_wait: float = 10.0
    healthy: float = 1.0  # a watch that was open for so long has worked: its end is no failure in a row
    silence: float = SILENCE_S  # without a line, after which a watch is taken for dead
    answer: float = ANSWER_S  # for an answer that is no watch
    line: float = LINE_S  # for a line of a watch, from its first byte to its last
    files: float = FILES_S  # for the credentials, which are read before the first request


class KubernetesSource:
    """Watches the live files in one ConfigMap, and nothing else."""

    def __init__(self, where: ObjectName, *, pace: WatchTimings = WatchTimings()) -> None:
        self.where = where
        self.tried = asyncio.Event()
        """Set once the first attempt has come to something, or to nothing."""
        self._pace = pace
        self._backoff = Backoff(first_s=pace.first_wait, longest_s=pace.longest_wait)
        self._state = SourceState.STARTING
        self._since = _now()
        self._why: str | None = None
        self._warned = ""
        self._failures = 0  # in a row
        self._doubted = False  # what it sent could not be read, and nothing that can be has come since
        self._reconnects = 0
        self._opened: float | None = None  # when the present watch was, monotonic seconds
        self._heard = time.monotonic()
        self._version: str | None = None
        self._empty = False

    @property
    def name(self) -> str:
        """`kubernetes:NAMESPACE/NAME`."""
        return f"kubernetes:{self.where}"

    def status(self) -> SourceStatus:
        """See `LiveSource.status`. Never heard of, it has been silent since it was asked first."""
        return SourceStatus(
            state=self._state,
            since=self._since,
            why=self._why or (self._nothing() if self._empty else None),
            heard_s=time.monotonic() - self._heard,
            resource_version=self._version,
            reconnects=self._reconnects,
        )

    async def watch(self) -> AsyncGenerator[FileContents, None]:
        """See `LiveSource.watch`."""
        last: FileContents | None = None
        while True:
            wait_s = 0.0
            try:
                async with aclosing(self._until_it_fails()) as snapshots:
                    async for snapshot in snapshots:
                        if snapshot != last:
                            last = snapshot
                            yield snapshot
            except GoneError:
                self._closed()
                log.info(
                    "[CFG] live source lists again: the API server no longer has the older versions", source=self.name
                )
            except ClusterError as error:
                self._complain(error)
                wait_s = error.wait_s if isinstance(error, WatchError) else 0.0
            self.tried.set()
            await asyncio.sleep(max(wait_s, self._next_wait()))

    async def _until_it_fails(self) -> AsyncGenerator[FileContents, None]:
        """List, and watch from there again and again; returns never. Raises `ClusterError`."""
        async with connected(self._pace.files) as client:
            pace = self._pace
            config_map = ConfigMap(client, self.where, silence_s=pace.silence, answer_s=pace.answer, line_s=pace.line)
            contents, version = await config_map.read()
            self._receive(contents, version)
            self.tried.set()
            yield contents
            while True:
                async with config_map.watching(self._version or "") as events, aclosing(events):
                    self._open()
                    async for seen in events:
                        self._receive(seen.contents, seen.version)
                        self._doubted = False
                        self._watching()
                        if seen.contents is not None:
                            yield seen.contents
                if not self._closed():
                    raise WatchError(
                        "The API server ends every watch at once. What is in force stays; the service asks again."
                    )

    def _receive(self, contents: FileContents | None, version: str) -> None:
        self._heard = time.monotonic()
        self._version = version
        if contents is not None:
            was, self._empty = self._empty, contents == EMPTY
            if self._empty and not was:
                log.warning("[CFG] live source is empty", source=self.name, problem=self._nothing())

    def _nothing(self) -> str:
        return (
            f"There is no ConfigMap {self.where}, or it has none of {', '.join(NAMES)}. What is in force "
            "stays, and the service applies the ConfigMap when it appears; check the name."
        )

    def _open(self) -> None:
        self._opened = self._heard = time.monotonic()
        self._watching()

    def _watching(self) -> None:
        if self._doubted or self._state is SourceState.WATCHING:
            return
        if self._warned:
            log.info("[CFG] live source recovered", source=self.name, since=self._since)
        self._state, self._since, self._why, self._warned = SourceState.WATCHING, _now(), None, ""

    def _closed(self) -> bool:
        """Note that the watch has ended; return whether it had worked."""
        opened, self._opened = self._opened, None
        if opened is not None and time.monotonic() - opened >= self._pace.healthy:
            self._failures = 0
            return True
        return False

    def _complain(self, error: ClusterError) -> None:
        failures, healthy = self._failures, self._closed()
        if isinstance(error, WatchError) and error.garbled:
            self._doubted, self._failures, healthy = True, failures, False
        if self._state is not SourceState.RETRYING:
            self._state, self._since = SourceState.RETRYING, _now()
        self._reconnects += 1
        self._why = str(error)
        if healthy:  # connections end; it is worth a warning only if the next attempt fails, too
            log.info("[CFG] live source reconnected", source=self.name, why=self._why)
        elif self._why != self._warned:
            self._warned = self._why
            log.warning("[CFG] live source failed", source=self.name, problem=self._why)

    def _next_wait(self) -> float:
        """Count a failure; return how many seconds to wait before the next attempt."""
        wait_s = self._backoff.wait_s(self._failures)
        self._failures += 1
        return wait_s


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
