"""The chart, the custom resource and the operator in a real API server, by the operator's own rights."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lightkube import AsyncClient

from support.kube.control_plane import ControlPlane
from support.kube.kubelet import Kubelets
from support.operators.installation import Installation, agent, children_of, installed
from support.time.waiting import eventually

CHILDREN = "serviceaccount,role,rolebinding,configmap,secret,service,deployment,pdb,hpa,networkpolicy,ingress"


@pytest.fixture
async def installation(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> AsyncIterator[Installation]:
    async with installed(control_plane, namespace, tmp_path) as made:
        yield made


@pytest.fixture
async def operated(installation: Installation) -> Installation:
    await installation.operate()
    return installation


NAMES = [f"google-v1/model-{number}" for number in range(8)]
ACCOUNT = {"name": "soniox", "key": "api-key"}
KNOCK = {"name": "knock", "url": "https://door.example"}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "batchMilliseconds": ({"recognition": {"batchMilliseconds": 5}}, "greater than or equal to 20"),
    "unknown field": ({"recogniton": {}}, "field not declared in schema"),
    "no token": ({"twilio": {"publicBaseUrl": "https://a.example"}}, "unless `validateSignatures` is false"),
    "a query": (
        {"twilio": {"publicBaseUrl": "https://a.example?x=1", "validateSignatures": False}},
        "without a query or a fragment",
    ),
    "rollout": ({"streaming": {"mode": "Rollout"}}, "rolloutPercent"),
    "no model of Soniox's": (
        {"recognition": {"recognizer": "soniox/nonexistent", "soniox": {"apiKeySecretRef": ACCOUNT}}},
        "must name no recognizer of Soniox's whose model `soniox.models` lacks",
    ),
    "no model for Hebrew": (
        {"recognition": {"order": ["google-v1/default", "google-v1/chirp"]}},
        "must name no recognizer of Google's but `google-v1/default` and `google-v1/command_and_search`",
    ),
    "a ninth recognizer": (
        {"recognition": {"language": "en-US", "recognizer": "google-v1/default", "order": NAMES}},
        "must name at most 8 recognizers",
    ),
    "scaling": ({"scaling": {"replicas": 2, "minReplicas": 1, "maxReplicas": 3}}, "replicas"),
    "both flags": (
        {
            "streaming": {"mode": "Enabled"},
            "flags": {"streaming-stt": {"state": "ENABLED", "variants": {"on": True, "off": False}}},
        },
        "both are the same flag",
    ),
    "no model": ({"reply": {"answerer": {"kind": "OpenAI", "url": "https://a.example/v1"}}}, "and `model` too"),
    "nobody answers": ({"reply": {"prompt": "Say little."}}, "unless `enabled` is false"),
    "unknown then": ({"reply": {"answerer": {"kind": "Echo", "then": "other"}}}, "must have every name"),
    "two tools of a name": (
        {"reply": {"answerer": {"kind": "Echo"}, "tools": [KNOCK, KNOCK]}},
        "duplicate entries for key",
    ),
    "labels without numbers": (
        {"reply": {"answerer": {"kind": "Echo"}, "transfers": {"labels": ["sales"]}}},
        "numbersSecretRef: Required value",
    ),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_spec_is_refused_with_a_sentence(installation: Installation, case: str) -> None:
    spec, sentence = BAD[case]
    with pytest.raises(RuntimeError, match=sentence):
        await installation.create("wrong", **spec)


async def test_a_name_that_no_service_can_have_is_refused(installation: Installation) -> None:
    for name in ("9th", "a" * 54):
        with pytest.raises(RuntimeError, match="must begin with a letter"):
            await installation.create(name)


async def test_kubectl_explains_every_field(installation: Installation) -> None:
    said = await installation.kubectl("explain", "vagent.spec.recognition.batchMilliseconds")
    assert "batchMilliseconds <integer>" in said
    assert "DESCRIPTION" in said
    said = await installation.kubectl("explain", "vagent.spec.reply.answerers.then")
    assert "Name of the answerer that is asked when this one fails" in " ".join(said.split())
    whole = await installation.kubectl("explain", "vagent", "--recursive")
    assert "<no description>" not in whole


async def test_an_agent_gets_everything_it_needs_and_says_when_it_is_ready(
    operated: Installation, admin: AsyncClient
) -> None:
    """Pods there are none here: the kubelet's stand-in says that they run, and nobody answers on their port."""
    await operated.create("clinic", scaling={"replicas": 2})
    await children_of(operated, "clinic")
    found = await operated.kubectl.json("get", CHILDREN, "--selector=batkol.dev/agent=clinic")
    kinds = {each["kind"] for each in found["items"]}
    assert kinds >= {"ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Secret", "Service", "Deployment"}
    uid = (await operated.get("vagent", "clinic"))["metadata"]["uid"]
    assert {each["metadata"]["ownerReferences"][0]["uid"] for each in found["items"]} == {uid}

    await eventually(lambda: _is(operated, "clinic", "Available", "False"))
    async with Kubelets(admin, operated.namespace):
        await operated.until("clinic", "Available")
        applied = await operated.condition("clinic", "TuningApplied")
        assert applied["status"] != "True", "no pod has said that it runs the tuning"
    columns = (await operated.kubectl("get", "vagent", "clinic", "--output=wide")).splitlines()[0].split()
    assert columns[:6] == ["NAME", "READY", "REASON", "PODS", "IN-SYNC", "CALLS"]


