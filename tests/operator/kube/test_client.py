"""Requests to an API server, and what its answers mean."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lightkube.config.models import User

from batkol_operator.errors import RefusedError, UnreachableError
from batkol_operator.kube.answers import LARGEST
from batkol_operator.kube.client import Cluster
from batkol_operator.kube.names import FIELD_MANAGER, Manifest
from batkol_operator.resources.plan import OPTIONAL_KINDS, OWNED_KINDS
from batkol_operator.watch.object_state import owned_fields
from support.http.hostile_server import BODIES, WAYS, answering_with, hostile_http
from support.kube.api import KubeApi, access_to
from support.kube.front import writes
from support.kube.store import Key, merge

KEY = Key("", "configmaps", "voices", "live")
SECRET = Key("", "secrets", "voices", "clinic-api")


@pytest.fixture
async def cluster(api: KubeApi) -> AsyncIterator[Cluster]:
    async with Cluster(api.access, OWNED_KINDS) as cluster:
        yield cluster


def config_map(**data: str) -> Manifest:
    metadata = {"name": KEY.name, "namespace": KEY.namespace, "labels": {"batkol.dev/agent": "clinic"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def secret(**data: str) -> Manifest:
    metadata = {"name": SECRET.name, "namespace": SECRET.namespace, "labels": {"batkol.dev/agent": "clinic"}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}


async def test_applying_creates_changes_and_takes_away(api: KubeApi, cluster: Cluster) -> None:
    await cluster.apply(config_map(a="1", b="2"))
    await cluster.apply(config_map(a="3"))

    assert api.store.get(KEY)["data"] == {"a": "3"}
    assert [each["manager"] for each in api.store.get(KEY)["metadata"]["managedFields"]] == [FIELD_MANAGER]


async def test_applying_the_same_again_makes_no_new_version(api: KubeApi, cluster: Cluster) -> None:
    first = await cluster.apply(config_map(a="1"))
    second = await cluster.apply(config_map(a="1"))

    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


async def test_a_field_of_ours_that_somebody_changes_shows_in_what_is_ours(api: KubeApi, cluster: Cluster) -> None:
    applied = owned_fields(await cluster.apply(config_map(a="1")))

    api.store.change(KEY, "", lambda old: merge(old, {"data": {"theirs": "1"}}))
    assert owned_fields(api.store.get(KEY)) == applied

    api.store.change(KEY, "", lambda old: merge(old, {"data": {"a": "2"}}))
    assert owned_fields(api.store.get(KEY)) != applied


async def test_replacing_creates_and_takes_away_what_others_have_added(api: KubeApi, cluster: Cluster) -> None:
    """The Secret's way: without a patch, which would answer with what stands."""
    await cluster.replace(secret(token="MQ=="))
    api.store.change(SECRET, "", lambda old: merge(old, {"data": {"theirs": "eA=="}}))
    first = api.store.get(SECRET)
    replaced = await cluster.replace(secret(token="Mg=="))

    assert replaced["data"] == api.store.get(SECRET)["data"] == {"token": "Mg=="}
    assert replaced["metadata"]["uid"] == first["metadata"]["uid"]
    assert [line.split()[0] for line in writes(api.front)] == ["PUT", "POST", "PUT"]


async def test_replacing_by_the_same_makes_no_new_version(api: KubeApi, cluster: Cluster) -> None:
    first, second = [await cluster.replace(secret(token="MQ==")) for _ in range(2)]

    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


async def test_what_is_made_by_another_at_the_same_moment_is_for_trying_again(api: KubeApi, cluster: Cluster) -> None:
    api.fail("PUT", "secrets", code=404, message='secrets "clinic-api" not found', times=1)
    api.store.create(SECRET, secret())

    with pytest.raises(UnreachableError) as caught:
        await cluster.replace(secret(token="MQ=="))

    assert caught.value.kind == "conflict"


async def test_the_role_lets_no_secret_be_patched(api: KubeApi, cluster: Cluster) -> None:
    await cluster.replace(secret(token="MQ=="))

    with pytest.raises(RefusedError) as caught:
        await cluster.apply(secret(token="MQ=="))

    assert caught.value.reason == "Forbidden"
    api.forbidden.clear()


async def test_listing_is_by_label_and_namespace(cluster: Cluster) -> None:
    await cluster.apply(config_map(a="1"))

    found = await cluster.list_labelled("v1", "ConfigMap", "voices", {"batkol.dev/agent": "clinic"})
    assert [(each["kind"], each["metadata"]["name"]) for each in found] == [("ConfigMap", "live")]
    assert await cluster.list_labelled("v1", "ConfigMap", "voices", {"batkol.dev/agent": "another"}) == []
    assert await cluster.list_labelled("v1", "ConfigMap", "elsewhere", {"batkol.dev/agent": "clinic"}) == []


async def test_a_kind_that_the_cluster_has_not_has_no_objects(cluster: Cluster) -> None:
    assert await cluster.list_labelled("keda.sh/v1alpha1", "ScaledObject", "voices", {}) == []
    assert "keda.sh/ScaledObject" not in await cluster.served_kinds(OPTIONAL_KINDS)


