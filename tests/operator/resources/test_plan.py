"""The plan as a whole: pure, complete, owned, valid, and with a template that nothing live touches.

`PYTHONPATH=tests python tests/operator/resources/test_plan.py` writes the snapshots anew.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from pydantic.alias_generators import to_camel

from batkol_operator.kube import names
from batkol_operator.model.agent import Spec, VoiceAgent
from batkol_operator.model.recognition import LIVE
from batkol_operator.model.reply import ReplySpec
from batkol_operator.resources.plan import OPTIONAL_KINDS, OWNED_KINDS, Plan, plan
from support.kube.manifests import FOREIGN, VERSIONS, kinds, one, refusal, snapshot
from support.operators.agents import AROUND, TWILIO, agent, sample, specs, unadmitted
from support.properties import few_by_day

SNAPSHOTS = Path(__file__).parent / "snapshots"
BARE = dataclasses.replace(AROUND, kinds=frozenset())
KEDA = {"maxReplicas": 4, "autoscaler": "ScaledObject", "prometheusUrl": "http://prometheus:9090"}
ROUTE = {"httpRoute": {"parentRefs": [{"name": "edge"}]}}
SECRET = {"name": "other", "key": "key"}


def read_sample() -> VoiceAgent:
    return VoiceAgent.read(sample())


def autoscaled() -> VoiceAgent:
    return agent(scaling={"maxReplicas": 4}, exposure=ROUTE)


def fixed() -> VoiceAgent:
    return agent(scaling={"replicas": 3}, exposure={"ingress": {}})


EVERY = {"smallest": agent, "sample": read_sample, "autoscaled": autoscaled, "fixed": fixed}


@pytest.fixture(params=list(EVERY))
def wanted(request: pytest.FixtureRequest) -> Plan:
    return plan(EVERY[request.param](), AROUND)


def template_hash(of: VoiceAgent) -> str:
    template = one(plan(of, AROUND), "Deployment")["spec"]["template"]
    return hashlib.sha256(json.dumps(template).encode()).hexdigest()


@few_by_day(12)
@given(specs)
def test_the_same_input_gives_the_same_bytes(spec: dict[str, Any]) -> None:
    first, second = (plan(unadmitted(copy.deepcopy(spec)), AROUND) for _ in range(2))

    assert json.dumps(first.objects) == json.dumps(second.objects)
    assert first == second


def test_the_smallest_agent_gets_what_it_needs_in_the_order_to_apply_it() -> None:
    """What a pod needs to start comes before the pods."""
    assert kinds(plan(agent(), AROUND)) == [
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "ConfigMap",
        "Secret",
        "Service",
        "Service",
        "Deployment",
        "PodDisruptionBudget",
        "NetworkPolicy",
        "PodMonitor",
    ]


def test_what_may_be_planned_is_known_to_be_ours() -> None:
    """What is labelled and not planned is deleted: a kind missing here would be left behind."""
    planned = {(each["apiVersion"], each["kind"]) for make in EVERY.values() for each in plan(make(), AROUND).objects}

    assert planned == {(api_version, kind) for api_version, kind, _ in OWNED_KINDS}
    optional = {f"{version.split('/')[0]}/{kind}" for version, kind, _ in OWNED_KINDS if kind in FOREIGN}
    assert optional == OPTIONAL_KINDS


@pytest.mark.parametrize(
    "version",
    [*(pytest.param(each, marks=pytest.mark.nightly) for each in VERSIONS[:-1]), VERSIONS[-1]],
)
def test_every_version_of_kubernetes_takes_it(version: str) -> None:
    every = {json.dumps(each): each for make in EVERY.values() for each in plan(make(), AROUND).objects}
    for each in every.values():
        if each["kind"] not in FOREIGN:
            assert refusal(each, version) == ""


def test_every_object_is_labelled_named_and_owned(wanted: Plan) -> None:
    for each in wanted.objects:
        about = each["metadata"]
        suffix = {"ConfigMap": "-live", "Secret": "-api"}.get(each["kind"], "")
        if each["kind"] == "Service" and each["spec"].get("clusterIP") == "None":
            suffix = "-fleet"
        assert about["name"] == f"reception{suffix}"
        assert about["namespace"] == "voice"
        assert about["labels"] == names.labels("reception")
        (owner,) = about["ownerReferences"]
        assert owner.pop("uid").startswith("0c5e-")
        assert owner == {
            "apiVersion": "batkol.dev/v1alpha1",
            "kind": "VoiceAgent",
            "name": "reception",
            "controller": True,
            "blockOwnerDeletion": True,
        }


def test_no_object_says_what_is_not_ours_to_say(wanted: Plan) -> None:
    """A status, or a null, would be a field that we own and overrule."""

    def nulls(value: Any) -> Iterator[Any]:
        if isinstance(value, dict | list):
            for inner in value.values() if isinstance(value, dict) else value:
                yield from nulls(inner)
        elif value is None:
            yield value

    for each in wanted.objects:
        assert "status" not in each
        assert list(nulls(each)) == []
        assert json.loads(json.dumps(each)) == each


@few_by_day(12)
@given(specs)
def test_nothing_live_touches_the_template(spec: dict[str, Any]) -> None:
    """Or a change of a number would roll the pods, and cut the calls in them."""
    spec.get("recognition", {}).pop("phrases", None)

    assert template_hash(unadmitted(spec)) == TEMPLATE


TEMPLATE = template_hash(agent())


@pytest.mark.parametrize(
    "spec",
    [
        {"recognition": {"batchMilliseconds": 20}},
        {"recognition": {"partialDebounceMilliseconds": 0}},
        {"recognition": {"finalTimeoutMilliseconds": 5000}},
        {"recognition": {"recognizer": "google-v1/command_and_search"}},
        {"recognition": {"order": ["google-v1/default", "google-v1/command_and_search"]}},
        {"endpointing": {"silenceMilliseconds": 3000}},
        {"endpointing": {"minimumSpeechMilliseconds": 1000}},
        {"endpointing": {"preRollMilliseconds": 0}},
        {"streaming": {"mode": "Enabled"}},
        {"streaming": {"mode": "Rollout", "rolloutPercent": 5}},
        {"streaming": {"callers": [{"number": "+972500000001", "mode": "Enabled"}]}},
        {"flags": {"streaming-stt": {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"}}},
    ],
    ids=json.dumps,
)
def test_a_live_change_writes_the_config_map_and_nothing_else(spec: dict[str, Any]) -> None:
    before, after = plan(agent(), AROUND), plan(agent(**spec), AROUND)
    changed = [new["kind"] for old, new in zip(before.objects, after.objects, strict=True) if old != new]

    assert changed == ["ConfigMap"]
    assert (before.tuning_revision, before.flags_revision) != (after.tuning_revision, after.flags_revision)


ANSWERS: dict[str, Any] = {"answerer": {"kind": "Echo"}}
ANSWERING = template_hash(unadmitted({"reply": ANSWERS}))
KNOCK = {"name": "knock", "url": "https://door.example"}
# what of `spec.reply` is live, with a value that an agent which echoes does not have
LIVE_REPLY: dict[str, Any] = {
    "enabled": False,
    "prompt": "Say little.",
    "greeting": "שלום",
    "greetingInterruptible": False,
    "phrases": {"filler": ""},
    "tools": [{"name": "hang_up"}, {**KNOCK, "parameters": {"type": "object"}, "timeoutSeconds": 3}],
    "leadFields": [{"name": "phone"}],
    "interruption": {"words": 1},
    "idle": {"prompts": 3},
    "turns": {"fillerMilliseconds": 1200},
    "limits": {"longestCallSeconds": 60},
    "budget": {"minutes": 3},
}
ROLLING_REPLY: dict[str, Any] = {
    "answerer": {"kind": "Webhook", "url": "https://bot.example"},
    "answerers": [{"name": "other", "kind": "Echo"}],
    "voice": {"kind": "Espeak"},
    "voices": [{"name": "other", "kind": "Espeak"}],
    "tools": [{**KNOCK, "tokenSecretRef": SECRET}],
    "transfers": {"numbersSecretRef": SECRET},
    "speculativeAttemptsPerMinute": 5,
}


@pytest.mark.parametrize(("field", "value"), LIVE_REPLY.items())
def test_a_live_change_of_replies_writes_the_config_map_and_nothing_else(field: str, value: Any) -> None:
    before, after = (plan(unadmitted({"reply": {**ANSWERS, **more}}), AROUND) for more in ({}, {field: value}))
    changed = [new["kind"] for old, new in zip(before.objects, after.objects, strict=True) if old != new]

    assert changed == ["ConfigMap"]
    assert (before.reply_revision, before.flags_revision, before.tuning_revision) != (
        after.reply_revision,
        after.flags_revision,
        after.tuning_revision,
    )


@pytest.mark.parametrize(("field", "value"), ROLLING_REPLY.items())
def test_a_change_of_replies_that_is_not_live_rolls_the_pods(field: str, value: Any) -> None:
    assert template_hash(unadmitted({"reply": {**ANSWERS, field: value}})) != ANSWERING


def test_every_field_of_replies_is_known_to_roll_the_pods_or_not_and_says_so() -> None:
    fields = ReplySpec.model_fields
    assert LIVE_REPLY.keys() | ROLLING_REPLY.keys() == {field.alias or name for name, field in fields.items()}
    said = {field.alias or name: str(field.description) for name, field in fields.items()}
    assert [name for name in LIVE_REPLY if not said[name].startswith("Live")] == []
    assert [name for name in ROLLING_REPLY.keys() - LIVE_REPLY.keys() if said[name].startswith("Live.")] == []


def test_labels_that_may_be_used_now_are_live() -> None:
    one_, other = (
        unadmitted({"reply": {**ANSWERS, "transfers": {"numbersSecretRef": SECRET, "labels": labels}}})
        for labels in (["sales"], ["night"])
    )

    assert template_hash(one_) == template_hash(other)
    assert plan(one_, AROUND).reply_revision != plan(other, AROUND).reply_revision


def test_every_live_number_was_tried() -> None:
    assert LIVE == {
        "recognition": (
            "batch_milliseconds",
            "partial_debounce_milliseconds",
            "final_timeout_milliseconds",
            "recognizer",
            "order",
        ),
        "endpointing": ("silence_milliseconds", "minimum_speech_milliseconds", "pre_roll_milliseconds"),
    }


# what rolls the pods, by path, with a value that it does not have in the smallest agent
ROLLING: dict[str, Any] = {
    "reply": {"answerer": {"kind": "Echo"}},
    "plugins": ["bot"],
    "image": {"repository": "r/b", "tag": "2"},
    "image.pullPolicy": "Always",
    "image.pullSecrets": [{"name": "registry"}],
    "recognition.language": "en-US",
    "recognition.model": "command_and_search",
    "recognition.endpoint": "double:9000",
    "recognition": {"endpoint": "double:9001", "insecure": True},
    "recognition.phrases": ["קבלה"],
    "recognition.maxStreams": 3,
    "recognition.soniox": {"apiKeySecretRef": SECRET, "maxStreams": 7},
    "recognition.whisper": {"url": "http://whisper"},
    "endpointing.detector": "WebRTC",
    "calls.maxPerPod": 99,
    "calls.drainTimeoutSeconds": 301,
    "calls.overflowUrl": "https://example.com/overflow",
    "twilio.publicBaseUrl": "https://other.example.com",
    "twilio.authTokenSecretRef": SECRET,
    "twilio.validateSignatures": False,
    "twilio.restApi": {"accountSid": "AC" + "0" * 32},
    "twilio.ownTwiml": {"streamSecretRef": SECRET},
    "google.credentialsSecretRef": SECRET,
    "google.voices": {"maxSessions": 7},
    "database": {"urlSecretRef": SECRET},
    "sinks": [{"name": "crm", "kind": "NATS", "url": "nats://bus", "events": [], "partials": True}],
    "internalApi.tokensSecretRef": SECRET,
    "internalApi.hosts": ["console.example.com"],
    "internalApi.consoles": [{"agent": "sales", "url": "https://sales.example.com/console/"}],
    "telemetry.traceUrl": "https://jaeger.example.com/trace/{trace_id}",
    "telemetry.otlpEndpoint": "http://collector:4317",
    "telemetry": {"otlpEndpoint": "http://collector:4317", "samplePercent": 5},
    "telemetry.captureTranscripts": True,
    "telemetry.logTranscripts": True,
    "telemetry.logLevel": "Debug",
    "pod.resources.requests": {"cpu": "2"},
    "pod.resources.limits": {"memory": "2Gi"},
    "pod.nodeSelector": {"disk": "ssd"},
    "pod.tolerations": [{"key": "dedicated"}],
    "pod.affinity": {"nodeAffinity": {}},
    "pod.priorityClassName": "voice",
    "pod.labels": {"team": "voice"},
    "pod.annotations": {"a": "b"},
    "pod.runtimeClassName": "gvisor",
    "pod.fsGroup": 10001,
    "pod.serviceAccountName": "calls",
    "pod.env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "pod.envFrom": [{"configMapRef": {"name": "more"}}],
    "pod.volumes": [{"name": "more", "emptyDir": {}}],
    "pod": {"volumes": [{"name": "more", "emptyDir": {}}], "volumeMounts": [{"name": "more", "mountPath": "/srv"}]},
    "pod.caBundle": {"configMapRef": {"name": "authorities", "key": "ca.pem"}},
    "pod.sidecars": [{"name": "proxy", "image": "proxy:1"}],
    "pod.initContainers": [{"name": "fetch", "image": "fetch:1"}],
    "pod.dnsPolicy": "Default",
    "pod.dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
    "pod.hostAliases": [{"ip": "10.0.0.7", "hostnames": ["pbx.example.com"]}],
    "flagd": {"host": "flagd.flags"},
}
# what does not
STANDING: dict[str, Any] = {
    "scaling": {"maxReplicas": 3},
    "exposure": {"ingress": {}},
    "service": {"type": "LoadBalancer", "port": 443, "annotations": {"a": "b"}},
    "networkPolicy": {"mode": "Disabled"},
    "telemetry.podMonitor": "Disabled",
    "pod.serviceAccountAnnotations": {"a": "b"},
    "streaming": {"mode": "Enabled"},
    "flags": {"other": {"state": "ENABLED", "variants": {"a": 1}}},
    "flagsFrom": [{"name": "house"}],
}


def with_field(path: str, value: Any) -> VoiceAgent:
    spec: dict[str, Any] = {"twilio": dict(TWILIO)}
    *parents, last = path.split(".")
    inner = spec
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[last] = value
    return agent(**spec)


@pytest.mark.parametrize(("path", "value"), ROLLING.items())
def test_a_change_that_is_not_live_rolls_the_pods(path: str, value: Any) -> None:
    assert template_hash(with_field(path, value)) != TEMPLATE


@pytest.mark.parametrize(("path", "value"), STANDING.items())
def test_a_change_beside_the_pods_leaves_them_alone(path: str, value: Any) -> None:
    assert template_hash(with_field(path, value)) == TEMPLATE


def test_every_field_is_known_to_roll_the_pods_or_not() -> None:
    """A new field has to be put on one of the lists above, or to be live."""
    live = {f"{part}.{to_camel(name)}" for part, found in LIVE.items() for name in found}
    said = {*ROLLING, *STANDING, *live}
    within = {
        "pod.volumeMounts",
        "telemetry.otlpHeadersSecretRef",
        "image.repository",
        "image.tag",
        "image.digest",
        "recognition.insecure",
        "telemetry.samplePercent",
    }
    fields = set()
    for part, field in Spec.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        alias = field.alias or part
        fields |= {alias} if inner is None else {f"{alias}.{deeper.alias or name}" for name, deeper in inner.items()}
    whole = {path for path in said if "." not in path}
    covered = {path for path in fields if path in said | within or path.split(".")[0] in whole & STANDING.keys()}

    assert fields - covered == {"pod.resources"}  # tried by its two halves


def test_a_kind_that_the_cluster_lacks_is_not_planned_and_said() -> None:
    wanted = plan(agent(scaling=KEDA, exposure=ROUTE, telemetry={"podMonitor": "Enabled"}), BARE)

    assert not FOREIGN & set(kinds(wanted))
    assert len(wanted.warnings) == 3
    assert all(warning.endswith(".") for warning in wanted.warnings)
    assert plan(agent(scaling=KEDA, exposure=ROUTE, telemetry={"podMonitor": "Enabled"}), AROUND).warnings == ()


def test_transfers_that_no_pod_could_carry_out_are_said() -> None:
    reply = {**ANSWERS, "transfers": {"numbersSecretRef": SECRET}}
    api = {**TWILIO, "restApi": {"accountSid": "AC" + "0" * 32}}

    assert plan(unadmitted({"reply": reply, "twilio": api}), AROUND).warnings == ()
    [warning] = plan(unadmitted({"reply": reply}), AROUND).warnings
    assert warning.startswith("Callers cannot be transferred: `reply.transfers` needs Twilio's REST API")


def test_a_new_token_changes_the_secret_and_rolls_the_pods() -> None:
    """The service reads it at start, and the operator asks with the new one."""
    before, after = (plan(agent(), dataclasses.replace(AROUND, api_token=token)) for token in ("a" * 64, "b" * 64))
    changed = [new["kind"] for old, new in zip(before.objects, after.objects, strict=True) if old != new]

    assert changed == ["Secret", "Deployment"]


@pytest.mark.parametrize("name", list(EVERY))
def test_the_plan_is_as_it_was_looked_over(name: str) -> None:
    """A difference is not wrong; it is to be seen. The file's first line says how to write it anew."""
    assert (SNAPSHOTS / f"{name}.yaml").read_text("utf-8") == snapshot(plan(EVERY[name](), AROUND))


if __name__ == "__main__":
    SNAPSHOTS.mkdir(exist_ok=True)
    for name, make in EVERY.items():
        (SNAPSHOTS / f"{name}.yaml").write_text(snapshot(plan(make(), AROUND)), "utf-8")
    sys.stdout.write(f"{len(EVERY)} snapshots written to {SNAPSHOTS}\n")