async def test_a_change_of_tuning_or_flags_writes_the_config_map_and_leaves_the_pods_alone(
    operated: Installation,
) -> None:
    await operated.create("clinic")
    await children_of(operated, "clinic")
    template, before = await operated.template("clinic"), await operated.live("clinic")

    await operated.kubectl.patch("clinic", recognition={"batchMilliseconds": 200}, streaming={"mode": "Enabled"})
    await eventually(lambda: _batch(operated, "clinic", 200))

    after = await operated.live("clinic")
    assert after["tuning.json"]["revision"] != before["tuning.json"]["revision"]
    assert after["flags.json"]["flags"]["streaming-stt"]["defaultVariant"] == "on"
    assert await operated.template("clinic") == template
    assert (await operated.get("deployment", "clinic"))["metadata"]["generation"] == 1

    await operated.kubectl.patch("clinic", calls={"maxPerPod": 40})
    await eventually(lambda: _differs(operated, "clinic", template))


async def test_what_somebody_changes_or_deletes_by_hand_is_put_right(operated: Installation) -> None:
    await operated.create("clinic")
    await children_of(operated, "clinic")
    short = '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":99}}}}'
    wanted = (await operated.get("deployment", "clinic"))["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    await operated.kubectl("patch", "deployment", "clinic", "--type=merge", f"--patch={short}")
    await eventually(lambda: _grace(operated, "clinic", wanted))

    for kind in ("service", "deployment", "role", "pdb"):
        old = (await operated.get(kind, "clinic"))["metadata"]["uid"]
        await operated.kubectl("delete", kind, "clinic", "--wait=false")
        await eventually(partial(_made_anew, operated, kind, "clinic", old))
    await operated.kubectl("patch", "cm", "clinic-live", "--type=merge", '--patch={"data":{"tuning.json":"{}"}}')
    await eventually(lambda: _batch(operated, "clinic", 150))
    assert await _grace(operated, "clinic", wanted)
    assert await operated.has_children("clinic")


async def test_another_manager_loses_the_fields_that_are_ours_and_keeps_its_own(operated: Installation) -> None:
    await operated.create("clinic")
    await children_of(operated, "clinic")
    theirs: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "clinic", "annotations": {"mesh.example.com/inject": "true"}},
        "spec": {"ports": [{"name": "public", "port": 8080, "protocol": "TCP", "targetPort": 15006}]},
    }
    await operated.kubectl(
        "apply", "--server-side", "--force-conflicts", "--field-manager=mesh", "--filename=-", given=json.dumps(theirs)
    )

    async def is_ours_again() -> bool:
        service = await operated.get("service", "clinic")
        return {each["targetPort"] for each in service["spec"]["ports"]} == {"public", "internal"}

    await eventually(is_ours_again)
    service = await operated.get("service", "clinic")
    assert service["metadata"]["annotations"]["mesh.example.com/inject"] == "true"


