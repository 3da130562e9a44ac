"""What a stolen token of the operator can do and what it cannot, by doing it on a real API server.

The chart is installed for all namespaces, as `helm install` does it by itself: each refusal holds in the worst case.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from batkol_operator.kube import names
from support.kube.control_plane import ControlPlane
from support.kube.stolen_token import (
    ACCOUNT,
    EMPTY,
    JSON_PATCH,
    PATHS,
    Answer,
    Stolen,
    enforced,
    everywhere,
    stolen_token,
    voice_agent,
)
from support.operators.installation import agent
from support.time.waiting import eventually

SECRET = "a password that nobody may read"
LESS: tuple[dict[str, Any], ...] = (
    {"labels": {names.AGENT: None}},
    {"labels": {names.AGENT: "other"}},
    {"ownerReferences": []},
)
"""Metadata with which an object would be an agent's no longer, or another agent's."""
WRITES = {"create", "replace", "replace in part", "of another type", "of another version"}
"""The requests of `asked_for_the_secret` that the roles allow: the policy refuses them, and none shows anything."""


@pytest.fixture
async def stolen(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Stolen]:
    async with (
        everywhere(control_plane, namespace) as kubectl,
        stolen_token(control_plane, ACCOUNT, namespace) as token,
    ):
        made = Stolen(token, kubectl, namespace)
        await kubectl("create", "secret", "generic", "theirs", f"--from-literal=password={SECRET}")
        await enforced(made)
        yield made


async def test_no_request_answers_with_a_secret(stolen: Stolen) -> None:
    answers = await asked_for_the_secret(stolen)

    assert showing(answers) == []
    assert not_refused(answers) == WRITES
    stands = await stolen.kubectl.json("get", "secret", "theirs")
    assert base64.b64decode(stands["data"]["password"]).decode() == SECRET, "and none changes it"


async def test_without_the_policy_none_answers_with_it_either(control_plane: ControlPlane, namespace: str) -> None:
    """The verbs see to that alone. The Secret can be overwritten then, which is why there is a policy."""
    off = everywhere(control_plane, namespace, "admissionPolicy.enabled=false")
    async with off as kubectl, stolen_token(control_plane, ACCOUNT, namespace) as token:
        made = Stolen(token, kubectl, namespace)
        await kubectl("create", "secret", "generic", "theirs", f"--from-literal=password={SECRET}")
        allowed = {"metadata": {"name": "theirs", "namespace": namespace}}

        async def may() -> bool:
            return (await token.ask("PUT", f"{made.path('Secret', 'theirs')}?dryRun=All", allowed)).code == 200

        await eventually(may)
        answers = await asked_for_the_secret(made)

    assert showing(answers) == []
    assert not_refused(answers) == WRITES


async def asked_for_the_secret(stolen: Stolen) -> dict[str, Answer]:
    """Ask in every way in which a Secret may be shown; return the answers by what was asked."""
    token, one, every = stolen.token, stolen.path("Secret", "theirs"), stolen.path("Secret")
    metadata = {"name": "theirs", "namespace": stolen.namespace}
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
    return {
        "get": await token.ask("GET", one),
        "list": await token.ask("GET", every),
        "list everywhere": await token.ask("GET", "/api/v1/secrets"),
        "watch": await token.ask("GET", f"{every}?watch=true&timeoutSeconds=1"),
        **{kind: await token.patch(one, body, kind) for kind, body in EMPTY.items()},
        "a guess": await token.patch(
            one, [{"op": "test", "path": "/data/password", "value": _encoded(SECRET)}], JSON_PATCH
        ),
        "apply": await token.apply(one, body),
        "delete": await token.ask("DELETE", f"{one}?dryRun=All"),
        "delete all": await token.ask("DELETE", f"{every}?dryRun=All"),
        "create": await token.ask("POST", f"{every}?dryRun=All", body),
        "replace": await token.ask("PUT", f"{one}?dryRun=All", body),
        "replace in part": await token.ask("PUT", f"{one}?dryRun=All", {**body, "stringData": {"more": "x"}}),
        "of another type": await token.ask("PUT", f"{one}?dryRun=All", {**body, "type": "example.com/x"}),
        "of another version": await token.ask("PUT", one, {**body, "metadata": {**metadata, "resourceVersion": "1"}}),
    }


def showing(answers: Mapping[str, Answer]) -> list[str]:
    """Return what was asked with an answer that has the secret."""
    shown = (_encoded(SECRET), SECRET)
    return [what for what, answer in answers.items() if any(each in answer.text for each in shown)]


def not_refused(answers: Mapping[str, Answer]) -> set[str]:
    """Return what was asked and is not refused by the roles."""
    return {what for what, answer in answers.items() if not answer.by_rbac}


@pytest.fixture
async def left_clean(stolen: Stolen) -> AsyncIterator[None]:
    """`kube-system` is shared by all tests."""
    yield
    kinds = ",".join(kind.lower() for kind in PATHS)
    await stolen.kubectl("delete", kinds, "--namespace=kube-system", "--selector=app=theirs", "--wait=false")


@pytest.mark.usefixtures("left_clean")
@pytest.mark.parametrize("where", ["here", "kube-system"])
async def test_what_is_not_a_voice_agents_is_neither_made_changed_nor_deleted(stolen: Stolen, where: str) -> None:
    """Of every kind that the operator makes: one that others have made, under the name of an agent's."""
    namespace = "kube-system" if where == "kube-system" else stolen.namespace
    token = stolen.token
    for planned in await voice_agent(stolen):
        kind, name = planned["kind"], planned["metadata"]["name"]
        ours = {**planned, "metadata": {**planned["metadata"], "namespace": namespace}}
        theirs = copy.deepcopy(ours)
        theirs["metadata"] = {"name": name, "namespace": namespace, "labels": {"app": "theirs"}}
        collection, one = stolen.path(kind, namespace=namespace), stolen.path(kind, name, namespace)
        assert (await token.ask("POST", collection, theirs)).by_policy, f"{kind} made"
        await stolen.kubectl("apply", "--server-side", "--filename=-", given=json.dumps(theirs))
        before = await stolen.stands(kind, name, namespace)
        if kind == "Secret":
            assert (await token.ask("PUT", one, ours)).by_policy, "Secret taken over"
            assert (await token.ask("PUT", one, theirs)).by_policy, "Secret changed"
        else:
            assert (await token.apply(one, ours)).by_policy, f"{kind} taken over"
            assert (await token.patch(one, {"metadata": {"labels": ours["metadata"]["labels"]}})).by_policy, kind
            assert (await token.patch(one, {})).by_policy, f"{kind}: an empty patch"
            assert (await token.ask("DELETE", one)).by_policy, f"{kind} deleted"
        assert await stolen.stands(kind, name, namespace) == before, f"{kind} is as it was"


