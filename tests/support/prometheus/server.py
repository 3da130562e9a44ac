"""A real Prometheus on loopback: it scrapes what it is told to, evaluates rules, and says by its API what it has."""

from __future__ import annotations

import asyncio
import json
import math
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from support.network.ports import free_port
from support.process.programs import Program, tool
from support.time.waiting import eventually

EVERY: Final = "500ms"
"""How often it scrapes and evaluates in tests: 30 times as often as the PodMonitors have it."""


class Series(NamedTuple):
    """A series of an answer, and the figures in it: those that a panel would draw, so no NaN."""

    labels: Mapping[str, str]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running one."""

    url: str

    async def query(self, expression: str) -> list[Series]:
        """Evaluate it now. Raises `ValueError` with Prometheus's words where it refuses the expression."""
        found = await self._asked("query", query=expression)
        return [Series(each["metric"], _drawn([each["value"]])) for each in found["result"]]

    async def drawn(self, expression: str, *, since: float, step: float) -> list[Series]:
        """Evaluate it as a panel does, from that time (Unix seconds) until now; series without figures are left out."""
        found = await self._asked("query_range", query=expression, start=since, end=time.time(), step=step)
        series = [Series(each["metric"], _drawn(each["values"])) for each in found["result"]]
        return [each for each in series if each.values]

    async def ever(self, selector: str) -> list[dict[str, str]]:
        """The labels of the series that it has had since its start."""
        found: list[dict[str, str]] = await self._asked("series", **{"match[]": selector})
        return found

    async def values(self, listed: str) -> set[str]:
        """What Grafana's `label_values(selector, label)` lists."""
        selector, _, label = listed.removeprefix("label_values(").removesuffix(")").rpartition(", ")
        return {each[label] for each in await self.ever(selector)}

    async def exemplars(self, selector: str) -> list[dict[str, Any]]:
        """The exemplars of a metric's series, of the last hour."""
        found = await self._asked("query_exemplars", query=selector, start=time.time() - 3600, end=time.time() + 60)
        return [exemplar for series in found for exemplar in series["exemplars"]]

    async def rules(self) -> list[dict[str, Any]]:
        """Every rule that it has, with `health` and `lastError`."""
        groups = (await self._asked("rules"))["groups"]
        return [rule for group in groups for rule in group["rules"]]

    async def targets(self) -> list[dict[str, Any]]:
        """What it scrapes, with `health` and `lastError`."""
        found: list[dict[str, Any]] = (await self._asked("targets", state="active"))["activeTargets"]
        return found

    async def firing(self, alert: str = "") -> list[dict[str, str]]:
        """The labels of the alerts that fire; of one by name, or of all."""
        found = (await self._asked("alerts"))["alerts"]
        labels = [dict(each["labels"]) for each in found if each["state"] == "firing"]
        return [each for each in labels if alert in ("", each["alertname"])]

    async def fires(self, alert: str, within: float = 120.0, **labels: str) -> dict[str, str]:
        """Wait until the alert fires with these labels; return all of its labels. Raises `TimeoutError`."""
        found: list[dict[str, str]] = []

        async def there() -> bool:
            found[:] = [each for each in await self.firing(alert) if labels.items() <= each.items()]
            return bool(found)

        await eventually(there, within)
        return found[0]

    async def resolves(self, alert: str, within: float = 120.0) -> None:
        """Wait until the alert does not fire any more. Raises `TimeoutError`."""

        async def gone() -> bool:
            return not await self.firing(alert)

        await eventually(gone, within)

    async def scrapes(self, count: int = 1, within: float = 120.0) -> None:
        """Wait until that many targets answer. Raises `TimeoutError` with what Prometheus says of each."""

        async def all_up() -> bool:
            return [each["health"] for each in await self.targets()].count("up") >= count

        try:
            await eventually(all_up, within)
        except TimeoutError:
            told = [(each["scrapeUrl"], each["health"], each["lastError"]) for each in await self.targets()]
            raise TimeoutError(str(told)) from None

    async def reload(self) -> None:
        """Have it read its configuration again. Raises `httpx.HTTPStatusError` where it refuses that."""
        async with httpx.AsyncClient(base_url=self.url, timeout=30, trust_env=False) as http:
            (await http.post("/-/reload")).raise_for_status()

    async def _asked(self, what: str, **query: Any) -> Any:
        async with httpx.AsyncClient(base_url=self.url, timeout=30, trust_env=False) as http:
            answer = await http.get(f"/api/v1/{what}", params=query)
        said = answer.json()
        if said["status"] != "success":
            raise ValueError(f"{said['errorType']}: {said['error']}")
        return said["data"]


def _drawn(values: list[list[Any]]) -> list[float]:
    return [figure for _, text in values if not math.isnan(figure := float(text))]


def scraping(port: int, **labels: str) -> dict[str, Any]:
    """A job that scrapes one pod on loopback under the labels that Prometheus Operator gives; `job` is among them."""
    targets = {"targets": [f"127.0.0.1:{port}"], "labels": {k: v for k, v in labels.items() if k != "job"}}
    return {"job_name": labels["job"], "static_configs": [targets]}


@asynccontextmanager
async def prometheus(folder: Path, jobs: list[dict[str, Any]], rules: Mapping[str, str]) -> AsyncIterator[Prometheus]:
    """Run it with these jobs and files of rules; raises `FileNotFoundError` when it is not built."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in rules.items():
        (folder / name).write_text(text)
    every = {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY}
    configuration = {"global": every, "rule_files": sorted(rules), "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(json.dumps(configuration))  # JSON is YAML
    async with running(folder, folder / "prometheus.yml") as started:
        yield started


@asynccontextmanager
async def running(folder: Path, configuration: Path, looks_back: str = "5m") -> AsyncIterator[Prometheus]:
    """Run it with a file of configuration, as it is. What it has stored goes with it.

    For so long it answers with the last sample of a job that a new configuration does not have: such a job's series are
    not marked as ended. Five minutes is Prometheus's own default.
    """
    url = f"http://127.0.0.1:{(port := free_port())}"
    command: list[str | Path] = [
        tool("prometheus"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--query.lookback-delta={looks_back}",
        "--enable-feature=exemplar-storage",
        "--web.enable-lifecycle",
        "--log.level=warn",
    ]
    program = Program(command, folder / "prometheus.log")
    await asyncio.to_thread(program.start)
    try:
        await asyncio.to_thread(program.wait, lambda: _ready(url))
        yield Prometheus(url)
    finally:
        await asyncio.to_thread(program.stop)


def _ready(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback
    try:
        with opener.open(f"{url}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
