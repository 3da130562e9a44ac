"""What a stolen token of the operator can do and what it cannot, by doing it on a real API server.

The chart is installed for all namespaces, as `helm install` does it by itself: each refusal holds in the worst case.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # has no types
from lightkube import AsyncClient, KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace

from batkol_operator import names
from batkol_operator.cluster import Cluster
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.plan import OWNED_KINDS, Surroundings, plan
from support.control_plane import ControlPlane
from support.installed import IMAGE, Kubectl, rendered
from support.operating import Installation, agent, children_of, installed
from support.stolen_token import EMPTY, JSON_PATCH, StolenToken, stolen_token
from support.waiting import eventually

SECRET = "a password that nobody may read"
EVERYWHERE = "watchNamespaces=null"
ACCOUNT = "batkol-operator"
OF_THE_CLUSTER = ("ClusterRole", "ClusterRoleBinding", "ClusterKopfPeering")
PATHS = {
    kind: (f"/apis/{version}" if "/" in version else f"/api/{version}", plural)
    for version, kind, plural in OWNED_KINDS
    if not version.startswith(("keda.sh", "monitoring.coreos.com", "gateway.networking"))
}
"""Where the kinds are; those of others are in no plain API server."""


LESS: tuple[dict[str, Any], ...] = (
    {"labels": {names.AGENT: None}},
    {"labels": {names.AGENT: "other"}},
    {"ownerReferences": []},
)
"""Metadata with which an object would be an agent's no longer, or another agent's."""


class Stolen:
    """The operator's token, and a namespace with an agent and with what belongs to others."""

    def __init__(self, token: StolenToken, kubectl: Kubectl, namespace: str) -> None:
        self.token, self.kubectl, self.namespace = token, kubectl, namespace

    def path(self, kind: str, name: str = "", namespace: str = "") -> str:
        root, plural = PATHS[kind] if kind in PATHS else ("/api/v1", f"{kind.lower()}s")
        return f"{root}/namespaces/{namespace or self.namespace}/{plural}{'/' + name if name else ''}"

    async def stands(self, kind: str, name: str, namespace: str) -> Any:
        """What somebody has asked for, without what controllers write: status, versions, annotations."""
        found = await self.kubectl.json("get", kind.lower(), name, f"--namespace={namespace}")
        metadata = {
            key: found["metadata"].get(key) for key in ("uid", "labels", "ownerReferences", "deletionTimestamp")
        }
        return {**found, "metadata": metadata, "status": None}


@asynccontextmanager
async def everywhere(control_plane: ControlPlane, namespace: str, *settings: str) -> AsyncIterator[Kubectl]:
    """Install the chart for all namespaces, and take what is the cluster's away again."""
    kubectl = Kubectl(control_plane, namespace)
    objects = rendered(namespace, EVERYWHERE, f"fullnameOverride={ACCOUNT}", *settings)
    crds = [each for each in objects if each["kind"] == "CustomResourceDefinition"]
    await kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", given=yaml.safe_dump_all(crds))
    await kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/voiceagents.batkol.dev")
    await kubectl.apply(*(each for each in objects if each["kind"] not in ("CustomResourceDefinition", "Deployment")))
    try:
        yield kubectl
    finally:
        for each in objects:
            if each["kind"].startswith("ValidatingAdmissionPolicy") or each["kind"] in OF_THE_CLUSTER:
                await kubectl("delete", each["kind"].lower(), each["metadata"]["name"], "--wait=false")


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


async def enforced(stolen: Stolen) -> None:
    """Wait until RBAC lets the account in and the policy keeps it out: both are caches, a moment behind."""

    async def refused() -> bool:
        answer = await stolen.token.ask("POST", stolen.path("ConfigMap") + "?dryRun=All", {"metadata": {"name": "x"}})
        return answer.by_policy

    await eventually(refused)


async def voice_agent(stolen: Stolen, name: str = "clinic") -> list[dict[str, Any]]:
    """Create an agent; return what the operator makes for it, not applied yet."""
    await stolen.kubectl.apply(agent(name))
    body = await stolen.kubectl.json("get", "voiceagent", name)
    return list(plan(VoiceAgent.read(body), Surroundings(IMAGE, "0f" * 32, frozenset(), stolen.namespace)).objects)


async def test_no_request_answers_with_a_secret(stolen: Stolen) -> None:
    await assert_no_answer_has_the_secret(stolen)

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
        await assert_no_answer_has_the_secret(made)


