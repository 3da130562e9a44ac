"""The real Prometheus Operator on the node, and a Prometheus with the configuration that it makes of our monitors.

The operator is a process beside the node's own, as they are. It would run Prometheus in a pod of an image that nobody
here has: so it is asked for none, and Prometheus is a process too, with the operator's Secret and ConfigMap as files.
Two things in them are changed: where the rules are, and how often is scraped (`quickened` has the rest).
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # has no types

from support.chart.files import LOADER
from support.network.ports import free_port
from support.node.commands import CERTIFICATE
from support.node.places import API, RUN
from support.node.shell import apply, get, kubectl, make_namespace
from support.process.programs import Program, schema, tool
from support.prometheus.observed import quickened
from support.prometheus.server import Prometheus, running
from support.time.waiting import eventually

NAMESPACE: Final = "monitoring"
NAME: Final = "seen"
EVERY: Final = "1s"
_DEFINITIONS: Final = "prometheus-operator-definitions"


def _prometheus(token: Path) -> Any:
    """A Prometheus that takes every monitor and rule of every namespace, as many have it; no pod of it."""
    everything: dict[str, Any] = {
        f"{kind}{selector}": {}
        for kind in ("podMonitor", "serviceMonitor", "rule")
        for selector in ("Selector", "NamespaceSelector")
    }
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Prometheus",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "replicas": 0,
            "apiserverConfig": {
                "host": API,
                "authorization": {"credentialsFile": str(token)},
                "tlsConfig": {"caFile": str(CERTIFICATE)},
            },
            **everything,
        },
    }


@dataclass
class Operated:
    """Prometheus, and what the operator wants it to have."""

    folder: Path
    times: int
    jobs: dict[str, Any] = field(default_factory=dict)
    """The jobs as the operator has made them, by name."""
    seen: Prometheus = field(init=False)

    @property
    def configuration(self) -> Path:
        return self.folder / "prometheus.yml"

    async def follow(self, *jobs: str, without: str = "") -> None:
        """Take over what the operator has made, once it has these jobs, and one not any more; read it if that runs."""

        async def made() -> bool:
            await self._take_over()
            return set(jobs) <= set(self.jobs) and without not in self.jobs

        await eventually(made, 180)
        if hasattr(self, "seen"):
            await self.seen.reload()

    async def _take_over(self) -> None:
        secret = await get(f"--namespace={NAMESPACE}", "secret", f"prometheus-{NAME}")
        if secret is None:
            return
        packed = base64.b64decode(secret["data"]["prometheus.yaml.gz"])
        made = yaml.load(gzip.decompress(packed), LOADER)
        self.jobs = {job["job_name"]: dict(job) for job in made["scrape_configs"]}
        made["global"] |= {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY}
        made["rule_files"] = [str(self.folder / "rules" / "*.yaml")]
        made["scrape_configs"] = [
            {name: value for name, value in job.items() if name not in {"scrape_interval", "scrape_timeout"}}
            for job in made["scrape_configs"]
        ]
        made.pop("alerting", None)
        (self.folder / "rules").mkdir(exist_ok=True)
        for name, text in (await self._rules()).items():
            (self.folder / "rules" / name).write_text(quickened(text, self.times))
        self.configuration.write_text(yaml.safe_dump(made))

    async def _rules(self) -> dict[str, str]:
        """The files of rules that the operator has made of the PrometheusRules."""
        found = await get(f"--namespace={NAMESPACE}", "configmaps", f"--selector=prometheus-name={NAME}")
        return dict(itertools.chain(*(each["data"].items() for each in found["items"])))


@asynccontextmanager
async def prometheus_operator(folder: Path, times: int) -> AsyncIterator[Operated]:
    """Run the operator with its definitions in the cluster; `started` runs Prometheus. All of it goes again."""
    definitions = _definitions()
    names = re.findall(r"^  name: (\w+\.monitoring\.coreos\.com)$", definitions, re.MULTILINE)
    await kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", given=definitions)
    await kubectl("wait", "crd", *names, "--for=condition=Established", "--timeout=60s")
    await make_namespace(NAMESPACE)
    token = folder / "token"
    token.write_text((RUN / "tokens.csv").read_text().partition(",")[0])
    where = f"127.0.0.1:{free_port()}"
    program = Program([tool("prometheus-operator"), f"--web.listen-address={where}"], folder / "operator.log")
    await asyncio.to_thread(program.start)
    try:
        await apply(_prometheus(token))
        yield Operated(folder, times)
    finally:
        await asyncio.to_thread(program.stop)
        await kubectl("delete", "crd", *names, "--ignore-not-found", "--timeout=120s")
        await kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@asynccontextmanager
async def started(operated: Operated, *jobs: str) -> AsyncIterator[Prometheus]:
    """Run Prometheus once the operator has made these jobs."""
    await operated.follow(*jobs)
    async with running(operated.folder, operated.configuration) as seen:
        operated.seen = seen
        yield seen


def _definitions() -> str:
    """The definitions out of the bundle that the operator's project publishes, as they stand there."""
    documents = re.split(r"^---$", schema(_DEFINITIONS).read_text(), flags=re.MULTILINE)
    return "---".join(each for each in documents if "\nkind: CustomResourceDefinition\n" in each)