async def test_a_kind_that_the_cluster_has_is_found(api: KubeApi, cluster: Cluster) -> None:
    api.resources["keda.sh/v1alpha1/scaledobjects"].kind = "ScaledObject"

    assert "keda.sh/ScaledObject" in await cluster.served_kinds(OPTIONAL_KINDS)


async def test_deleting_what_is_gone_is_fine(api: KubeApi, cluster: Cluster) -> None:
    await cluster.apply(config_map())
    for _ in range(2):
        await cluster.delete("v1", "ConfigMap", "voices", "live")

    assert KEY not in api.store.objects


async def test_marking_a_pod_that_is_gone_is_fine(api: KubeApi, cluster: Cluster) -> None:
    await cluster.annotate_pod("voices", "gone", {"a": "b"})

    assert len(writes(api.front)) == 1, "it was tried, and not again"
    assert not api.store.find("", "pods")


@pytest.mark.parametrize(
    ("code", "kind"),
    [(500, "server"), (503, "server"), (409, "conflict"), (429, "throttled"), (401, "unauthorized")],
)
async def test_not_now_is_for_trying_again(api: KubeApi, cluster: Cluster, code: int, kind: str) -> None:
    api.fail("PATCH", "configmaps", code=code)

    with pytest.raises(UnreachableError) as caught:
        await cluster.apply(config_map())

    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("code", "said", "reason"),
    [
        (403, 'configmaps "live" is forbidden: User "x" cannot patch resource "configmaps"', "Forbidden"),
        (403, 'configmaps "live" is forbidden: exceeded quota: small', "Refused"),
        (400, 'admission webhook "a.b" denied the request: no', "Refused"),
        (422, "ConfigMap is invalid: data: Too long", "Refused"),
        (404, "the server could not find the requested resource", "Refused"),
    ],
)
async def test_no_is_for_somebody_to_change_something(
    api: KubeApi, cluster: Cluster, code: int, said: str, reason: str
) -> None:
    api.fail("PATCH", "configmaps", code=code, message=said)

    with pytest.raises(RefusedError) as caught:
        await cluster.apply(config_map())

    assert caught.value.reason == reason
    assert said in str(caught.value)
    assert "ConfigMap live" in str(caught.value)


async def test_no_api_server_at_all_is_for_trying_again(api: KubeApi) -> None:
    access = api.access._replace(cluster=type(api.access.cluster)(server="http://127.0.0.1:1"))
    async with Cluster(access, OWNED_KINDS) as cluster:
        with pytest.raises(UnreachableError) as caught:
            await cluster.apply(config_map())

    assert caught.value.kind == "connection"


@pytest.mark.parametrize("way", WAYS)
async def test_a_hostile_server_costs_one_error_and_little_else(way: str) -> None:
    slow = way in {"no answer", "drip", "dripping head", "preliminary answers"}
    async with hostile_http(way) as server:
        async with Cluster(access_to(server.url), OWNED_KINDS, timeout_s=0.25 if slow else 20.0) as cluster:
            with pytest.raises((UnreachableError, RefusedError)):
                async with asyncio.timeout(30):
                    await cluster.apply(config_map())
        await server.check(largest=LARGEST)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:20]))
async def test_an_answer_of_another_shape_says_so_and_is_tried_again(body: bytes) -> None:
    """A list of objects none of them is; some are objects, without any list."""
    async with answering_with(body) as url, Cluster(access_to(url), OWNED_KINDS) as cluster:
        if body.startswith((b'{"metadata": [', b'{"metadata": {')):
            assert await cluster.list_labelled("v1", "ConfigMap", "voices", {}) == []
            return
        with pytest.raises(UnreachableError, match="cannot use the API server's answer") as caught:
            await cluster.list_labelled("v1", "ConfigMap", "voices", {})

    assert caught.value.kind == "answer"


@pytest.mark.parametrize("field", ["metadata", "spec"])
async def test_replicas_of_an_answer_of_another_shape_are_not_handed_over(field: str) -> None:
    body = json.dumps({"metadata": {}, "spec": {}} | {field: [1]}).encode()
    async with answering_with(body) as url, Cluster(access_to(url), OWNED_KINDS) as cluster:
        with pytest.raises(UnreachableError, match="cannot use the API server's answer"):
            await cluster.hand_over_replicas("voices", "clinic")


async def test_a_flood_behind_an_unknown_token_is_not_collected(tmp_path: Path) -> None:
    """The library reads a 401 to its end before it asks again with the token that the file has now."""
    (tmp_path / "token").write_text("t")
    async with hostile_http("flood of an unknown token") as server:
        access = access_to(server.url)._replace(user=User(token_file=str(tmp_path / "token")))
        async with Cluster(access, OWNED_KINDS) as cluster:
            with pytest.raises(UnreachableError, match="longer than"):
                await cluster.apply(config_map())
        await server.check(largest=LARGEST)


async def test_the_environments_proxy_is_not_asked(api: KubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform's `HTTPS_PROXY` is there for what is outside the cluster; kopf's own watches take none either."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with Cluster(api.access, OWNED_KINDS) as cluster:
        await cluster.apply(config_map(a="1"))

    assert api.store.get(KEY)["data"] == {"a": "1"}