async def test_kubectl_scale_scales(operated: Installation) -> None:
    await operated.create("clinic", scaling={"replicas": 1})
    await children_of(operated, "clinic")
    await operated.kubectl("scale", "vagent/clinic", "--replicas=3")
    await eventually(lambda: _replicas(operated, "clinic", 3))
    assert (await operated.get("vagent", "clinic"))["spec"]["scaling"]["replicas"] == 3


async def test_the_pods_stay_as_many_as_they_are_when_an_autoscaler_takes_over(operated: Installation) -> None:
    await operated.create("clinic", scaling={"replicas": 4})
    await children_of(operated, "clinic")
    await eventually(lambda: _replicas(operated, "clinic", 4))
    await operated.create("clinic", scaling={"minReplicas": 2, "maxReplicas": 6})

    async def scaled_by_calls() -> bool:
        return await operated.get("hpa", "clinic") is not None

    await eventually(scaled_by_calls)
    deployment = await operated.get("deployment", "clinic")
    assert deployment["spec"]["replicas"] == 4
    await operated.kubectl("scale", "deployment/clinic", "--replicas=5")
    await operated.kubectl.patch("clinic", calls={"maxPerPod": 50})
    await eventually(lambda: _generation(operated, "clinic", deployment["metadata"]["generation"] + 2))
    assert await _replicas(operated, "clinic", 5), "what the autoscaler says stands"


async def test_a_paused_agent_is_left_alone_and_says_so(operated: Installation) -> None:
    await operated.create("clinic")
    await children_of(operated, "clinic")
    await operated.kubectl("annotate", "vagent", "clinic", "batkol.dev/paused=true")
    await eventually(lambda: _reason(operated, "clinic", "Ready", "Paused"))
    await operated.kubectl.patch("clinic", recognition={"batchMilliseconds": 300})
    await operated.kubectl("delete", "service", "clinic")
    await operated.create("other")
    await children_of(operated, "other")  # what the operator was to do before that is done
    assert await operated.get("service", "clinic") is None
    assert await _batch(operated, "clinic", 150)

    await operated.kubectl("annotate", "vagent", "clinic", "batkol.dev/paused-")
    await eventually(lambda: _batch(operated, "clinic", 300))
    await children_of(operated, "clinic")


async def test_what_admission_refuses_stalls_the_agent_until_it_is_put_right(operated: Installation) -> None:
    none = {"hard": {"services": "0"}}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": none}
    await operated.kubectl.apply(quota)
    counted = json.dumps({"status": {**none, "used": {"services": "0"}}})  # by the quota's controller, in a cluster
    await operated.kubectl("patch", "quota", "none", "--subresource=status", "--type=merge", f"--patch={counted}")
    await operated.create("clinic")
    await operated.until("clinic", "Stalled")
    stalled = await operated.condition("clinic", "Stalled")
    assert "Service" in stalled["message"]
    assert (await operated.condition("clinic", "Ready"))["status"] == "False"

    await operated.kubectl("delete", "quota", "none")
    await operated.until("clinic", "Stalled", "False")
    await children_of(operated, "clinic")


async def test_a_deleted_agent_leaves_nothing_behind(operated: Installation) -> None:
    await operated.create("clinic")
    await children_of(operated, "clinic")
    await operated.kubectl("delete", "vagent", "clinic", "--timeout=60s")

    async def nothing_left() -> bool:
        left = await operated.kubectl.json("get", CHILDREN, "--selector=batkol.dev/agent=clinic")
        return not left["items"]

    await eventually(nothing_left)
    assert await operated.get("vagent", "clinic") is None


