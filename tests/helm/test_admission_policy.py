"""The admission policy lets every plan of the operator pass, and nothing else of what its roles would allow.

The policy is that of the agreed rendering, evaluated here without an API server; `tests/e2e/real/test_rights.py` asks a
real one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from batkol_operator.kube import names
from batkol_operator.resources.plan import OWNED_KINDS, plan
from support.chart.files import Object, snapshot
from support.kube.admission_policy import Request, change, pod, refusals, set_at, voice_agent
from support.kube.front import rights
from support.kube.manifests import one
from support.operators.agents import AROUND, TWILIO, agent

PLURALS = {kind: f"{version.rpartition('/')[0]}/{plural}".lstrip("/") for version, kind, plural in OWNED_KINDS}
EVERYTHING: dict[str, Any] = {
    "scaling": {"maxReplicas": 4},
    "exposure": {"ingress": {}},
    "database": {"urlSecretRef": {"name": "postgres", "key": "url"}},
}
ROUTED: dict[str, Any] = {
    "twilio": {**TWILIO, "publicBaseUrl": "https://voice.example.com/below"},
    "scaling": {"maxReplicas": 4, "autoscaler": "ScaledObject", "prometheusUrl": "http://prometheus:9090"},
    "exposure": {"httpRoute": {"parentRefs": [{"name": "edge"}]}},
}


TELLING = ("Deployment", "RoleBinding", "Secret")
KINDS = [
    pytest.param(kind, marks=() if kind in TELLING else (pytest.mark.nightly,), id=kind) for _, kind, _ in OWNED_KINDS
]
"""All kinds; the policy has one rule for what they share, so three of them are enough for `make test`."""

ADDED: dict[str, Any] = {
    "service": {"type": "LoadBalancer", "port": 443},
    "pod": {
        "sidecars": [{"name": "proxy", "image": "proxy:1", "securityContext": {"runAsUser": 65532}}],
        "initContainers": [{"name": "fetch", "image": "fetch:1"}],
        "caBundle": {"secretRef": {"name": "authorities", "key": "ca.pem"}},
        "volumes": [
            {"name": "models", "persistentVolumeClaim": {"claimName": "models"}},
            {"name": "vault", "csi": {"driver": "secrets-store.csi.k8s.io"}},
            {"name": "sts", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
        ],
    },
}
PLANS = {"everything": EVERYTHING, "routed": ROUTED, "added": ADDED}


@cache
def policy() -> Object:
    (found,) = [each for each in snapshot("default") if each["kind"] == "ValidatingAdmissionPolicy"]
    return found


@cache
def planned(kind: str, name: str = "") -> Object:
    """Return a planned object; of the Services, the one for callers."""
    name = name or ("reception" if kind == "Service" else "")
    for spec in (EVERYTHING, ROUTED):
        made = plan(agent(**spec), AROUND)
        if kind in {each["kind"] for each in made.objects}:
            return one(made, kind, name)
    raise KeyError(kind)


def refused(plural: str, before: Object | None = None, after: Object | None = None, user: str = "") -> list[str]:
    request = Request(plural, before, after, user) if user else Request(plural, before, after)
    return refusals(policy(), request)


@pytest.mark.parametrize("which", PLANS)
def test_whatever_is_planned_may_be_made_changed_and_deleted(which: str) -> None:
    for each in plan(agent(**PLANS[which]), AROUND).objects:
        plural = PLURALS[each["kind"]]
        assert refused(plural, None, each) == [], each["kind"]
        assert refused(plural, each, each) == [], each["kind"]
        assert refused(plural, each) == [], each["kind"]


def test_every_kind_is_in_one_of_these_plans() -> None:
    assert all(planned(kind) for _, kind, _ in OWNED_KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_a_voice_agents_is_left_alone(kind: str) -> None:
    ours = planned(kind)
    unlabelled = change(ours, metadata={"labels": {"app": "theirs"}})
    unowned = change(ours, metadata={"ownerReferences": []})
    for theirs in (unlabelled, unowned):
        assert refused(PLURALS[kind], None, theirs), "it would be made"
        assert refused(PLURALS[kind], theirs, ours), "it would be taken over"
        assert refused(PLURALS[kind], ours, theirs), "it would be given away, to be changed after that"
        assert refused(PLURALS[kind], theirs, theirs), "an empty change answers with the object"
        assert refused(PLURALS[kind], theirs), "it would be deleted"


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_beside_the_agents_own_is_refused(kind: str) -> None:
    assert refused(PLURALS[kind], None, change(planned(kind), metadata={"name": "another"}))


def test_the_fleets_service_has_the_one_other_name_that_is_allowed() -> None:
    fleet = planned("Service", "reception-fleet")

    assert refused(PLURALS["Service"], None, fleet) == []
    assert refused(PLURALS["Service"], None, change(fleet, metadata={"name": "another-fleet"}))
    assert refused(PLURALS["ConfigMap"], None, change(planned("ConfigMap"), metadata={"name": "reception-fleet"}))


@pytest.mark.parametrize("kind", KINDS)
def test_the_clusters_own_namespaces_are_refused(kind: str) -> None:
    there = change(planned(kind), metadata={"namespace": "kube-system"})

    assert refused(PLURALS[kind], None, there)
    assert refused(PLURALS[kind], there, there)
    assert refused(PLURALS[kind], there)


def test_a_voice_agent_there_can_be_deleted() -> None:
    """One that an earlier release has looked after: the finalizer goes, and then the garbage collector has the rest."""
    held = voice_agent(namespace="kube-system", finalizers=[names.FINALIZER])

    assert refused("batkol.dev/voiceagents", held, change(held, metadata={"finalizers": []})) == []
    assert refused("batkol.dev/voiceagents", held, set_at("spec.calls", {"maxPerPod": 1})(held))


def test_nobody_else_is_restricted() -> None:
    theirs = change(planned("Deployment"), metadata={"labels": {}, "ownerReferences": [], "namespace": "kube-system"})
    for user in ("admin", "system:serviceaccount:other:batkol-operator", "system:serviceaccount:batkol-system:default"):
        assert refused("apps/deployments", theirs, theirs, user) == []


def _without_names(role: Object) -> Object:
    return {**role, "rules": [{key: value for key, value in role["rules"][0].items() if key != "resourceNames"}]}


CONTAINER = "spec.template.spec.containers.0"
HOSTILE: dict[str, tuple[str, Callable[[Object], Object]]] = {
    "a token of any account": ("Secret", set_at("type", "kubernetes.io/service-account-token")),
    "a role over secrets": ("Role", set_at("rules.0.resources", ["secrets"])),
    "a role over every config map": ("Role", _without_names),
    "a role that writes": ("Role", set_at("rules.0.verbs", ["get", "patch"])),
    "a role of another group": ("Role", set_at("rules.0.apiGroups", ["", "apps"])),
    "a binding of another role": ("RoleBinding", set_at("roleRef.name", "admin")),
    "a binding of a cluster role": ("RoleBinding", set_at("roleRef.kind", "ClusterRole")),
    "a binding for another account": ("RoleBinding", set_at("subjects.0.name", "default")),
    "a binding for an account elsewhere": ("RoleBinding", set_at("subjects.0.namespace", "elsewhere")),
    "a binding for everybody": ("RoleBinding", set_at("subjects.0", {"kind": "Group", "name": "system:authenticated"})),
    "pods of another account": ("Deployment", set_at("spec.template.spec.serviceAccountName", "default")),
    "pods without our label": ("Deployment", set_at("spec.template.metadata.labels", {"app": "theirs"})),
    "pods that others look after": ("Deployment", set_at("spec.selector.matchLabels", {"app": "theirs"})),
    "a privileged pod": ("Deployment", set_at(f"{CONTAINER}.securityContext.privileged", True)),
    "a pod that may become root": ("Deployment", set_at(f"{CONTAINER}.securityContext", {})),
    "a pod with capabilities": ("Deployment", set_at(f"{CONTAINER}.securityContext.capabilities.add", ["SYS_ADMIN"])),
    "a port of the node": ("Deployment", set_at(f"{CONTAINER}.ports.0.hostPort", 80)),
    "the node's network": ("Deployment", set_at("spec.template.spec.hostNetwork", True)),
    "the node's processes": ("Deployment", set_at("spec.template.spec.hostPID", True)),
    "a folder of the node": ("Deployment", set_at("spec.template.spec.volumes.0", {"hostPath": {"path": "/"}})),
    "a privileged first container": (
        "Deployment",
        set_at("spec.template.spec.initContainers.0.securityContext.privileged", True),
    ),
    "a service for other pods": ("Service", set_at("spec.selector", {"app": "theirs"})),
    "a balancer for the internal port": ("Service", set_at("spec.type", "LoadBalancer")),
    "a port of every node for the internal port": ("Service", set_at("spec.type", "NodePort")),
    "a service by another name": ("Service", set_at("spec.type", "ExternalName")),
    "another's address": ("Service", set_at("spec.externalIPs", ["10.0.0.1"])),
    "a budget that blocks other pods": ("PodDisruptionBudget", set_at("spec.selector", {"matchLabels": {}})),
    "a monitor of other pods": ("PodMonitor", set_at("spec.selector", {"matchLabels": {"app": "theirs"}})),
    "a monitor of other namespaces": ("PodMonitor", set_at("spec.namespaceSelector", {"any": True})),
    "a policy that cuts off every pod": ("NetworkPolicy", set_at("spec.podSelector", {})),
    "an autoscaler of another workload": ("HorizontalPodAutoscaler", set_at("spec.scaleTargetRef.name", "theirs")),
    "a scaled object of another workload": ("ScaledObject", set_at("spec.scaleTargetRef.name", "theirs")),
    "a scaled object of another kind": ("ScaledObject", set_at("spec.scaleTargetRef.kind", "StatefulSet")),
    "a way to another service": ("Ingress", set_at("spec.rules.0.http.paths.0.backend.service.name", "theirs")),
    "a way for everything else": ("Ingress", set_at("spec.defaultBackend", {"service": {"name": "theirs"}})),
    "a route to another service": ("HTTPRoute", set_at("spec.rules.0.backendRefs.0.name", "theirs")),
    "a route to another namespace": ("HTTPRoute", set_at("spec.rules.0.backendRefs.0.namespace", "theirs")),
    "a route to another kind": ("HTTPRoute", set_at("spec.rules.0.backendRefs.0.group", "example.com")),
    "a backend with a mirror": ("HTTPRoute", set_at("spec.rules.0.backendRefs.0.filters", [{"type": "RequestMirror"}])),
    "a route with a mirror": ("HTTPRoute", set_at("spec.rules.0.filters", [{"type": "RequestMirror"}])),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_an_agents_object_that_reaches_further_is_refused(what: str) -> None:
    kind, altered = HOSTILE[what]

    assert len(refused(PLURALS[kind], None, altered(planned(kind)))) == 1


ONE_OF_EACH = {kind: what for what, (kind, _) in HOSTILE.items()}


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(what, marks=() if kind in TELLING and ONE_OF_EACH[kind] == what else (pytest.mark.nightly,))
        for what, (kind, _) in HOSTILE.items()
    ],
)
def test_and_so_is_a_change_that_makes_it_reach_further(what: str) -> None:
    """The validations are the same: a row of three kinds is enough for `make test`."""
    kind, altered = HOSTILE[what]
    ours = planned(kind)

    assert len(refused(PLURALS[kind], ours, altered(ours))) == 1


def test_an_account_that_the_installer_allows_may_be_named() -> None:
    """And no other: the case `everything` allows two."""
    (allowing,) = [each for each in snapshot("everything") if each["kind"] == "ValidatingAdmissionPolicy"]
    user = "system:serviceaccount:batkol-system:voice"
    for account, taken in (("calls", True), ("shared", True), ("default", False)):
        made = plan(agent(pod={"serviceAccountName": account}), AROUND)
        for kind in ("Deployment", "RoleBinding"):
            found = refusals(allowing, Request(PLURALS[kind], None, one(made, kind), user))
            assert (found == []) is taken, (account, found)
            assert len(refused(PLURALS[kind], None, one(made, kind))) == 1, "the default allows none"
            assert all("admissionPolicy.serviceAccounts" in each for each in found)


def test_what_others_have_added_to_an_agents_workload_stands() -> None:
    sidecar = {"name": "mesh", "securityContext": {"privileged": True}}
    volume = {"name": "logs", "hostPath": {"path": "/var/log"}}
    ours = planned("Deployment")
    theirs = copy.deepcopy(ours)
    theirs["spec"]["template"]["spec"]["containers"].append(sidecar)
    theirs["spec"]["template"]["spec"]["volumes"].append(volume)
    more = set_at("spec.template.spec.terminationGracePeriodSeconds", 1)(theirs)

    assert refused("apps/deployments", theirs, more) == []
    assert refused("apps/deployments", theirs) == []
    assert refused("apps/deployments", ours, theirs), "the operator adds none of it"


def test_of_an_agents_pod_two_annotations_may_change() -> None:
    noted = pod(annotations={"theirs": "1"})
    ours = {names.LIVE_REVISION: "a-b", names.DELETION_COST: "3"}
    marked = change(noted, metadata={"annotations": {"theirs": "1", **ours}})

    assert refused("pods", noted, marked) == []
    assert refused("pods", marked, noted) == []
    assert refused("pods", pod(), change(pod(), metadata={"annotations": ours})) == []


@pytest.mark.parametrize(
    "after",
    [
        set_at("spec.containers.0.image", "evil:1"),
        set_at("spec.tolerations", [{"operator": "Exists"}]),
        set_at("metadata.labels.app", "theirs"),
        set_at("metadata.labels", {}),
        set_at("metadata.ownerReferences", []),
        set_at("metadata.finalizers", ["batkol.dev/finalizer"]),
        set_at("metadata.annotations.theirs", "2"),
        set_at("metadata.annotations", {}),
        set_at("metadata.annotations.sidecar", "inject"),
    ],
)
def test_nothing_else_of_it_may(after: Callable[[Object], Object]) -> None:
    before = pod(annotations={"theirs": "1"})

    assert len(refused("pods", before, after(before))) == 1


def test_no_other_pod_may_change_and_none_be_made_or_deleted() -> None:
    theirs = pod(labels={"app": "theirs"})

    assert refused("pods", theirs, theirs), "an empty change, too"
    assert refused("pods", theirs, change(theirs, metadata={"annotations": {names.DELETION_COST: "1"}}))
    assert refused("pods", None, pod())
    assert refused("pods", pod())


def test_of_a_voice_agent_its_finalizer_and_its_own_annotations_may_change() -> None:
    bare = voice_agent(finalizers=["theirs"], annotations={"theirs": "1"}, labels={"a": "b"})
    held = change(bare, metadata={"finalizers": ["theirs", names.FINALIZER]})
    noted = change(bare, metadata={"annotations": {"theirs": "1", "batkol.dev/kopf-managed": "yes"}})

    for before, after in ((bare, held), (held, bare), (bare, noted), (noted, bare)):
        assert refused("batkol.dev/voiceagents", before, after) == []


@pytest.mark.parametrize(
    "after",
    [
        set_at("spec.image", {"repository": "evil"}),
        set_at("metadata.finalizers", []),
        set_at("metadata.finalizers", ["theirs", "more"]),
        set_at("metadata.annotations", {}),
        set_at("metadata.annotations.theirs", "2"),
        set_at("metadata.labels", {}),
        set_at("metadata.ownerReferences", [{"kind": "ConfigMap", "name": "x", "uid": "y", "apiVersion": "v1"}]),
    ],
)
def test_nothing_else_of_a_voice_agent_may(after: Callable[[Object], Object]) -> None:
    before = voice_agent(finalizers=["theirs"], annotations={"theirs": "1"}, labels={"a": "b"})

    assert len(refused("batkol.dev/voiceagents", before, after(before))) == 1
    assert refused("batkol.dev/voiceagents", None, before)
    assert refused("batkol.dev/voiceagents", before)


def test_events_are_about_voice_agents() -> None:
    said = {"metadata": {"name": "e", "namespace": "voices"}}
    ours = {**said, "involvedObject": {"kind": "VoiceAgent", "apiVersion": names.API_VERSION, "name": "clinic"}}
    theirs = {**said, "involvedObject": {"kind": "Pod", "apiVersion": "v1", "name": "theirs"}}

    assert refused("events", None, ours) == []
    assert refused("events", None, theirs)
    assert refused("events", ours, ours)


def test_every_message_fits_into_a_status_and_says_who_speaks() -> None:
    for each in policy()["spec"]["validations"]:
        assert each["message"].startswith("The Batkol operator ")
        assert "\n" not in each["message"]
        assert len(each["message"]) <= 300
        assert each["reason"] == "Forbidden"


def test_what_the_roles_let_it_write_is_what_the_policy_looks_at() -> None:
    """The status of VoiceAgents and the peering apart: nothing but its own can be reached through them."""
    writes = {
        (group, resource) for group, resource, verb in rights() if verb in {"create", "update", "patch", "delete"}
    }
    looked_at = {
        (group, resource)
        for rule in policy()["spec"]["matchConstraints"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    aside = {
        ("batkol.dev", "voiceagents/status"),
        ("batkol.dev", "voiceagents/finalizers"),
        ("kopf.dev", "clusterkopfpeerings"),
        ("kopf.dev", "kopfpeerings"),
    }

    assert writes - aside == looked_at
