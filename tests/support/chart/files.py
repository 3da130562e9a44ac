"""The chart: its files, its renderings by the real Helm, and what is looked at in them."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # has no types

ROOT: Final = Path(__file__).parents[3]
CHART: Final = ROOT / "helm/batkol"
SNAPSHOTS: Final = ROOT / "tests/helm/snapshots"
NAMESPACE: Final = "batkol-system"
DEFAULT: Final = "default"

LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where PyYAML has it: ten times as fast."""

Object = dict[str, Any]


def load(name: str) -> Any:
    """Read a YAML file of the chart."""
    return yaml.load((CHART / name).read_text(), LOADER)


def schema() -> Any:
    """Return the values' schema."""
    return json.loads((CHART / "values.schema.json").read_text())


def cases() -> list[str]:
    """Name the renderings: the default values, and each file of `ci/`."""
    return [DEFAULT, *sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))]


def snapshot(case: str) -> list[Object]:
    """Return the objects of a rendering as they were last agreed to: a copy, which may be changed."""
    return copy.deepcopy(_snapshot(case))


@cache
def _snapshot(case: str) -> list[Object]:
    return list(yaml.load_all((SNAPSHOTS / f"{case}.yaml").read_text(), LOADER))


def helm(program: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run Helm on nothing but the chart: no cluster, no repositories."""
    return subprocess.run([str(program), *arguments], check=check, capture_output=True, text=True, timeout=120)


def render(program: Path, case: str, *arguments: str) -> list[Object]:
    """Return what `helm template` makes of a case. Raises `CalledProcessError`, whose `stderr` is Helm's."""
    values = () if case == DEFAULT else ("--values", str(CHART / f"ci/{case}-values.yaml"))
    fixed = ("--namespace", NAMESPACE, "--kube-version", "1.34.0", "--include-crds")
    done = helm(program, "template", "batkol", str(CHART), *fixed, *values, *arguments)
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def settled(objects: list[Object]) -> list[Object]:
    """Return what belongs into a snapshot: what is random is masked, what is a copy of a file names the file."""
    return [_settled(json.loads(json.dumps(each))) for each in objects]


def _settled(one: Object) -> Object:
    match one["kind"]:
        case "CustomResourceDefinition":
            one["spec"] = f"of {one['metadata']['name']}"
        case "Secret" if "batkol-key" in one["metadata"]["name"] or one["metadata"]["name"].endswith("-key"):
            one["data"] = {key: f"random, {len(value)} characters" for key, value in one["data"].items()}
        case "ConfigMap" if "dashboard" in one["metadata"]["name"]:
            one["data"] = {key: f"files/dashboards/{key}" for key in one["data"]}
        case "PrometheusRule":
            one["spec"] = [group["name"] for group in one["spec"]["groups"]]
    return one


def identity(one: Object) -> str:
    """Name an object for a message."""
    return f"{one['kind']} {one['metadata'].get('namespace', '')}/{one['metadata']['name']}"


def samples(objects: list[Object]) -> Iterator[Object]:
    """Yield each VoiceAgent: an object of the release, or what a Job is to make."""
    for each in objects:
        if each["kind"] == "VoiceAgent":
            yield each
        elif each["kind"] == "Job" and each["metadata"]["name"].endswith("-sample"):
            yield json.loads(each["spec"]["template"]["spec"]["containers"][0]["args"][-1])


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Yield each pod, or the template of one: who has it, and its spec."""
    for each in objects:
        if each["kind"] == "Pod":
            yield identity(each), each["spec"]
        elif each["kind"] in {"Deployment", "Job"}:
            yield identity(each), each["spec"]["template"]["spec"]


def unrestricted(pod: Object) -> list[str]:
    """Say what the level `restricted` of the Pod Security Standards would refuse, and what else every pod of ours has.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    """
    wrong = [key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "projected",
        "secret",
    }  # and claims, not ours
    wrong += [f"volume {each['name']}" for each in pod.get("volumes", []) if not allowed & set(each)]
    of_pod = pod.get("securityContext", {})
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        own = container.get("securityContext", {})
        both = {**of_pod, **own}
        checks = {
            "runAsNonRoot": both.get("runAsNonRoot") is True and both.get("runAsUser") != 0,
            "seccompProfile": both.get("seccompProfile", {}).get("type") in {"RuntimeDefault", "Localhost"},
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "privileged": not own.get("privileged"),
            "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "hostPort": not any(port.get("hostPort") for port in container.get("ports", [])),
            "readOnlyRootFilesystem": own.get("readOnlyRootFilesystem") is True,
            "requests": set(container.get("resources", {}).get("requests", {})) == {"cpu", "memory"},
        }
        wrong += [f"{container['name']}: {name}" for name, holds in checks.items() if not holds]
    return wrong


def is_label(value: str) -> bool:
    """Whether Kubernetes takes it as the value of a label."""
    return len(value) <= 63 and re.fullmatch(r"([A-Za-z0-9]([-\w.]*[A-Za-z0-9])?)?", value) is not None
