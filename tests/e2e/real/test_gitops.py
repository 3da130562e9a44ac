"""Beside other managers on a real API server: contests, `kubectl diff`, flags that Git has, objects of any depth."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # has no types
from lightkube import AsyncClient

from batkol.gonogo.clusterstore import VoiceAgentStore
from batkol.gonogo.flagstore import FlagStoreError
from batkol.live.cluster import ObjectName
from batkol_operator.reconcile.contests import AT_ONCE
from support.chart.installed import install, rendered
from support.kube.control_plane import ControlPlane
from support.kube.kubelet import Kubelets
from support.operators.installation import Installation, agent, children_of, installed
from support.time.waiting import eventually

CONFIG = Path(__file__).parents[3] / "config"
SAMPLES = [CONFIG / "voiceagent.yaml", *sorted((CONFIG / "samples").glob("*.yaml"))]
CALLER = "+972500000001"
LEVELS = 1500
"""Python reads some 990 levels; each of these is two."""
FEATURE_FLAGS: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "featureflags.core.openfeature.dev"},
    "spec": {
        "group": "core.openfeature.dev",
        "scope": "Namespaced",
        "names": {"kind": "FeatureFlag", "plural": "featureflags", "singular": "featureflag"},
        "versions": [
            {
                "name": "v1beta1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@pytest.fixture
async def operated(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> AsyncIterator[Installation]:
    async with installed(control_plane, namespace, tmp_path) as made:
        await made.operate()
        yield made


async def says(at: Installation, type_: str, *words: str, name: str = "clinic") -> bool:
    message = (await at.condition(name, type_)).get("message", "")
    return all(word in message for word in words)


async def events(at: Installation, reason: str) -> list[str]:
    found = await at.kubectl.json("get", "events", f"--field-selector=reason={reason}")
    return [each["message"] for each in found["items"]]


async def test_who_changes_what_the_operator_owns_is_named_and_what_they_add_is_not(operated: Installation) -> None:
    await operated.create("clinic", scaling={"replicas": 2})
    await children_of(operated, "clinic")
    await operated.kubectl("label", "service,deployment", "clinic", "team=voice")
    await operated.kubectl("annotate", "service,deployment", "clinic", "mesh.example.com/inject=true")
    await operated.kubectl.patch("clinic", recognition={"batchMilliseconds": 210})  # so that a pass has come by
    await eventually(lambda: batch(operated, 210))
    assert await operated.condition("clinic", "Contested") == {}

    patch = '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":99}}}}'
    await operated.kubectl("patch", "deployment", "clinic", "--type=merge", f"--patch={patch}")
    field = "kubectl-patch changed .spec.template.spec.terminationGracePeriodSeconds of Deployment clinic"
    await eventually(lambda: says(operated, "Contested", field, "Change the VoiceAgent instead."))
    assert (await operated.condition("clinic", "Contested"))["reason"] == "SetBack"

    await operated.kubectl("scale", "deployment/clinic", "--replicas=5")
    await eventually(lambda: says(operated, "Contested", "changed .spec.replicas", "`minReplicas` and `maxReplicas`"))
    deployment = await operated.get("deployment", "clinic")
    assert (deployment["spec"]["replicas"], deployment["metadata"]["labels"]["team"]) == (2, "voice")
    assert len(await events(operated, "Contested")) == 1


async def test_an_autoscaler_sets_the_number_of_pods_and_contests_nothing(operated: Installation) -> None:
    await operated.create("clinic", scaling={"minReplicas": 2, "maxReplicas": 6})
    await children_of(operated, "clinic")
    await operated.kubectl("scale", "deployment/clinic", "--replicas=5")
    await operated.create("clinic", scaling={"replicas": 3})

    async def has_three() -> bool:
        return bool((await operated.get("deployment", "clinic"))["spec"]["replicas"] == 3)

    await eventually(has_three)
    assert await operated.condition("clinic", "Contested") == {}


async def test_a_fight_is_told_and_slows_down_while_new_flags_arrive(operated: Installation) -> None:
    """Argo CD applies a Service of its own making over ours, and its self-heal never tires."""
    await operated.create("clinic")
    await children_of(operated, "clinic")
    ports = [{"name": "public", "port": 8080, "protocol": "TCP", "targetPort": 15006}]
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "clinic"}, "spec": {"ports": ports}}
    manager = ("--server-side", "--force-conflicts", "--field-manager=argocd-controller", "--filename=-")

    async def heal() -> None:
        while True:
            await operated.kubectl("apply", *manager, given=json.dumps(theirs))

    healing = asyncio.create_task(heal())
    try:
        await eventually(lambda: says(operated, "Ready", "argocd-controller changed .spec.ports", "at most every 10 s"))
        assert (await operated.condition("clinic", "Ready"))["reason"] == "Contested"
        await operated.kubectl.patch("clinic", streaming={"mode": "Enabled"})
        await eventually(partial(streams, operated))
        times = re.search(r"(\d+) times", (await operated.condition("clinic", "Contested"))["message"])
    finally:
        healing.cancel()
        await asyncio.gather(healing, return_exceptions=True)

    assert len(await events(operated, "Contested")) == 2, "the first change, and that it goes on"
    assert times is not None
    assert int(times[1]) <= AT_ONCE + 3, "at the speed of the watches there would be dozens"

    async def is_ours_again() -> bool:
        service = await operated.get("service", "clinic")
        return {each["targetPort"] for each in service["spec"]["ports"]} == {"public", "internal"}

    await eventually(is_ours_again)
    await eventually(partial(differs, operated, "Ready", "Contested"), seconds=120)


async def batch(at: Installation, milliseconds: int) -> bool:
    """Whether a pass has come by since the spec has this."""
    live = await at.live("clinic")
    return bool(live["tuning.json"]["recognition"]["batchMilliseconds"] == milliseconds)


async def streams(at: Installation) -> bool:
    live = await at.live("clinic")
    return bool(live["flags.json"]["flags"]["streaming-stt"]["defaultVariant"] == "on")


async def differs(at: Installation, type_: str, reason: str) -> bool:
    return bool((await at.condition("clinic", type_))["reason"] != reason)


def placed(path: Path, namespace: str) -> str:
    return re.sub("namespace: voice.*", f"namespace: {namespace}", path.read_text())


async def seen(at: Installation, name: str) -> bool:
    """Whether the operator has written all that it writes into an agent."""
    found = await at.get("vagent", name)
    return bool(found["metadata"].get("finalizers")) and "conditions" in found.get("status", {})


@pytest.mark.parametrize("server_side", ["--server-side=true", "--server-side=false"])
async def test_kubectl_diff_shows_nothing_of_what_the_operator_adds(operated: Installation, server_side: str) -> None:
    for path in SAMPLES:
        given = placed(path, operated.namespace)
        name = yaml.safe_load(given)["metadata"]["name"]
        await operated.kubectl("apply", server_side, "--filename=-", given=given)
        await eventually(partial(seen, operated, name))

        assert await operated.kubectl("diff", server_side, "--filename=-", given=given, check=False) == "", path.name
        other = yaml.safe_load(given)
        other["spec"]["recognition"] = {**other["spec"].get("recognition", {}), "batchMilliseconds": 999}
        changed = yaml.safe_dump(other)
        assert "+    batchMilliseconds: 999" in await operated.kubectl(
            "diff", server_side, "--filename=-", given=changed, check=False
        )
        await operated.kubectl("delete", "vagent", name, "--timeout=60s")


async def test_kubectl_diff_shows_nothing_of_the_chart_while_the_operator_works(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """`helm template … | kubectl diff -f -`, with a key of one's own: Helm would print another one each time."""
    key = "operatorKey.existingSecret=key"
    async with installed(control_plane, namespace, tmp_path) as made:
        await install(control_plane, namespace, key)
        await made.operate(peering="batkol-operator")
        await made.create("clinic")
        await children_of(made, "clinic")
        given = yaml.safe_dump_all(rendered(namespace, key))

        for how in ("--server-side=true", "--server-side=false"):
            assert await made.kubectl("diff", how, "--filename=-", given=given, check=False) == ""
        other = given.replace("replicas: 1", "replicas: 2")
        assert "+  replicas: 2" in await made.kubectl("diff", "--filename=-", given=other, check=False)


