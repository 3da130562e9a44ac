"""Programs that a cluster has beside Kubernetes itself: metrics-server and KEDA, by their projects' own manifests.

They run as pods, with their own accounts, rights, Services and API registrations: what an agent meets in a cluster is
what it meets here. A node starts without them; a test that needs one, and `make cluster ADDONS=…`, install it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml  # type: ignore[import-untyped]  # has no types

from support.chart.files import LOADER
from support.node import scratch
from support.node.shell import apply, get, kubectl
from support.process.programs import BIN, installed

MANIFESTS: Final = BIN.parent / "manifests"
_KEEP: Final = ("Namespace",)


@dataclass(frozen=True)
class Addon:
    """One that `tools/build` has built."""

    name: str  # of its manifests
    api: str  # the APIService by which it is reached
    programs: Mapping[str, str]  # of .tools/bin, by the image in the manifests
    arguments: Mapping[str, list[str]] = field(default_factory=dict)  # added to a Deployment's first container

    @property
    def tools(self) -> list[str]:
        """What `tools/build` makes for it."""
        return [*self.programs.values(), f"{self.name}-manifests"]

    @property
    def unbuilt(self) -> list[str]:
        """Those of them that are not there."""
        programs = [program for program in self.programs.values() if installed(program) is None]
        return programs if (MANIFESTS / f"{self.name}.yaml").exists() else [*programs, f"{self.name}-manifests"]

    def objects(self) -> Iterator[Any]:
        """Yield its objects, with the node's images. Raises `FileNotFoundError` where it is not built."""
        file = MANIFESTS / f"{self.name}.yaml"
        if not file.exists():
            raise FileNotFoundError(f"{self.name} is not built. Run `tools/build {' '.join(self.tools)}`.")
        for each in yaml.load_all(file.read_text(), LOADER):
            if each["kind"] == "Deployment":
                self._set_images(each)
            yield each

    def _set_images(self, deployment: Any) -> None:
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            image = container["image"].rpartition(":")[0]
            container |= {"image": scratch.name_of(self.programs[image]), "imagePullPolicy": "Never"}
            container.setdefault("args", []).extend(self.arguments.get(deployment["metadata"]["name"], []))


METRICS_SERVER: Final = Addon(
    "metrics-server",
    "v1beta1.metrics.k8s.io",
    {"registry.k8s.io/metrics-server/metrics-server": "metrics-server"},
    {"metrics-server": ["--kubelet-insecure-tls"]},  # a kubelet signs its own certificate
)
KEDA: Final = Addon(
    "keda",
    "v1beta1.external.metrics.k8s.io",
    {
        "ghcr.io/kedacore/keda": "keda",
        "ghcr.io/kedacore/keda-metrics-apiserver": "keda-adapter",
        "ghcr.io/kedacore/keda-admission-webhooks": "keda-admission-webhooks",
    },
)
ADDONS: Final = {addon.name: addon for addon in (METRICS_SERVER, KEDA)}


def lacking(wanted: Sequence[str]) -> str:
    """Say which of these addons do not exist or are not built, and what to do; an empty text where all are there."""
    if unknown := [name for name in wanted if name not in ADDONS]:
        return f"No addon is called {', '.join(unknown)}: name some of {', '.join(ADDONS)}."
    unbuilt = [tool for name in wanted for tool in ADDONS[name].unbuilt]
    if unbuilt:
        return f"Programs of the addons are not built: run `tools/build {' '.join(unbuilt)}`, which needs Go."
    return ""


async def install(addon: Addon) -> None:
    """Install it; returns once it serves. One that is there stays as it is."""
    if await get("apiservice", addon.api):
        return
    objects = list(addon.objects())
    for program in addon.programs.values():
        await asyncio.to_thread(scratch.bring, program)
    await apply(*objects)
    for each in objects:
        if each["kind"] == "Deployment":
            where = f"--namespace={each['metadata']['namespace']}"
            await kubectl(where, "rollout", "status", f"deployment/{each['metadata']['name']}", "--timeout=300s")
    await kubectl("wait", f"apiservice/{addon.api}", "--for=condition=Available", "--timeout=120s")


async def remove(addon: Addon) -> None:
    """Take it away, its kinds and their objects too."""
    kinds = [each["metadata"]["name"] for each in addon.objects() if each["kind"] == "CustomResourceDefinition"]
    if kinds:  # first, while it is there to let go of the objects
        await kubectl("delete", "crd", *kinds, "--ignore-not-found", "--timeout=120s")
    others = [each for each in addon.objects() if each["kind"] not in (*_KEEP, "CustomResourceDefinition")]
    await kubectl("delete", "--ignore-not-found", "--filename=-", given=yaml.safe_dump_all(others))
