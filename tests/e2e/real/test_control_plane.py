"""What the tests of the operator rest on is really there: storage, schemas, garbage collection, RBAC, deployments."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from lightkube import ApiError, AsyncClient
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta, OwnerReference
from lightkube.models.rbac_v1 import PolicyRule, RoleRef, Subject
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Pod, Secret, ServiceAccount
from lightkube.resources.rbac_authorization_v1 import Role, RoleBinding

from support.kube.control_plane import ControlPlane
from support.kube.kubelet import Kubelets
from support.process.programs import tool
from support.time.waiting import eventually

Parrot = create_namespaced_resource("zoo.example", "v1", "Parrot", "parrots")

PARROTS = {
    "metadata": {"name": "parrots.zoo.example"},
    "spec": {
        "group": "zoo.example",
        "scope": "Namespaced",
        "names": {"kind": "Parrot", "plural": "parrots"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {"words": {"type": "integer", "default": 3}, "most": {"type": "integer"}},
                                "x-kubernetes-validations": [
                                    {"rule": "self.words <= self.most", "message": "`words` must be at most `most`"}
                                ],
                            }
                        },
                    }
                },
            }
        ],
    },
}


@pytest.fixture
async def parrots(admin: AsyncClient) -> None:
    """Define them, once for all tests."""
    definition: Any = CustomResourceDefinition.from_dict(PARROTS)
    try:
        await admin.create(definition)
    except ApiError as error:
        if error.status.reason != "AlreadyExists":
            raise
    await admin.wait(CustomResourceDefinition, "parrots.zoo.example", for_conditions=["Established"])


def parrot(name: str, namespace: str, **spec: Any) -> Any:
    return Parrot(metadata=ObjectMeta(name=name, namespace=namespace), spec=spec)


def deployment(namespace: str, replicas: int = 2) -> Deployment:
    labels = {"app": "media"}
    pod = PodSpec(containers=[Container(name="media", image="none.example/none:1")])
    template = PodTemplateSpec(metadata=ObjectMeta(labels=labels), spec=pod)
    return Deployment(
        metadata=ObjectMeta(name="media", namespace=namespace),
        spec=DeploymentSpec(replicas=replicas, selector=LabelSelector(matchLabels=labels), template=template),
    )


async def exists(client: AsyncClient, kind: Any, name: str, namespace: str) -> bool:
    try:
        await client.get(kind, name, namespace=namespace)
    except ApiError as error:
        if error.status.code != 404:
            raise
        return False
    return True


async def test_what_is_owned_is_collected_when_its_owner_is_deleted(
    admin: AsyncClient, namespace: str, parrots: None
) -> None:
    owner = await admin.create(parrot("polly", namespace, most=5))
    owned_by = OwnerReference(
        apiVersion="zoo.example/v1", kind="Parrot", name="polly", uid=owner.metadata.uid, controller=True
    )
    cage = ObjectMeta(name="cage", namespace=namespace, ownerReferences=[owned_by])
    await admin.create(ConfigMap(metadata=cage, data={"door": "open"}))
    await admin.create(ConfigMap(metadata=ObjectMeta(name="tree", namespace=namespace)))

    await admin.delete(Parrot, "polly", namespace=namespace)

    await eventually(lambda: _is_gone(admin, ConfigMap, "cage", namespace))
    assert await exists(admin, ConfigMap, "tree", namespace), "nobody owns it"


async def test_the_schema_fills_in_defaults_and_its_rules_refuse(
    admin: AsyncClient, namespace: str, parrots: None
) -> None:
    made = await admin.create(parrot("polly", namespace, most=3))
    assert made.spec["words"] == 3

    with pytest.raises(ApiError, match="must be at most") as refused:
        await admin.create(parrot("ara", namespace, words=4, most=3))
    assert refused.value.status.code == 422


async def test_a_service_account_may_do_what_its_role_says_and_nothing_else(
    control_plane: ControlPlane, admin: AsyncClient, namespace: str
) -> None:
    await admin.create(ServiceAccount(metadata=ObjectMeta(name="reader", namespace=namespace)))
    rules = [PolicyRule(apiGroups=[""], resources=["configmaps"], verbs=["get"])]
    await admin.create(Role(metadata=ObjectMeta(name="reader", namespace=namespace), rules=rules))
    role = RoleRef(apiGroup="rbac.authorization.k8s.io", kind="Role", name="reader")
    subject = Subject(kind="ServiceAccount", name="reader", namespace=namespace)
    binding = RoleBinding(metadata=ObjectMeta(name="reader", namespace=namespace), roleRef=role, subjects=[subject])
    await admin.create(binding)
    await admin.create(ConfigMap(metadata=ObjectMeta(name="page", namespace=namespace)))

    reader = control_plane.client(await control_plane.service_account_token("reader", namespace), namespace)
    try:
        await eventually(lambda: _may(reader.get(ConfigMap, "page")))
        for refused in (lambda: reader.get(Secret, "page"), lambda: reader.delete(ConfigMap, "page")):
            with pytest.raises(ApiError, match=f"system:serviceaccount:{namespace}:reader") as error:
                await refused()
            assert error.value.status.code == 403
    finally:
        await reader.close()


async def test_a_token_nobody_gave_out_is_nobody(control_plane: ControlPlane) -> None:
    stranger = control_plane.client("a-made-up-token")
    try:
        with pytest.raises(ApiError) as refused:
            await stranger.get(Namespace, "default")
        assert refused.value.status.code == 401
    finally:
        await stranger.close()


async def test_pod_security_refuses_a_privileged_pod_where_the_namespace_is_restricted(
    admin: AsyncClient, namespace: str
) -> None:
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    await admin.patch(Namespace, namespace, {"metadata": {"labels": label}})
    await eventually(lambda: exists(admin, ServiceAccount, "default", namespace))
    pod = Pod(
        metadata=ObjectMeta(name="loud", namespace=namespace),
        spec=PodSpec(containers=[Container(name="media", image="none.example/none:1")]),
    )

    with pytest.raises(ApiError, match="violates PodSecurity"):
        await admin.create(pod)


async def test_a_deployment_becomes_available_scales_and_its_pods_end_when_they_have_drained(
    admin: AsyncClient, namespace: str
) -> None:
    """The pods' own life is the stand-in's; ReplicaSets, counting and conditions are the controllers'."""
    drained = asyncio.Event()
    ending: list[str] = []

    async def stopped(pod: Any) -> None:
        ending.append(pod.metadata.name)
        await drained.wait()

    async with Kubelets(admin, namespace, stopped=stopped) as kubelets:
        await admin.create(deployment(namespace))
        await asyncio.wait_for(admin.wait(Deployment, "media", namespace=namespace, for_conditions=["Available"]), 60)
        await eventually(lambda: _available(admin, namespace, 2))
        assert len(set(kubelets.addresses.values())) == 2
        pods: list[Any] = [pod async for pod in admin.list(Pod, namespace=namespace)]
        assert {pod.metadata.name: pod.status.podIP for pod in pods} == kubelets.addresses

        unready, _ = sorted(kubelets.addresses)
        await kubelets.set_ready(unready, ready=False)
        await eventually(lambda: _available(admin, namespace, 1))

        await admin.patch(Deployment, "media", {"spec": {"replicas": 1}}, namespace=namespace)
        await eventually(lambda: _happened(ending))
        assert ending == [unready], "the one that is not ready goes first"
        leaving = await admin.get(Pod, unready, namespace=namespace)
        assert leaving.metadata is not None
        assert leaving.metadata.deletionTimestamp is not None, "it is there as long as it drains"
        drained.set()
        await eventually(lambda: _is_gone(admin, Pod, unready, namespace))