CLASSES = (
    {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "voice"}, "value": 1000},
    {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "gvisor"}, "handler": "runsc"},
)


async def test_each_sample_gets_its_pods(operated: Installation, admin: AsyncClient) -> None:
    """What the samples name of the cluster is there; a stand-in has the pods run."""
    await operated.kubectl.apply(*CLASSES)
    async with Kubelets(admin, operated.namespace):
        for path in SAMPLES:
            given = placed(path, operated.namespace)
            name = yaml.safe_load(given)["metadata"]["name"]
            await operated.kubectl("apply", "--filename=-", given=given)
            await operated.until(name, "Available")

            stalled = await operated.condition(name, "Stalled")
            assert (stalled["status"], path.name) == ("False", path.name), stalled["message"]
            assert await operated.condition(name, "Contested") == {}
            await operated.kubectl("delete", "vagent", name, "--timeout=60s")


async def test_a_flag_that_git_has_is_not_flipped(operated: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(operated.control_plane.kubeconfig("gonogo")))
    callers = {"mode": "Enabled", "callers": [{"number": "+97231112222", "mode": "Enabled"}]}
    where = ObjectName(operated.namespace, "clinic")

    async def applied_from_git(streaming: dict[str, Any]) -> VoiceAgentStore:
        given = json.dumps(agent("clinic", streaming=streaming))
        manager = ("--server-side", "--field-manager=argocd-controller", "--force-conflicts", "--filename=-")
        await operated.kubectl("apply", *manager, given=given)
        return VoiceAgentStore(where, caller=CALLER, patience_s=60)

    store = await applied_from_git(callers)
    with pytest.raises(FlagStoreError, match=r"Argo CD applies VoiceAgent .*`spec\.streaming\.callers` too"):
        await store.set(streaming=False)

    store = await applied_from_git({"mode": "Enabled"})
    await store.set(streaming=False)
    flipped = (await operated.get("vagent", "clinic"))["spec"]["streaming"]
    assert flipped == {"mode": "Enabled", "callers": [{"number": CALLER, "mode": "Disabled"}]}
    await applied_from_git({"mode": "Enabled"})
    assert (await operated.get("vagent", "clinic"))["spec"]["streaming"] == flipped, "Git did not put it back"
    await store.restore()
    assert (await operated.get("vagent", "clinic"))["spec"]["streaming"] == {"mode": "Enabled"}


