"""The flag in a ConfigMap and in a VoiceAgent: flipped for the rehearsal, and put back exactly, whatever happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from batkol.backoff import Backoff
from batkol.gonogo.clusterstore import ConfigMapStore, VoiceAgentStore
from batkol.gonogo.flagstore import FlagStoreError
from batkol.gonogo.flipping import FlagNotFlippableError
from batkol.live.cluster import ObjectName
from batkol.live.strict_document import content_revision
from support.http.plain import Request
from support.kube.config_map_api import AGENT, CONFIG_MAP, NAME, NAMESPACE, ConfigMapApi, config_map_api
from support.kube.kubeconfig import reaching
from support.live.config_map_source import refusing
from support.live.directory import streaming

WHERE = ObjectName(NAMESPACE, NAME)
ODD = streaming("off", metadata={"a": "\u05d0"}).replace(": ", " :  ") + "\n"
CALLER = "+972500000001"


@asynccontextmanager
async def cluster(folder: Path, contents: dict[str, str | bytes] | None = None) -> AsyncIterator[ConfigMapApi]:
    async with config_map_api() as api:
        api.put({"flags.json": ODD, "tuning.json": "{}"} if contents is None else contents)
        with reaching(api.url, folder):
            yield api


def held(api: ConfigMapApi) -> dict[str, Any]:
    """What the ConfigMap holds, without its metadata."""
    return {key: value for key, value in api.objects[CONFIG_MAP].items() if key != "metadata"}


def patches(api: ConfigMapApi) -> int:
    return sum(request.method == "PATCH" for request in api.requests)


async def test_a_config_map_is_flipped_and_comes_back_byte_for_byte(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        before = json.loads(json.dumps(held(api)))
        store = ConfigMapStore(WHERE, only_calls=["CA1"])

        revision = await store.set(streaming=True)

        written = held(api)["data"]["flags.json"]
        assert revision == content_revision(written.encode())
        rule = json.loads(written)["flags"]["streaming-stt"]["targeting"]
        assert rule == {"if": [{"in": [{"var": "targetingKey"}, ["CA1"]]}, "on"]}
        assert held(api)["data"]["tuning.json"] == "{}"
        await store.set(streaming=False)
        await store.restore()
        assert held(api) == before


async def test_a_binary_one_stays_binary(tmp_path: Path) -> None:
    async with cluster(tmp_path, {"flags.json": ODD.encode()}) as api:
        before = json.loads(json.dumps(held(api)))
        store = ConfigMapStore(WHERE, only_calls=None)
        await store.set(streaming=True)
        assert held(api)["data"] == {}
        assert held(api) != before
        await store.restore()
        assert held(api) == before


async def test_what_was_never_flipped_is_left_alone(tmp_path: Path) -> None:
    async with cluster(tmp_path, {"flags.json": "{"}) as api:
        store = ConfigMapStore(WHERE, only_calls=None)
        with pytest.raises(FlagNotFlippableError):
            await store.set(streaming=True)
        await store.restore()
        agent = VoiceAgentStore(ObjectName(NAMESPACE, "front-desk"), caller=CALLER, patience_s=20)
        await agent.restore()
        assert patches(api) == 0


async def test_somebody_elses_change_is_not_undone(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        store = ConfigMapStore(WHERE, only_calls=["CA1"])
        await store.set(streaming=True)
        api.put({"flags.json": streaming("on")})
        with pytest.raises(FlagStoreError, match="Another client changed"):
            await store.restore()
        assert held(api)["data"] == {"flags.json": streaming("on")}


async def test_who_is_quicker_is_not_overwritten(tmp_path: Path) -> None:
    """Between our reading and our writing, somebody else writes another part of the object: both changes stay."""
    async with cluster(tmp_path) as api:
        left = 2

        def meanwhile(request: Request) -> tuple[int, str] | None:
            nonlocal left
            if request.method == "PATCH" and left:
                left -= 1
                api.put({"flags.json": ODD, "tuning.json": f"{left}"})
            return None

        api.refuse = meanwhile
        store = ConfigMapStore(WHERE, only_calls=None)
        await store.set(streaming=True)
        assert held(api)["data"]["tuning.json"] == "0"
        assert json.loads(held(api)["data"]["flags.json"])["flags"]["streaming-stt"]["defaultVariant"] == "on"


async def test_a_config_map_of_an_operators_is_not_flipped(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        owner = {"kind": "VoiceAgent", "name": "front-desk", "controller": True}
        api.put({"flags.json": ODD}, ownerReferences=[owner])
        with pytest.raises(FlagStoreError, match="--voice-agent calls/front-desk"):
            await ConfigMapStore(WHERE, only_calls=None).set(streaming=True)
        assert patches(api) == 0


@pytest.mark.parametrize(
    ("code", "says"), [(403, "The rehearsal needs get and patch on it"), (500, "answered 500 about ConfigMap calls/")]
)
async def test_a_refusal_is_a_sentence(tmp_path: Path, code: int, says: str) -> None:
    async with cluster(tmp_path) as api:
        api.refuse = refusing(code, "no")
        with pytest.raises(FlagStoreError, match=says):
            await ConfigMapStore(WHERE, only_calls=None).set(streaming=True)
    with pytest.raises(FlagStoreError, match=r"KUBECONFIG|A request to the API server"):
        await ConfigMapStore(WHERE, only_calls=None).set(streaming=True)


async def test_what_is_not_there_is_called_so(tmp_path: Path) -> None:
    async with cluster(tmp_path, {"tuning.json": "{}"}):
        with pytest.raises(FlagStoreError, match=r"There is no ConfigMap calls/other"):
            await ConfigMapStore(ObjectName(NAMESPACE, "other"), only_calls=None).set(streaming=True)
        with pytest.raises(FlagStoreError, match=r"has no flags.json"):
            await ConfigMapStore(WHERE, only_calls=None).set(streaming=True)


async def test_putting_back_is_tried_again(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        store = ConfigMapStore(WHERE, only_calls=None)
        await store.set(streaming=True)
        api.refuse = refusing(503, "etcd", times=2)
        await store.restore()
        assert held(api)["data"]["flags.json"] == ODD


async def test_what_cannot_be_put_back_is_kept_for_those_who_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batkol.gonogo.clusterstore.BACKOFF", Backoff(first_s=0.0, longest_s=0.0))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with cluster(tmp_path) as api:
        store = ConfigMapStore(WHERE, only_calls=None)
        await store.set(streaming=True)
        api.refuse = refusing(503, "etcd")
        with pytest.raises(FlagStoreError, match=r"could NOT be restored") as raised:
            await store.restore()
    (kept,) = tmp_path.glob("batkol-gonogo-*.json")
    assert str(kept) in str(raised.value)
    assert kept.read_text() == ODD


def operate(api: ConfigMapApi, *, works: bool = True) -> None:
    """Take what is patched into the VoiceAgent, as the operator does: a little later."""
    api.objects[AGENT]["status"] = {"observedGeneration": 1, "flagsRevision": "of before"}

    def take() -> None:
        agent = api.objects[AGENT]
        revision = content_revision(json.dumps(agent["spec"].get("streaming")).encode())
        agent["status"] = {"observedGeneration": agent["metadata"]["generation"], "flagsRevision": revision}

    if works:
        api.on_patch = lambda _: (asyncio.get_running_loop().call_later(0.3, take), None)[1]


SPECS: list[dict[str, Any]] = [
    {},
    {"streaming": {"mode": "Enabled"}},
    {"streaming": {"mode": "Rollout", "rolloutPercent": 5, "callers": []}},
    {
        "streaming": {
            "mode": "Disabled",
            "callers": [{"number": CALLER, "mode": "Disabled"}, {"number": "+97231112222", "mode": "Enabled"}],
        }
    },
]


@pytest.mark.parametrize("spec", SPECS)
async def test_a_voice_agent_gets_a_mode_for_our_caller_and_loses_it_again(
    tmp_path: Path, spec: dict[str, Any]
) -> None:
    async with cluster(tmp_path) as api:
        spec = {**spec, "recognition": {"language": "he-IL"}}
        api.store(AGENT, {"spec": json.loads(json.dumps(spec))}, generation=3)
        operate(api)
        store = VoiceAgentStore(ObjectName(NAMESPACE, "front-desk"), caller=CALLER, patience_s=20)

        for on in (True, False):
            revision = await store.set(streaming=on)

            now = api.objects[AGENT]["spec"]
            before = spec.get("streaming", {})
            others = [each for each in before.get("callers", []) if each["number"] != CALLER]
            mode = "Enabled" if on else "Disabled"
            assert now["streaming"] == {**before, "callers": [*others, {"number": CALLER, "mode": mode}]}
            assert revision == content_revision(json.dumps(now["streaming"]).encode())
        await store.restore()
        assert api.objects[AGENT]["spec"] == spec


@pytest.mark.parametrize("spec", SPECS)
async def test_for_all_calls_the_mode_decides_alone(tmp_path: Path, spec: dict[str, Any]) -> None:
    async with cluster(tmp_path) as api:
        api.store(AGENT, {"spec": json.loads(json.dumps(spec))}, generation=1)
        operate(api)
        store = VoiceAgentStore(ObjectName(NAMESPACE, "front-desk"), caller=None, patience_s=20)
        await store.set(streaming=True)
        assert api.objects[AGENT]["spec"]["streaming"] == {"mode": "Enabled"}
        await store.restore()
        assert api.objects[AGENT]["spec"] == spec


async def test_an_operator_that_does_not_take_it_is_reported_and_the_spec_put_back(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.store(AGENT, {"spec": {}}, generation=1)
        operate(api, works=False)
        store = VoiceAgentStore(ObjectName(NAMESPACE, "front-desk"), caller=CALLER, patience_s=0.3)
        with pytest.raises(FlagStoreError, match="The operator did not apply"):
            await store.set(streaming=True)
        await store.restore()
        assert api.objects[AGENT]["spec"] == {}


async def test_a_spec_that_somebody_else_changed_is_left(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.store(AGENT, {"spec": {}}, generation=1)
        operate(api)
        store = VoiceAgentStore(ObjectName(NAMESPACE, "front-desk"), caller=CALLER, patience_s=20)
        await store.set(streaming=True)
        api.store(AGENT, {"spec": {"streaming": {"mode": "Enabled"}}}, generation=9)
        with pytest.raises(FlagStoreError, match="Another client changed"):
            await store.restore()
        assert api.objects[AGENT]["spec"] == {"streaming": {"mode": "Enabled"}}


async def test_a_definition_of_its_own_cannot_be_flipped_from_here(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.store(AGENT, {"spec": {"flags": {"streaming-stt": {}}}}, generation=1)
        with pytest.raises(FlagStoreError, match=r"in spec\.flags"):
            await VoiceAgentStore(ObjectName(NAMESPACE, "front-desk"), caller=CALLER, patience_s=20).set(streaming=True)
        assert patches(api) == 0


@pytest.mark.parametrize("caller", [CALLER, None])
async def test_what_git_would_put_back_is_not_flipped(tmp_path: Path, caller: str | None) -> None:
    async with cluster(tmp_path) as api:
        inside: dict[str, Any] = {"f:callers": {}} if caller else {"f:mode": {}}
        owned = [{"manager": "argocd-controller", "fieldsV1": {"f:spec": {"f:streaming": inside}}}]
        api.store(AGENT, {"spec": {"streaming": {"mode": "Enabled"}}}, generation=1, managedFields=owned)
        store = VoiceAgentStore(ObjectName(NAMESPACE, "front-desk"), caller=caller, patience_s=20)
        field = "spec.streaming.callers" if caller else "spec.streaming"
        with pytest.raises(FlagStoreError, match=f"Argo CD applies VoiceAgent .* from Git, `{field}` too"):
            await store.set(streaming=True)

        owned = [{"manager": "kustomize-controller", "fieldsV1": {"f:data": {"f:flags.json": {}}}}]
        api.put({"flags.json": ODD}, managedFields=owned)
        with pytest.raises(FlagStoreError, match=r"Flux applies ConfigMap .* from Git, `data\.flags\.json` too"):
            await ConfigMapStore(WHERE, only_calls=None).set(streaming=True)
        assert patches(api) == 0


async def test_what_is_outside_git_is_flipped(tmp_path: Path) -> None:
    """Git has the mode; the callers are the cluster's own."""
    async with cluster(tmp_path) as api:
        owned = [{"manager": "argocd-controller", "fieldsV1": {"f:spec": {"f:streaming": {"f:mode": {}}}}}]
        api.store(AGENT, {"spec": {"streaming": {"mode": "Enabled"}}}, generation=1, managedFields=owned)
        operate(api)

        await VoiceAgentStore(ObjectName(NAMESPACE, "front-desk"), caller=CALLER, patience_s=20).set(streaming=True)

        assert api.objects[AGENT]["spec"]["streaming"]["callers"] == [{"number": CALLER, "mode": "Enabled"}]
