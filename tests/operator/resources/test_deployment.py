from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from typer.main import get_command

from batkol.calls.drain import ENDING_S, HANDOVER_S, PAUSE_S
from batkol.main import app
from batkol.sinks.sinks import FINISH_S
from batkol.store import store as records
from batkol.store.journal.aside import KEPT_BYTES
from batkol.store.journal.dead_letters import MOST_BYTES
from batkol.store.journal.file import WAL_BYTES
from batkol.store.journal.newest import UNWRITTEN_BYTES
from batkol.store.journal.reserve import RESERVE_BYTES
from batkol.telemetry import metrics
from batkol.tracing import tracing as traces
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources import lifetime
from batkol_operator.resources.plan import plan
from support.kube.manifests import container, not_restricted, one
from support.operators.agents import AROUND, agent, sample

main = get_command(app)


def pod(**spec: Any) -> dict[str, Any]:
    template: dict[str, Any] = one(plan(agent(**spec), AROUND), "Deployment")["spec"]["template"]
    return template


@pytest.mark.parametrize("wanted", [agent, lambda: VoiceAgent.read(sample())], ids=["smallest", "sample"])
def test_pods_keep_to_the_restricted_standard(wanted: Callable[[], VoiceAgent]) -> None:
    template = one(plan(wanted(), AROUND), "Deployment")["spec"]["template"]["spec"]

    assert list(not_restricted(template)) == []


def test_the_root_is_read_only_and_tmp_is_not() -> None:
    spec = pod()["spec"]
    only = spec["containers"][0]

    assert only["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}} in spec["volumes"]
    assert {"name": "tmp", "mountPath": "/tmp"} in only["volumeMounts"]


def test_the_live_directory_is_mounted_whole() -> None:
    """A `subPath` is never updated."""
    spec = pod()["spec"]

    (mount,) = [one for one in spec["containers"][0]["volumeMounts"] if one["name"] == "live"]
    assert mount == {"name": "live", "mountPath": "/etc/batkol/live", "readOnly": True}
    assert {"name": "live", "configMap": {"name": "reception-live", "optional": True}} in spec["volumes"]


def test_googles_key_has_one_name_whatever_the_secrets_is() -> None:
    wanted = plan(VoiceAgent.read(sample()), AROUND)
    spec = one(wanted, "Deployment")["spec"]["template"]["spec"]

    items = [{"key": "service-account.json", "path": "credentials.json"}]
    assert {"name": "google", "secret": {"secretName": "google", "items": items}} in spec["volumes"]


KEEPING = {"urlSecretRef": {"name": "postgres", "key": "url"}}


@pytest.mark.parametrize("size", [16, 256, 65_536])
def test_the_journal_is_full_before_its_volume_is(size: int) -> None:
    """A pod whose volume outgrows its limit is evicted, and its journal goes with it."""
    spec = pod(database={**KEEPING, "journal": {"sizeLimitMebibytes": size}})["spec"]

    beside = (2 * MOST_BYTES + RESERVE_BYTES + KEPT_BYTES + 4 * WAL_BYTES) >> 20
    (state,) = [volume["emptyDir"] for volume in spec["volumes"] if volume["name"] == "state"]
    assert int(state["sizeLimit"].removesuffix("Mi")) >= size + beside
    assert {"name": "state", "mountPath": "/var/lib/batkol"} in spec["containers"][0]["volumeMounts"]


def test_the_newest_records_stand_in_memory_that_has_room_for_a_disk_that_stands_still() -> None:
    """Which counts in the container's limit, so it has to be less."""
    spec = pod(database=KEEPING)["spec"]

    assert {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}} in spec["volumes"]
    assert {"name": "memory", "mountPath": "/run/batkol"} in spec["containers"][0]["volumeMounts"]
    assert spec["containers"][0]["resources"]["limits"] == {"memory": "1Gi"}
    assert 2 * UNWRITTEN_BYTES <= 64 << 20


