"""What a team adds to the pods: it comes where it should, and takes nothing that the operator sets."""

from __future__ import annotations

from typing import Any

import pytest

from batkol.environment import remove_reserved
from batkol_operator.model.reserved import CONTAINERS, PREFIXES, VARIABLES, VOLUMES
from batkol_operator.resources.plan import plan
from support.kube.manifests import VERSIONS, not_restricted, one, refusal, variables
from support.operators.agents import AROUND, agent, sample, unadmitted

KEPT = {"urlSecretRef": {"name": "postgres", "key": "url"}}
PROXY: dict[str, Any] = {"name": "proxy", "image": "registry.example.com/proxy:1"}
SOCKETS = {"name": "sockets", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
MOUNT = {"name": "sockets", "mountPath": "/srv/sockets"}
BUNDLE = {"configMapRef": {"name": "authorities", "key": "bundle.pem"}}
READERS = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")


def pods(**spec: Any) -> dict[str, Any]:
    template: dict[str, Any] = one(plan(agent(**spec), AROUND), "Deployment")["spec"]["template"]["spec"]
    return template


def test_sidecars_start_first_and_end_last() -> None:
    """A native sidecar ends after the program: the calls of a draining pod keep their proxy, and `migrate` has it."""
    added = {"sidecars": [PROXY], "initContainers": [{**PROXY, "name": "fetch"}]}
    first = pods(database=KEPT, pod=added)["initContainers"]

    assert [(each["name"], each.get("restartPolicy")) for each in first] == [
        ("proxy", "Always"),
        ("fetch", None),
        ("migrate", None),
    ]


def test_the_program_stays_the_only_container_beside_them() -> None:
    assert [each["name"] for each in pods(pod={"sidecars": [PROXY]})["containers"]] == ["media"]


def test_whatever_is_added_keeps_to_the_restricted_standard() -> None:
    """What would break it is no field, and is pruned by the API server; here it is written all the same."""
    hostile = {
        **PROXY,
        "securityContext": {
            "privileged": True,
            "allowPrivilegeEscalation": True,
            "runAsNonRoot": False,
            "capabilities": {"add": ["SYS_ADMIN"]},
            "runAsUser": 65532,
            "readOnlyRootFilesystem": False,
        },
        "ports": [{"containerPort": 5432, "hostPort": 5432}],
    }
    made = one(plan(unadmitted({"pod": {"sidecars": [hostile]}}), AROUND), "Deployment")["spec"]["template"]["spec"]

    assert list(not_restricted(made)) == []
    assert made["initContainers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": False,
        "runAsNonRoot": True,
        "runAsUser": 65532,
    }


def test_variables_and_mounts_reach_the_program_and_the_migration() -> None:
    source = {"secretKeyRef": {"name": "proxy", "key": "url"}}
    env = [{"name": "NO_PROXY", "value": ".svc"}, {"name": "HTTPS_PROXY", "valueFrom": source}]
    more = {"env": env, "envFrom": [{"secretRef": {"name": "more"}}], "volumes": [SOCKETS], "volumeMounts": [MOUNT]}
    made = pods(database=KEPT, pod=more)

    for each in (made["containers"][0], made["initContainers"][0]):
        assert each["env"][-2:] == env, "after those of the operator"
        assert each["envFrom"] == [{"secretRef": {"name": "more"}}]
        assert MOUNT in each["volumeMounts"]
    assert SOCKETS in made["volumes"]


def test_the_program_is_told_what_env_from_may_not_set() -> None:
    """No one else sees what is in the objects: the operator reads no Secret."""
    told = variables(plan(agent(pod={"envFrom": [{"secretRef": {"name": "more"}}]}), AROUND))
    ours, others = (set(str(told[name]).split(",")) for name in ("SPEC_SETS", "SPEC_UNSETS"))
    plain = variables(plan(agent(), AROUND))

    assert ours | others | {"SPEC_SETS", "SPEC_UNSETS"} == set(VARIABLES)
    assert ours == set(plain)
    assert {"STREAM_SECRET", "DATABASE_URL"} <= others
    environ = {
        **dict.fromkeys(told, "the operator's"),
        **{name: str(told[name]) for name in ("SPEC_SETS", "SPEC_UNSETS")},
    }
    assert remove_reserved({**environ, "STREAM_SECRET": "theirs"}) == ["STREAM_SECRET"]


def test_a_claim_gets_the_group_that_the_spec_names_and_no_other() -> None:
    """OpenShift gives user and group out of the namespace's range, and refuses a pod that names others."""
    claim = {"volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "models"}}]}
    named, unnamed = pods(pod={**claim, "fsGroup": 10001}), pods(pod=claim, database=KEPT)

    assert named["securityContext"]["fsGroup"] == 10001
    assert named["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    assert list(not_restricted(named)) == []
    made = (unnamed, *unnamed["containers"], *unnamed["initContainers"])
    contexts = [each["securityContext"] for each in made]
    assert len(contexts) == 3
    assert not {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"} & {
        name for each in contexts for name in each
    }


def test_without_additions_the_pods_have_none() -> None:
    made = pods()

    assert "envFrom" not in made["containers"][0]
    assert not {"dnsPolicy", "dnsConfig", "hostAliases", "runtimeClassName", "initContainers"} & made.keys()


@pytest.mark.parametrize(
    ("ref", "volume"),
    [
        ("configMapRef", {"configMap": {"name": "authorities"}}),
        ("secretRef", {"secret": {"secretName": "authorities"}}),
    ],
)
def test_a_bundle_is_named_to_every_library_that_has_its_own(ref: str, volume: dict[str, Any]) -> None:
    wanted = plan(agent(pod={"caBundle": {ref: {"name": "authorities", "key": "bundle.pem"}}}, database=KEPT), AROUND)
    made = one(wanted, "Deployment")["spec"]["template"]["spec"]
    (source,) = volume.values()
    items = [{"key": "bundle.pem", "path": "ca.crt"}]

    assert {"name": "ca", next(iter(volume)): {**source, "items": items}} in made["volumes"]
    for each in (made["containers"][0], made["initContainers"][0]):
        assert {"name": "ca", "mountPath": "/etc/batkol/ca", "readOnly": True} in each["volumeMounts"]
    assert [variables(wanted)[name] for name in READERS] == ["/etc/batkol/ca/ca.crt"] * 3


def test_the_database_is_not_checked_by_a_bundle_unasked() -> None:
    """Its authority is often its own: with this variable `sslmode=require` would refuse the server."""
    assert "PGSSLROOTCERT" not in variables(plan(agent(pod={"caBundle": BUNDLE}, database=KEPT), AROUND))


@pytest.mark.parametrize(("url", "named"), [("https://collector:4317", True), ("http://collector:4317", False)])
def test_the_collectors_certificate_is_checked_where_it_has_one(url: str, named: bool) -> None:
    wanted = plan(agent(pod={"caBundle": BUNDLE}, telemetry={"otlpEndpoint": url}), AROUND)

    assert ("OTEL_EXPORTER_OTLP_CERTIFICATE" in variables(wanted)) is named


def test_headers_for_the_collector_come_from_a_secret() -> None:
    telemetry = {"otlpEndpoint": "https://collector:4317", "otlpHeadersSecretRef": {"name": "tenant", "key": "headers"}}

    assert variables(plan(agent(telemetry=telemetry), AROUND))["OTEL_EXPORTER_OTLP_HEADERS"] == {
        "secretKeyRef": {"name": "tenant", "key": "headers"}
    }


def test_flagd_is_named_by_its_address() -> None:
    flagd = {"host": "flagd.flags", "port": 9015, "tls": True, "selector": "source=voice"}
    found = variables(plan(agent(flagd=flagd), AROUND))

    assert {name: found.get(name) for name in ("FLAGS_PROVIDER", *(each for each in found if "FLAGD" in each))} == {
        "FLAGS_PROVIDER": "flagd",
        "FLAGD_HOST": "flagd.flags",
        "FLAGD_SYNC_PORT": "9015",
        "FLAGD_TLS": "true",
        "FLAGD_SOURCE_SELECTOR": "source=voice",
    }


def test_how_names_are_resolved_is_passed_on_as_written() -> None:
    resolving = {
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["10.0.0.10"], "options": [{"name": "ndots", "value": "2"}]},
        "hostAliases": [{"ip": "10.0.0.7", "hostnames": ["pbx.example.com"]}],
        "runtimeClassName": "gvisor",
    }
    made = pods(pod=resolving)

    assert {name: made[name] for name in resolving} == resolving


def test_the_names_that_are_reserved_are_those_that_plans_use() -> None:
    """A variable that a new field sets has to be reserved: a team's own of that name would override it unseen."""
    body = sample()
    body["spec"]["pod"] |= {"env": [], "caBundle": BUNDLE}
    body["spec"]["recognition"] |= {"endpoint": "double:9000", "insecure": True}
    body["spec"]["google"]["voices"] |= {"endpoint": "double:9001", "insecure": True}
    body["spec"]["telemetry"] |= {"otlpEndpoint": "https://collector:4317"}
    body["spec"]["reply"]["voice"] = {
        "kind": "OpenAI",
        "url": "https://v.example/v1",
        "model": "m",
        "voiceName": "v",
        "then": "last",
        "thenAfterMilliseconds": 900,
        "keySecretRef": {"name": "n", "key": "k"},
    }
    hedged = {"answerer": {"kind": "Hedged", "first": "own-bot", "second": "large", "hedgeAfterMilliseconds": 9}}
    others = [each for each in body["spec"]["reply"]["answerers"] if each["kind"] != "Hedged"]
    flagd = {"flagd": {"host": "flagd", "selector": "s"}}
    planned = [
        plan(unadmitted(body["spec"]), AROUND),
        plan(unadmitted({"reply": {**body["spec"]["reply"], "answerers": others, **hedged}}), AROUND),
        plan(unadmitted(flagd), AROUND),
    ]
    used = {name for each in planned for name in variables(each) if not name.startswith(PREFIXES)}
    pod = one(planned[0], "Deployment")["spec"]["template"]["spec"]

    live = {"STT_RECOGNIZER", "STT_RECOGNIZERS_ORDER"}  # `tuning.json` has them; a variable would say otherwise, unseen
    assert used | live == set(VARIABLES)
    assert used & live == set()
    assert len(set(VARIABLES)) == len(VARIABLES)
    assert {name for each in planned for name in variables(each)} - used, "the prefixes are used, too"
    assert set(VOLUMES) <= {volume["name"] for volume in pod["volumes"]}
    assert {each["name"] for each in (*pod["containers"], *pod["initContainers"])} >= set(CONTAINERS)


@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]])
def test_kubernetes_takes_every_volume_and_probe(version: str) -> None:
    volumes = [
        {"name": "a", "configMap": {"name": "m", "items": [{"key": "k", "path": "p", "mode": 256}], "optional": True}},
        {"name": "b", "secret": {"secretName": "s", "defaultMode": 256}},
        SOCKETS,
        {"name": "c", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
        {"name": "d", "csi": {"driver": "secrets-store.csi.k8s.io", "volumeAttributes": {"a": "b"}}},
        {
            "name": "e",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"path": "token", "audience": "sts", "expirationSeconds": 3600}},
                    {"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
                ]
            },
        },
    ]
    checks = [{"httpGet": {"port": 9090}}, {"tcpSocket": {"port": "sql"}}, {"exec": {"command": ["true"]}}]
    named = zip(("startupProbe", "readinessProbe", "livenessProbe"), checks, strict=True)
    grpc = {"startupProbe": {"grpc": {"port": 9}, "periodSeconds": 1}}
    ports = [{"name": "sql", "containerPort": 5432}]
    sidecars = [{**PROXY, "ports": ports, **dict(named)}, {**PROXY, "name": "other", **grpc}]
    made = one(plan(agent(pod={"volumes": volumes, "sidecars": sidecars}), AROUND), "Deployment")

    assert refusal(made, version) == ""
    assert list(not_restricted(made["spec"]["template"]["spec"])) == []