async def test_what_is_an_agents_is_made_changed_and_deleted_and_not_given_away(stolen: Stolen) -> None:
    token = stolen.token
    for ours in await voice_agent(stolen):
        kind, name = ours["kind"], ours["metadata"]["name"]
        one = stolen.path(kind, name)
        if kind == "Secret":
            assert (await token.ask("POST", stolen.path(kind), ours)).code == 201
            assert (await token.ask("PUT", one, ours)).code == 200
            continue
        made = await token.apply(one, ours)
        assert made.code == 201, made.text
        assert (await token.apply(one, ours)).code == 200
        for less in LESS:
            assert (await token.patch(one, {"metadata": less})).by_policy, f"{kind}: {less}"
    for kind in PATHS:
        if kind != "Secret":
            deleted = await token.ask("DELETE", stolen.path(kind, "clinic-live" if kind == "ConfigMap" else "clinic"))
            assert deleted.code in (200, 202, 404), deleted.text  # it has no autoscaler and no Ingress


async def test_no_right_leads_to_another(stolen: Stolen) -> None:
    """Subresources, other kinds, other people: RBAC has them all. What it would let pass, the policy does not."""
    token, here = stolen.token, f"namespaces/{stolen.namespace}"
    rbac = f"/apis/rbac.authorization.k8s.io/v1/{here}"
    for what, answer in {
        "run in a pod": await token.ask("POST", f"/api/v1/{here}/pods/p/exec?command=id"),
        "forward": await token.ask("POST", f"/api/v1/{here}/pods/p/portforward"),
        "read a log": await token.ask("GET", f"/api/v1/{here}/pods/p/log"),
        "evict": await token.ask("POST", f"/api/v1/{here}/pods/p/eviction", {"metadata": {"name": "p"}}),
        "debug": await token.patch(f"/api/v1/{here}/pods/p/ephemeralcontainers", {}),
        "resize": await token.patch(f"/api/v1/{here}/pods/p/resize", {}),
        "make a pod": await token.ask("POST", f"/api/v1/{here}/pods", {"metadata": {"name": "p"}}),
        "delete a pod": await token.ask("DELETE", f"/api/v1/{here}/pods/p"),
        "scale": await token.patch(f"/apis/apps/v1/{here}/deployments/d/scale", {}),
        "write a status": await token.patch(f"/apis/apps/v1/{here}/deployments/d/status", {}),
        "a token": await token.ask("POST", f"/api/v1/{here}/serviceaccounts/default/token", {}),
        "a lease": await token.ask("POST", f"/apis/coordination.k8s.io/v1/{here}/leases", {"metadata": {"name": "l"}}),
        "an agent": await token.ask("POST", f"/apis/batkol.dev/v1alpha1/{here}/voiceagents", agent("evil")),
        "delete an agent": await token.ask("DELETE", f"/apis/batkol.dev/v1alpha1/{here}/voiceagents/clinic"),
        "delete all": await token.ask("DELETE", f"/api/v1/{here}/configmaps"),
        "a cluster role": await token.ask("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", {}),
        "a node": await token.ask("GET", "/api/v1/nodes"),
        "a namespace": await token.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}}),
        "the policy": await token.ask(
            "DELETE",
            f"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/{ACCOUNT}.{stolen.namespace}",
        ),
        "replace a role": await token.ask("PUT", f"{rbac}/roles/r", {"metadata": {"name": "r"}}),
        "another's peering": await token.patch("/apis/kopf.dev/v1/clusterkopfpeerings/another", {}),
        "be another": await token.ask("GET", f"/api/v1/{here}/configmaps", be="system:admin"),
    }.items():
        assert answer.by_rbac, f"{what}: {answer}"