async def test_killed_in_the_middle_the_next_operator_finishes(installation: Installation) -> None:
    first = await installation.operate("operator-1")
    for number in range(6):
        await installation.create(f"clinic-{number}")

    async def has_begun() -> bool:
        return await installation.get("configmap", "clinic-0-live") is not None

    await eventually(has_begun)
    assert await first.stop(signal.SIGKILL) == -signal.SIGKILL
    await installation.kubectl.patch("clinic-1", recognition={"batchMilliseconds": 250})

    await installation.operate("operator-2")
    for number in range(6):
        await children_of(installation, f"clinic-{number}")
    await eventually(lambda: _batch(installation, "clinic-1", 250))


async def test_of_two_operators_one_works_and_the_other_takes_over(installation: Installation) -> None:
    """The newest leads: after its end the older one goes on."""
    await installation.operate("operator-1", peering="batkol-operator")
    await installation.create("clinic")
    await children_of(installation, "clinic")
    first = installation.operators[0]
    second = await installation.operate("operator-2", peering="batkol-operator")
    await installation.kubectl.patch("clinic", recognition={"batchMilliseconds": 210})
    await eventually(lambda: _batch(installation, "clinic", 210))
    await second.stop(signal.SIGKILL)
    await installation.kubectl.patch("clinic", recognition={"batchMilliseconds": 220})
    await eventually(lambda: _batch(installation, "clinic", 220), seconds=90)
    assert first.process is not None
    assert first.process.returncode is None, "it waited all the time"


async def test_an_api_server_that_comes_back_finds_the_operator_at_work(
    control_plane: ControlPlane, operated: Installation
) -> None:
    await operated.create("clinic")
    await children_of(operated, "clinic")
    await control_plane.restart_api()
    await operated.kubectl.patch("clinic", recognition={"batchMilliseconds": 230})
    await eventually(lambda: _batch(operated, "clinic", 230), seconds=120)
    assert all(each.process is not None and each.process.returncode is None for each in operated.operators)


async def test_the_operator_may_not_read_secrets(operated: Installation) -> None:
    account = f"system:serviceaccount:{operated.namespace}:{operated.account}"
    for verb in ("get", "list", "watch", "delete"):
        said = await operated.kubectl("auth", "can-i", verb, "secrets", f"--as={account}", check=False)
        assert said.startswith("no"), verb


async def test_agent_documents_in_the_repository_are_accepted(installation: Installation) -> None:
    config = Path(__file__).parents[3] / "config"
    for sample in (config / "voiceagent.yaml", *(config / "samples").glob("*.yaml")):
        given = re.sub("namespace: voice.*", f"namespace: {installation.namespace}", sample.read_text())
        said = await installation.kubectl("apply", "--dry-run=server", "--filename=-", given=given)
        assert "created (server dry run)" in said, sample.name
    assert agent("x")["kind"] == "VoiceAgent"


async def _is(installation: Installation, name: str, type_: str, status: str) -> bool:
    return bool((await installation.condition(name, type_)).get("status") == status)


async def _reason(installation: Installation, name: str, type_: str, reason: str) -> bool:
    return bool((await installation.condition(name, type_)).get("reason") == reason)


async def _batch(installation: Installation, name: str, batch_ms: int) -> bool:
    live = await installation.live(name)
    return bool(live and live["tuning.json"].get("recognition", {}).get("batchMilliseconds") == batch_ms)


async def _differs(installation: Installation, name: str, template: str) -> bool:
    return await installation.template(name) != template


async def _grace(installation: Installation, name: str, seconds: int) -> bool:
    spec = (await installation.get("deployment", name))["spec"]["template"]["spec"]
    return bool(spec["terminationGracePeriodSeconds"] == seconds)


async def _made_anew(installation: Installation, kind: str, name: str, old: str) -> bool:
    found = await installation.get(kind, name)
    return found is not None and found["metadata"]["uid"] != old


async def _generation(installation: Installation, name: str, least: int) -> bool:
    return bool((await installation.get("deployment", name))["metadata"]["generation"] >= least)


async def _replicas(installation: Installation, name: str, count: int) -> bool:
    return bool((await installation.get("deployment", name))["spec"]["replicas"] == count)