async def assert_no_answer_has_the_secret(stolen: Stolen) -> None:
    token, one, every = stolen.token, stolen.path("Secret", "theirs"), stolen.path("Secret")
    metadata = {"name": "theirs", "namespace": stolen.namespace}
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
    answers = {
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
    for what, answer in answers.items():
        assert _encoded(SECRET) not in answer.text, what
        assert SECRET not in answer.text, what
    refused = {what for what, answer in answers.items() if answer.by_rbac}
    assert refused == set(answers) - {what for what in answers if what.startswith(("create", "replace", "of another"))}


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
    by_kind = {each["kind"]: each for each in await voice_agent(stolen)}
    for kind in {kind for kind, _, _ in REACHING.values()}:
        assert (await stolen.token.apply(stolen.path(kind, "clinic"), by_kind[kind])).code == 201
    for what, (kind, where, value) in REACHING.items():
        change = [{"op": "add", "path": where, "value": value}]
        answer = await stolen.token.patch(stolen.path(kind, "clinic"), change, JSON_PATCH)
        assert answer.by_policy, f"{what}: {answer}"


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


async def test_nobody_but_the_operator_is_looked_at(stolen: Stolen) -> None:
    """Not the administrator, nor an account of the same name elsewhere."""
    await stolen.kubectl("create", "configmap", "theirs")
    await stolen.kubectl("label", "configmap", "theirs", "a=b")
    await stolen.kubectl("create", "namespace", f"{stolen.namespace}-b")
    await stolen.kubectl("create", "serviceaccount", ACCOUNT, f"--namespace={stolen.namespace}-b")
    other = f"--as=system:serviceaccount:{stolen.namespace}-b:{ACCOUNT}"
    binding = ("create", "rolebinding", "other", "--clusterrole=edit")
    await stolen.kubectl(*binding, f"--serviceaccount={stolen.namespace}-b:{ACCOUNT}")
    await eventually(
        lambda: _says(stolen.kubectl, "labeled", "label", "configmap", "theirs", "c=d", "--overwrite", other)
    )
    await stolen.kubectl("delete", "namespace", f"{stolen.namespace}-b", "--wait=false")


async def test_an_operator_takes_over_what_version_0_1_0_has_made(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """0.1.0 applied everything server-side, its Secret too, by the same field manager; no pod is replaced."""
    async with installed(control_plane, namespace, tmp_path) as here:
        twilio = {"publicBaseUrl": "https://voice.example.test", "validateSignatures": False}
        scaling = {"minReplicas": 1, "maxReplicas": 3}
        await here.create("clinic", twilio=twilio, scaling=scaling, exposure={"ingress": {"className": "nginx"}})
        made = await _as_0_1_0(control_plane, here)
        before = {kind: await here.get(kind, name) for kind, name in made}

        operator = await here.operate()
        await here.until("clinic", "Stalled", "False")
        await here.kubectl.patch("clinic", recognition={"batchMilliseconds": 200})
        await eventually(lambda: _batch(here, 200))
        await eventually(lambda: _fresh_secret(here, before["Secret"]))

        for kind, name in made:
            now = await here.get(kind, name)
            assert now["metadata"]["uid"] == before[kind]["metadata"]["uid"], kind
            assert now["metadata"]["ownerReferences"] == before[kind]["metadata"]["ownerReferences"], kind
        assert "denied request" not in operator.said()
        assert "cannot " not in operator.said()

        await here.kubectl.patch(
            "clinic", exposure=None, scaling={"minReplicas": None, "maxReplicas": None, "replicas": 2}
        )
        await eventually(lambda: _gone(here, "ingress", "hpa"))
        await here.kubectl("delete", "vagent", "clinic", "--timeout=60s")
        await eventually(lambda: _gone(here, *{kind.lower() for kind, _ in made}))


async def test_a_namesake_of_others_is_left_alone_and_the_agent_says_so(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    async with installed(control_plane, namespace, tmp_path) as here:
        await here.kubectl("create", "service", "clusterip", "clinic", "--tcp=80:80")
        await here.operate()
        await here.create("clinic")

        await here.until("clinic", "Stalled")
        stalled = await here.condition("clinic", "Stalled")
        assert stalled["reason"] == "Refused"
        assert "give the VoiceAgent another name" in stalled["message"]
        assert (await here.get("service", "clinic"))["spec"]["selector"] == {"app": "clinic"}

        await here.kubectl("delete", "service", "clinic")
        await here.until("clinic", "Stalled", "False")
        await children_of(here, "clinic")


async def test_an_agent_where_the_clusters_own_pods_run_says_why_it_gets_nothing(
    control_plane: ControlPlane, admin: AsyncClient, namespace: str, tmp_path: Path
) -> None:
    there = f"kube-{namespace}"
    await admin.create(Namespace(metadata=ObjectMeta(name=there)))
    async with installed(control_plane, there, tmp_path) as here:
        await here.operate()
        await here.create("clinic")
        await here.until("clinic", "Stalled")
        assert "in another namespace" in (await here.condition("clinic", "Stalled"))["message"]
        assert (await here.get("vagent", "clinic"))["metadata"]["finalizers"] == [names.FINALIZER]

        await here.kubectl("delete", "vagent", "clinic", "--timeout=60s")
    await admin.delete(Namespace, there)


async def _as_0_1_0(control_plane: ControlPlane, here: Installation) -> list[tuple[str, str]]:
    """Make an agent's objects as 0.1.0 did; return kind and name of each."""
    body = await here.get("vagent", "clinic")
    around = Surroundings(IMAGE, "0f" * 32, frozenset(), here.namespace)
    path = control_plane.kubeconfig(f"old-{here.namespace}")
    access = KubeConfig.from_file(path).get()
    assert access is not None
    objects = plan(VoiceAgent.read(body), around).objects
    async with Cluster(access, OWNED_KINDS) as cluster:
        for each in objects:
            await cluster.apply(each)
    return [(each["kind"], each["metadata"]["name"]) for each in objects]


async def _batch(here: Installation, batch_ms: int) -> bool:
    live = await here.live("clinic")
    return bool(live and live["tuning.json"]["recognition"]["batchMilliseconds"] == batch_ms)


async def _fresh_secret(here: Installation, before: Any) -> bool:
    """Whether the operator, whose key is another one, has written its own token into the Secret."""
    now = await here.get("secret", "clinic-api")
    return bool(now["data"] != before["data"])


async def _gone(here: Installation, *kinds: str) -> bool:
    said = await here.kubectl.json("get", ",".join(kinds), f"--selector={names.AGENT}=clinic")
    return not said["items"]


async def _says(kubectl: Kubectl, words: str, *command: str) -> bool:
    return words in await kubectl(*command, check=False)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