async def test_a_restarted_api_server_knows_what_it_knew(
    control_plane: ControlPlane, admin: AsyncClient, namespace: str
) -> None:
    """On the same port, with the same certificate, and with watches that begin again."""
    async with Kubelets(admin, namespace):
        await admin.create(deployment(namespace, 1))
        await eventually(lambda: _available(admin, namespace, 1))

        await control_plane.restart_api()

        await admin.patch(Deployment, "media", {"spec": {"replicas": 2}}, namespace=namespace)
        await eventually(lambda: _available(admin, namespace, 2))
        assert len([pod async for pod in admin.list(Pod, namespace=namespace)]) == 2


async def test_kubectl_speaks_to_it_and_both_know_their_release(control_plane: ControlPlane) -> None:
    kubeconfig = control_plane.kubeconfig("kubectl")
    command = (str(tool("kubectl")), f"--kubeconfig={kubeconfig}", "version", "--output=json")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()

    versions = json.loads(said)
    client, server = versions["clientVersion"]["gitVersion"], versions["serverVersion"]["gitVersion"]
    assert client == server
    assert server.startswith("v1.")
    assert versions["serverVersion"]["minor"] == server.split(".")[1]


async def _available(client: AsyncClient, namespace: str, count: int) -> bool:
    found = await client.get(Deployment, "media", namespace=namespace)
    return found.status is not None and (found.status.availableReplicas or 0) == count


async def _is_gone(client: AsyncClient, kind: Any, name: str, namespace: str) -> bool:
    return not await exists(client, kind, name, namespace)


async def _happened(seen: list[str]) -> bool:
    return bool(seen)


async def _may(asked: Any) -> bool:
    """RBAC answers from a cache that is a moment behind."""
    try:
        await asked
    except ApiError as error:
        if error.status.code != 403:
            raise
        return False
    return True
