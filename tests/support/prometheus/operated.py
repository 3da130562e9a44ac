"""The real Prometheus Operator, and a Prometheus with the configuration that it makes of our monitors.

The operator is a process, with a real API server or on the node. It would run Prometheus in a pod of an image that
nobody here has: so it is asked for none, and Prometheus is a process, with its Secret and ConfigMap as files.
Two things in them are changed: where the rules are, and how often is scraped (`quickened` has the rest). And Prometheus
looks back for seconds, not for five minutes.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # has no types

from support.chart.files import LOADER
from support.network.ports import free_port
from support.process.programs import Program, schema, tool
from support.prometheus.observed import quickened
from support.prometheus.server import Prometheus, running
from support.time.waiting import eventually

NAMESPACE: Final = "monitoring"
NAME: Final = "seen"
EVERY: Final = "1s"
"""Two scrapes are in the shortest range that `quickened` leaves."""
LOOKS_BACK: Final = "20s"
"""Twenty scrapes. In five minutes, as a job that is gone has them, no alert would fire within the time of a test."""
_OF_THE_POD: Final = {"SHARD": "0", "POD_NAME": f"prometheus-{NAME}-0"}
"""What the reloader beside Prometheus fills in, in its pod."""
_DEFINITIONS: Final = "prometheus-operator-definitions"


@dataclass(frozen=True)
class Api:
    """The API server, and who asks it: an administrator."""

    url: str
    certificate: Path
    token: str
    kubeconfig: Path

    async def kubectl(self, *arguments: str, given: str = "") -> str:
        """Run kubectl. Raises `RuntimeError` with what it says."""
        process = await asyncio.create_subprocess_exec(
            str(tool("kubectl")),
            f"--kubeconfig={self.kubeconfig}",
            f"--namespace={NAMESPACE}",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, wrong = await process.communicate(given.encode())
        if process.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {wrong.decode()}")
        return out.decode()

    async def apply(self, manifests: str) -> None:
        await self.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", given=manifests)

    async def get(self, *what: str) -> Any:
        """An object, or a list; None where there is none."""
        said = await self.kubectl("get", *what, "--output=json", "--ignore-not-found")
        return json.loads(said) if said.strip() else None


def _prometheus(api: Api, token: Path) -> Any:
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
                "host": api.url,
                "authorization": {"credentialsFile": str(token)},
                "tlsConfig": {"caFile": str(api.certificate)},
            },
            **everything,
        },
    }


@dataclass
class Operated:
    """Prometheus, and what the operator wants it to have."""

    api: Api
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
        secret = await self.api.get("secret", f"prometheus-{NAME}")
        if secret is None:
            return
        packed = base64.b64decode(secret["data"]["prometheus.yaml.gz"])
        text = gzip.decompress(packed).decode()
        for name, value in _OF_THE_POD.items():
            text = text.replace(f"$({name})", value)
        made = yaml.load(text, LOADER)
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
        found = await self.api.get("configmaps", f"--selector=prometheus-name={NAME}")
        return dict(itertools.chain(*(each.get("data", {}).items() for each in found["items"])))  # none without rules


@asynccontextmanager
async def prometheus_operator(api: Api, folder: Path, times: int) -> AsyncIterator[Operated]:
    """Run the operator with its definitions in the cluster; `started` runs Prometheus. All of it goes again."""
    definitions = _definitions()
    names = re.findall(r"^  name: (\w+\.monitoring\.coreos\.com)$", definitions, re.MULTILINE)
    await api.apply(definitions)
    await api.kubectl("wait", "crd", *names, "--for=condition=Established", "--timeout=60s")
    await api.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}))
    token = folder / "token"
    token.write_text(api.token)
    command: list[str | Path] = [tool("prometheus-operator"), f"--web.listen-address=127.0.0.1:{free_port()}"]
    program = Program(command, folder / "prometheus-operator.log", {"KUBECONFIG": str(api.kubeconfig)})
    await asyncio.to_thread(program.start)
    try:
        await api.apply(json.dumps(_prometheus(api, token)))
        yield Operated(api, folder, times)
    finally:
        await asyncio.to_thread(program.stop)
        await api.kubectl("delete", "crd", *names, "--ignore-not-found", "--timeout=120s")
        await api.kubectl("delete", "namespace", NAMESPACE, "--timeout=120s")  # the next one makes it anew


@asynccontextmanager
async def started(operated: Operated, *jobs: str) -> AsyncIterator[Prometheus]:
    """Run Prometheus once the operator has made these jobs."""
    await operated.follow(*jobs)
    async with running(operated.folder, operated.configuration, LOOKS_BACK) as seen:
        operated.seen = seen
        yield seen


def _definitions() -> str:
    """The definitions out of the bundle that the operator's project publishes, as they stand there."""
    documents = re.split(r"^---$", schema(_DEFINITIONS).read_text(), flags=re.MULTILINE)
    return "---".join(each for each in documents if "\nkind: CustomResourceDefinition\n" in each)