async def test_roles_and_secrets_of_an_agent_open_nothing(stolen: Stolen) -> None:
    """RBAC would let all of these pass, for the operator has the rights itself: with them another account could use
    those that the policy does not look at, or a token of any account would be written into the agent's Secret.
    """
    by_kind = {each["kind"]: each for each in await voice_agent(stolen)}
    writes_secrets = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "update"]}
    role = {**by_kind["Role"], "rules": [*by_kind["Role"]["rules"], writes_secrets]}
    binding = {**by_kind["RoleBinding"], "subjects": [{"kind": "Group", "name": "system:authenticated"}]}
    token_of = {"kubernetes.io/service-account.name": "default"}
    secret = {**by_kind["Secret"], "type": "kubernetes.io/service-account-token", "data": {}}
    secret["metadata"] = {**secret["metadata"], "annotations": token_of}
    assert (await stolen.token.apply(stolen.path("Role", "clinic"), by_kind["Role"])).code == 201
    for body in (role, binding):
        answer = await stolen.token.apply(stolen.path(body["kind"], body["metadata"]["name"]), body)
        assert answer.by_policy, answer
    answer = await stolen.token.ask("POST", stolen.path("Secret"), secret)
    assert answer.by_policy, answer


REACHING: dict[str, tuple[str, str, Any]] = {
    "every pod cut off": ("NetworkPolicy", "/spec/podSelector", {}),
    "every pod held": ("PodDisruptionBudget", "/spec/selector", {"matchLabels": {"app": "theirs"}}),
    "another's address": ("Service", "/spec/externalIPs", ["10.0.0.1"]),
    "other pods served": ("Service", "/spec/selector", {"app": "theirs"}),
    "the node's files": ("Deployment", "/spec/template/spec/volumes/-", {"name": "x", "hostPath": {"path": "/"}}),
    "the node's network": ("Deployment", "/spec/template/spec/hostNetwork", True),
    "a privileged container": (
        "Deployment",
        "/spec/template/spec/containers/0/securityContext",
        {"privileged": True, "runAsNonRoot": True},
    ),
    "pods of another account": ("Deployment", "/spec/template/spec/serviceAccountName", "default"),
}


