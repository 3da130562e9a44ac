"""A real Prometheus in the node's network: a process beside the pods, which scrapes them as their PodMonitor says."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import yaml  # type: ignore[import-untyped]  # has no types

from support.kube.control_plane import answers
from support.node.commands import CERTIFICATE, Command
from support.node.places import ADDRESS, API, RUN
from support.process.programs import Program, tool

PORT: Final = 9090
URL: Final = f"http://{ADDRESS}:{PORT}"
EVERY_S: Final = 2
"""Seconds between two scrapes: a PodMonitor of an agent has 15."""


def configuration(token: str) -> str:
    """Write its configuration: every pod of an agent, at its internal port, with the labels that a PodMonitor gives."""
    names = {"__meta_kubernetes_namespace": "namespace", "__meta_kubernetes_pod_name": "pod"}
    keep = {
        "__meta_kubernetes_pod_labelpresent_batkol_dev_agent": "true",
        "__meta_kubernetes_pod_container_port_name": "internal",
    }
    job = {
        "job_name": "agents",
        "kubernetes_sd_configs": [
            {
                "role": "pod",
                "api_server": API,
                "authorization": {"credentials": token},
                "tls_config": {"ca_file": str(CERTIFICATE)},
            }
        ],
        "relabel_configs": [
            *({"action": "keep", "source_labels": [label], "regex": value} for label, value in keep.items()),
            *({"source_labels": [label], "target_label": name} for label, name in names.items()),
        ],
    }
    whole = {"global": {"scrape_interval": f"{EVERY_S}s", "scrape_timeout": f"{EVERY_S}s"}, "scrape_configs": [job]}
    return str(yaml.safe_dump(whole))


@contextmanager
def prometheus() -> Iterator[Program]:
    """Run one, with data that go with it. Raises `FileNotFoundError` where it is not built."""
    folder = Path(tempfile.mkdtemp(prefix="batkol-node-prometheus-"))
    file = folder / "prometheus.yaml"
    file.write_text(configuration((RUN / "tokens.csv").read_text().partition(",")[0]))
    command: Command = [
        tool("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={ADDRESS}:{PORT}",
    ]
    program = Program(command, RUN / "prometheus.log")
    try:
        program.start()
        program.wait(lambda: answers(f"{URL}/-/ready"))
        yield program
    finally:
        program.stop()
        shutil.rmtree(folder, ignore_errors=True)
