"""The operator under the chart's admission policy: what 0.1.0 has made, what others have, and where it may not be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightkube import AsyncClient, KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace

from batkol_operator.kube import names
from batkol_operator.kube.client import Cluster
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.resources.plan import OWNED_KINDS, ClusterFacts, plan
from support.chart.installed import IMAGE
from support.kube.control_plane import ControlPlane
from support.operators.installation import Installation, children_of, installed
from support.time.waiting import eventually


async def test_an_operator_takes_over_what_version_0_1_0_has_made(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """0.1.0 applied everything server-side, its Secret too, by the same field manager; no pod is replaced."""
    async with installed(control_plane, namespace, tmp_path) as here:
        twilio = {"publicBaseUrl": "https://voice.example.test", "validateSignatures": False}
        scaling = {"minReplicas": 1, "maxReplicas": 3}
        await here.create("clinic", twilio=twilio, scaling=scaling, exposure={"ingress": {"className": "nginx"}})
        made = await _as_0_1_0(control_plane, here)
        before = {each: await here.get(*each) for each in made}

        operator = await here.operate()
        await here.until("clinic", "Stalled", "False")
        await here.kubectl.patch("clinic", recognition={"batchMilliseconds": 200})
        await eventually(lambda: _batch(here, 200))
        await eventually(lambda: _fresh_secret(here, before["Secret", "clinic-api"]))

        for each in made:
            now = await here.get(*each)
            assert now["metadata"]["uid"] == before[each]["metadata"]["uid"], each
            assert now["metadata"]["ownerReferences"] == before[each]["metadata"]["ownerReferences"], each
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


async def test_what_a_team_adds_to_its_pods_passes_and_an_account_needs_the_installers_word(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """The real API server takes the schema and its rules, and the policy what the operator makes of them."""
    pod = {
        "sidecars": [{"name": "proxy", "image": IMAGE, "securityContext": {"runAsUser": 65532}}],
        "initContainers": [{"name": "fetch", "image": IMAGE}],
        "caBundle": {"configMapRef": {"name": "authorities", "key": "ca.pem"}},
        "volumes": [
            {"name": "models", "persistentVolumeClaim": {"claimName": "models"}},
            {"name": "vault", "csi": {"driver": "secrets-store.csi.k8s.io"}},
            {"name": "sts", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
        ],
    }
    async with installed(control_plane, namespace, tmp_path) as here:
        await here.operate()
        await here.create("clinic", pod=pod, service={"type": "LoadBalancer", "port": 443})
        await here.until("clinic", "Stalled", "False")
        await children_of(here, "clinic")
        spec = (await here.get("deployment", "clinic"))["spec"]["template"]["spec"]
        service = (await here.get("service", "clinic"))["spec"]

        assert [each["name"] for each in spec["initContainers"]] == ["proxy", "fetch"]
        assert [(port["name"], port["port"]) for port in service["ports"]] == [("public", 443)]
        said = await here.kubectl(
            "patch", "vagent", "clinic", "--type=merge", '--patch={"spec":{"pod":{"env":[{"name":"api_token"}]}}}',
            check=False,
        )  # fmt: skip
        assert "may not be a variable that the operator sets" in said

        await here.kubectl.patch("clinic", pod={"serviceAccountName": "default"})
        await here.until("clinic", "Stalled")
        stalled = await here.condition("clinic", "Stalled")
        assert stalled["reason"] == "Refused"
        assert "admissionPolicy.serviceAccounts" in stalled["message"]


async def test_nobody_but_the_operator_is_looked_at(
    control_plane: ControlPlane, admin: AsyncClient, namespace: str, tmp_path: Path
) -> None:
    """Not the administrator, nor an account of the same name elsewhere."""
    elsewhere = f"{namespace}-b"
    await admin.create(Namespace(metadata=ObjectMeta(name=elsewhere)))
    async with installed(control_plane, namespace, tmp_path) as here:
        kubectl, other = here.kubectl, f"{elsewhere}:{here.account}"
        await kubectl("create", "configmap", "theirs")
        await kubectl("label", "configmap", "theirs", "a=b")
        await kubectl("create", "serviceaccount", here.account, f"--namespace={elsewhere}")
        await kubectl("create", "rolebinding", "other", "--clusterrole=edit", f"--serviceaccount={other}")
        label = ("label", "configmap", "theirs", "c=d", "--overwrite", f"--as=system:serviceaccount:{other}")

        async def labelled() -> bool:
            return "labeled" in await kubectl(*label, check=False)

        await eventually(labelled)
        labels = (await here.get("configmap", "theirs"))["metadata"]["labels"]
        assert labels == {"a": "b", "c": "d"}, "what each of the two has written stands"
    await admin.delete(Namespace, elsewhere)


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
    around = ClusterFacts(IMAGE, "0f" * 32, frozenset(), here.namespace)
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