async def flags_of(at: Installation, name: str, *wanted: str) -> bool:
    live = await at.live(name)
    return bool(live and set(wanted) <= live["flags.json"]["flags"].keys())


async def test_flags_arrive_from_a_kind_that_comes_late_and_depth_stops_nothing(operated: Installation) -> None:
    """What is too deep for a reader ended the watch, and the operator with it."""
    on = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
    deep = '{"if": [true, ' * LEVELS + '"on"' + "]}" * LEVELS

    async def create(body: dict[str, Any]) -> None:
        path = operated.folder / f"{body['metadata']['name']}.json"
        path.write_text(json.dumps(body).replace('"DEEP"', deep))
        await operated.kubectl("create", f"--filename={path}")

    await operated.create("clinic", flagsFrom=[{"name": "house"}])
    await eventually(lambda: says(operated, "FlagsMerged", "This cluster has no FeatureFlags"))
    await operated.kubectl.apply(FEATURE_FLAGS)
    name = f"crd/{FEATURE_FLAGS['metadata']['name']}"
    await operated.kubectl("wait", "--for=condition=Established", "--timeout=60s", name)
    try:
        flags = {"warm": on, "deep": {**on, "targeting": "DEEP"}}
        house = {
            "apiVersion": "core.openfeature.dev/v1beta1",
            "kind": "FeatureFlag",
            "metadata": {"name": "house"},
            "spec": {"flagSpec": {"flags": flags}},
        }
        await create(house)
        await eventually(lambda: flags_of(operated, "clinic", "warm", "deep"))

        await create(agent("night", flags={"deep": {**on, "targeting": "DEEP"}}))
        await operated.until("night", "Stalled")
        shown = "-o=jsonpath={.status.conditions[?(@.type=='Stalled')].message}"  # the test reads no deep JSON either
        assert "nested deeper than 64 levels" in await operated.kubectl("get", "vagent", "night", shown)
        await operated.create("day", recognition={"batchMilliseconds": 220})
        await children_of(operated, "day")
        assert all(each.process is not None and each.process.returncode is None for each in operated.operators)
    finally:
        await operated.kubectl("delete", name, "--wait=false")