async def test_an_agents_objects_do_not_reach_further_than_the_agent(stolen: Stolen) -> None:
    paths: dict[str, list[str]] = {kind: [] for kind, _, _ in REACHING.values()}
    for each in await voice_agent(stolen):
        if (kind := each["kind"]) in paths:
            paths[kind].append(stolen.path(kind, each["metadata"]["name"]))
            assert (await stolen.token.apply(paths[kind][-1], each)).code == 201
    for what, (kind, where, value) in REACHING.items():
        assert paths[kind], kind
        for path in paths[kind]:
            answer = await stolen.token.patch(path, [{"op": "add", "path": where, "value": value}], JSON_PATCH)
            assert answer.by_policy, f"{what}, {path}: {answer}"


async def test_of_pods_and_agents_only_what_is_the_operators_changes(stolen: Stolen) -> None:
    await voice_agent(stolen)
    container = {"name": "media", "image": "none.example/none:1"}
    for name, labels in (("ours", names.labels("clinic")), ("theirs", {"app": "theirs"})):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}}
        await stolen.kubectl.apply({**pod, "spec": {"containers": [container]}})
    token, ours, theirs = stolen.token, stolen.path("Pod", "ours"), stolen.path("Pod", "theirs")
    noted = {"metadata": {"annotations": {names.DELETION_COST: "3", names.LIVE_REVISION: "a-b"}}}
    image = [{"op": "replace", "path": "/spec/containers/0/image", "value": "none.example/evil:1"}]

    assert (await token.patch(ours, noted)).code == 200
    assert (await token.patch(theirs, noted)).by_policy
    assert (await token.patch(theirs, {})).by_policy
    for one in (ours, theirs):
        assert (await token.patch(one, image, JSON_PATCH)).by_policy, "another image"
        assert (
            await token.patch(one, {"metadata": {"labels": {"app": None}, "finalizers": ["a.example/b"]}})
        ).by_policy
        assert (await token.patch(one, {"metadata": {"annotations": {"sidecar.example/inject": "true"}}})).by_policy
    clinic = f"/apis/batkol.dev/v1alpha1/namespaces/{stolen.namespace}/voiceagents/clinic"
    assert (await token.patch(clinic, {"spec": {"calls": {"maxPerPod": 7}}})).by_policy
    assert (await token.patch(clinic, {"metadata": {"labels": {"a": "b"}}})).by_policy
    assert (await token.patch(clinic, {"metadata": {"finalizers": [names.FINALIZER]}})).code == 200
    assert (await token.patch(clinic, {"metadata": {"finalizers": []}})).code == 200
    before = await stolen.stands("VoiceAgent", "clinic", stolen.namespace)
    through_status = {"spec": {"calls": {"maxPerPod": 7}}, "metadata": {"labels": {"a": "b"}}, "status": {"pods": 1}}
    assert (await token.patch(f"{clinic}/status", through_status)).code == 200
    assert await stolen.stands("VoiceAgent", "clinic", stolen.namespace) == before

    about = {"kind": "Pod", "apiVersion": "v1", "name": "theirs", "namespace": stolen.namespace}
    event = {"metadata": {"name": "e", "namespace": stolen.namespace}, "involvedObject": about, "reason": "Faked"}
    assert (await token.ask("POST", f"/api/v1/namespaces/{stolen.namespace}/events", event)).by_policy


async def test_what_a_stolen_token_can_still_do_is_as_the_docs_tell_it(stolen: Stolen) -> None:
    """It can have a pod mount a Secret of the namespace, as pods of agents do; without the agent it does not last."""
    (deployment,) = [each for each in await voice_agent(stolen) if each["kind"] == "Deployment"]
    text = json.dumps(deployment).replace("clinic", "invented")
    mine = json.loads(text)
    mine["spec"]["template"]["spec"]["volumes"].append({"name": "stolen", "secret": {"secretName": "theirs"}})
    mine["metadata"]["ownerReferences"][0]["uid"] = "00000000-0000-0000-0000-000000000000"

    made = await stolen.token.ask("POST", stolen.path("Deployment"), mine)

    assert made.code == 201, made.text

    async def collected() -> bool:
        said = await stolen.kubectl("get", "deployment", "invented", "--ignore-not-found")
        return not said.strip()

    await eventually(collected)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