def test_the_tables_are_made_before_the_pod_takes_calls() -> None:
    """With the pod's own resources: a pod asks for the most of them, and not for the sum."""
    spec = pod(database=KEEPING)["spec"]
    (first,), (media,) = spec["initContainers"], spec["containers"]

    assert (first["name"], first["args"]) == ("migrate", ["migrate", "--if-reachable"])
    assert first["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    for same in ("image", "imagePullPolicy", "env", "resources", "securityContext"):
        assert first[same] == media[same]
    assert not {"ports", "startupProbe", "readinessProbe", "livenessProbe", "lifecycle"} & first.keys()
    assert main(["migrate", "--help"], standalone_mode=False) == 0


def test_without_a_database_nothing_is_migrated_and_no_journal_is_mounted() -> None:
    spec = pod()["spec"]

    assert "initContainers" not in spec
    assert {volume["name"] for volume in spec["volumes"]} == {"tmp", "live"}


@pytest.mark.parametrize("change", [{"poolSize": 6}, {"retentionDays": 1}, {"journal": {"sizeLimitMebibytes": 16}}])
def test_what_the_store_reads_at_start_rolls_the_pods(change: dict[str, Any]) -> None:
    assert pod(database={**KEEPING, **change}) != pod(database=KEEPING)


@pytest.mark.parametrize("drain_s", [0, 300, 86_400])
def test_the_kubelet_kills_only_after_the_service_has_given_up(drain_s: int) -> None:
    """The time that `preStop` takes counts."""
    spec = pod(calls={"drainTimeoutSeconds": drain_s})["spec"]
    pre_stop_s = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    left = spec["terminationGracePeriodSeconds"] - pre_stop_s - drain_s - PAUSE_S - ENDING_S - HANDOVER_S

    assert pre_stop_s == 5
    assert left == lifetime.MARGIN_S > records.FLUSH_S + FINISH_S + traces.FLUSH_S + metrics.FLUSH_S
    assert lifetime.ENDING_S == PAUSE_S + ENDING_S
    assert lifetime.HANDOVER_S == HANDOVER_S


def test_a_rollout_is_given_up_only_after_a_drain() -> None:
    spec = one(plan(agent(calls={"drainTimeoutSeconds": 3600}), AROUND), "Deployment")["spec"]

    assert spec["progressDeadlineSeconds"] > spec["template"]["spec"]["terminationGracePeriodSeconds"]


def test_no_pod_goes_before_another_is_ready() -> None:
    spec = one(plan(agent(), AROUND), "Deployment")["spec"]

    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": "25%"}
    assert spec["minReadySeconds"] == 5


def test_probes_ask_the_port_that_strangers_do_not_reach() -> None:
    only = container(plan(agent(), AROUND))
    paths = {name: only[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}

    assert {name: (get["path"], get["port"]) for name, get in paths.items()} == {
        "startup": ("/healthz", "internal"),
        "readiness": ("/readyz", "internal"),
        "liveness": ("/healthz", "internal"),
    }
    assert [(port["name"], port["containerPort"]) for port in only["ports"]] == [("public", 8080), ("internal", 8081)]


def test_the_autoscaler_of_nodes_leaves_pods_with_calls_alone() -> None:
    annotations = pod(pod={"annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true", "a": "b"}})

    assert annotations["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
    assert annotations["metadata"]["annotations"]["a"] == "b"


def test_services_of_other_names_set_no_variables() -> None:
    """A Service named `internal` would set INTERNAL_PORT to a URL, and no pod would start."""
    assert pod()["spec"]["enableServiceLinks"] is False


def test_pods_are_spread_where_that_can_be_done() -> None:
    spread = pod()["spec"]["topologySpreadConstraints"]

    assert [one["topologyKey"] for one in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert {one["whenUnsatisfiable"] for one in spread} == {"ScheduleAnyway"}


def test_the_pods_have_the_selectors_labels() -> None:
    spec = one(plan(agent(pod={"labels": {"team": "voice"}}), AROUND), "Deployment")["spec"]
    labels = spec["template"]["metadata"]["labels"]

    assert spec["selector"]["matchLabels"].items() <= labels.items()
    assert labels["team"] == "voice"
    assert spec["selector"]["matchLabels"].keys() == {
        f"app.kubernetes.io/{key}" for key in ("name", "instance", "component")
    }


def test_what_is_said_of_placing_is_passed_on_as_written() -> None:
    written = sample()["spec"]["pod"]
    spec = one(plan(VoiceAgent.read(sample()), AROUND), "Deployment")["spec"]["template"]["spec"]

    assert spec["affinity"] == written["affinity"]
    assert spec["tolerations"] == written["tolerations"]
    assert spec["nodeSelector"] == written["nodeSelector"]
    assert spec["priorityClassName"] == "voice"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({}, AROUND.image),
        ({"repository": "r/b", "tag": "2"}, "r/b:2"),
        ({"repository": "r/b", "digest": "sha256:" + "a" * 64}, "r/b@sha256:" + "a" * 64),
    ],
)
def test_the_image_is_the_agents_or_the_operators(image: dict[str, str], reference: str) -> None:
    assert container(plan(agent(image=image), AROUND))["image"] == reference


def test_a_new_token_rolls_the_pods_and_is_not_readable_in_them() -> None:
    annotations = pod()["metadata"]["annotations"]

    assert len(annotations["batkol.dev/api-revision"]) == 12
    assert annotations["batkol.dev/api-revision"] not in AROUND.api_token
