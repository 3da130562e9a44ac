"""What the service's process holds, read again and again; and whether its memory grows.

Memory, file descriptors and threads are the operating system's word (proc(5)); tasks and streams the service's own.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Final

import httpx
import msgspec

_PAGE_KB: Final = os.sysconf("SC_PAGE_SIZE") // 1024
_BLOCK_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the service."""

    at: float  # monotonic seconds
    rss_kb: int
    fds: int
    threads: int
    tasks: int
    streams: int  # to Google, and single requests
    calls: int

    def is_back_to(self, idle: Reading) -> bool:
        """Whether nothing is left of the calls. Threads are grpc's own, which keeps some for a while."""
        gone = not self.calls and not self.streams
        return gone and self.tasks <= idle.tasks and self.fds <= idle.fds


class _Process(msgspec.Struct):
    tasks: int


class _Recognizer(msgspec.Struct):
    streams: int
    requests: int


class _Status(msgspec.Struct):
    active_calls: int
    process: _Process
    recognizer: _Recognizer


class Meter:
    """Reads one process. It keeps its connection, so that its own tasks and descriptors are there at each look."""

    def __init__(self, pid: int, http: httpx.AsyncClient) -> None:
        self._proc = Path(f"/proc/{pid}")
        self._http = http
        self.readings: list[Reading] = []

    async def read(self) -> Reading:
        """Raises `OSError` or `httpx.HTTPError` if the service is gone."""
        answer = (await self._http.get("/v1/status")).raise_for_status()
        status = msgspec.json.decode(answer.content, type=_Status)
        return Reading(
            at=time.monotonic(),
            rss_kb=int((self._proc / "statm").read_text().split()[1]) * _PAGE_KB,
            fds=sum(1 for _ in (self._proc / "fd").iterdir()),
            threads=sum(1 for _ in (self._proc / "task").iterdir()),
            tasks=status.process.tasks,
            streams=status.recognizer.streams + status.recognizer.requests,
            calls=status.active_calls,
        )

    async def follow(self, every_s: float) -> None:
        """Read until cancelled."""
        while True:
            self.readings.append(await self.read())
            await asyncio.sleep(every_s)

    async def idle(self, seconds: float) -> Reading:
        """Wait until the calls have gone and nothing changes any more; return what there is then."""
        before = await self.read()
        for _ in range(int(seconds)):
            await asyncio.sleep(1)
            now = await self.read()
            if not now.calls and not now.streams and (now.tasks, now.fds) == (before.tasks, before.fds):
                return now
            before = now
        return before

    async def until(self, settled: Callable[[Reading], bool], seconds: float) -> Reading:
        """Wait for a reading that is settled; return it, or the last one when time is up."""
        until = time.monotonic() + seconds
        while not settled(reading := await self.read()) and time.monotonic() < until:
            await asyncio.sleep(0.25)
        return reading


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth in KB a minute, with the ends of its 95 % confidence interval."""

    kb_per_min: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.kb_per_min:+.0f} KB/min (95 %: {self.low:+.0f} to {self.high:+.0f})"


def slope(points: Sequence[tuple[float, float]]) -> Slope | None:
    """Fit a straight line through (seconds, KB) by least squares; None for too few points to say anything.

    What leaked never comes back, and what a moment needed does: of each fifteen seconds the least reading counts.
    Memory stays where it was put for a while, so neighbours are no independent witnesses: their likeness (the
    residuals' lag-1 autocorrelation) is taken off the number of witnesses.
    """
    floors = _floors(points)
    if len(floors) < 6:
        return None
    x_mean, y_mean = fmean(x for x, _ in floors), fmean(y for _, y in floors)
    spread = sum((x - x_mean) ** 2 for x, _ in floors)
    rate = sum((x - x_mean) * (y - y_mean) for x, y in floors) / spread
    residuals = [y - y_mean - rate * (x - x_mean) for x, y in floors]
    unexplained = sum(residual**2 for residual in residuals)
    likeness = sum(a * b for a, b in pairwise(residuals)) / unexplained if unexplained else 0.0
    likeness = min(max(likeness, 0.0), 0.95)
    freedom = max(3.0, len(floors) * (1 - likeness) / (1 + likeness) - 2)
    error = math.sqrt(unexplained / freedom / spread) * _t975(freedom)
    return Slope(60 * rate, 60 * (rate - error), 60 * (rate + error))


def _floors(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    blocks: dict[int, list[tuple[float, float]]] = {}
    for x, y in points:
        blocks.setdefault(int((x - points[0][0]) // _BLOCK_S), []).append((x, y))
    return [min(block, key=lambda point: point[1]) for block in blocks.values()]


def _t975(freedom: float) -> float:
    """Student's t, 97.5th percentile (Abramowitz and Stegun, 26.7.5): within 1 % from three degrees of freedom."""
    z = 1.959964
    terms = ((z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384)
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))
