"""FeatureFlags of the namespace in an agent's passes, in virtual time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from batkol_operator.reconcile.flag_sources import LOOK_AGAIN_S, source_names
from support.kube.front import resources
from support.kube.memory_api import MemoryApi
from support.kube.store import Key, Manifest
from support.operators.desk import LIVE, NAMESPACE, Desk, desk
from support.operators.world import world

pytestmark = pytest.mark.virtual_time

HOUSE = Key("core.openfeature.dev", "featureflags", NAMESPACE, "house")
ON: dict[str, Any] = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}


def feature_flag(**flags: Any) -> Manifest:
    return {"metadata": {"name": "house", "namespace": NAMESPACE}, "spec": {"flagSpec": {"flags": flags}}}


def flags(at: Desk) -> set[str]:
    return set(json.loads(at.api.store.get(LIVE)["data"]["flags.json"])["flags"])


async def test_the_first_pass_has_the_flags_that_exist(at: Desk) -> None:
    """Also when no event has shown them yet, as after a restart: calls in progress would follow their absence."""
    at.api.store.create(HOUSE, feature_flag(a=ON))
    await asyncio.sleep(0)  # its event
    at.context.feature_flags.forget(NAMESPACE, ["house"])
    at.create(flagsFrom=[{"name": "house"}])

    await at.reconcile()

    assert flags(at) == {"a", "streaming-stt"}
    assert at.condition("FlagsMerged")["status"] == "True"
    assert at.condition("FlagsMerged")["message"] == "1 flag comes from the FeatureFlags house."


async def test_a_change_is_in_the_config_map_after_one_request(at: Desk) -> None:
    at.api.store.create(HOUSE, feature_flag(a=ON))
    at.create(flagsFrom=[{"name": "house"}])
    await at.reconcile()

    at.patch(HOUSE, spec={"flagSpec": {"flags": {"b": ON}}})
    await at.reconcile()

    assert flags(at) == {"a", "b", "streaming-stt"}
    assert [line for line in at.api.seen if "featureflags" in line] == []
    assert (await at.reconcile()).result == "unchanged"
    assert at.api.seen == []


async def test_an_event_of_a_feature_flag_wakes_the_agents_of_its_namespace() -> None:
    """By the handlers, as kopf calls them: a pass that comes by itself is seconds away."""
    async with world() as (made, stack):
        await made.operate(stack)
        made.front.store.create(HOUSE, feature_flag(a=ON))
        made.create("clinic", flagsFrom=[{"name": "house"}])
        await asyncio.sleep(60)
        made.front.store.change(HOUSE, "", lambda old: {**old, **feature_flag(b=ON), "metadata": old["metadata"]})
        await asyncio.sleep(0.5)

        assert "b" in json.loads(made.front.store.get(made.live("clinic"))["data"]["flags.json"])["flags"]


async def test_what_is_deleted_is_left_out_and_said(at: Desk) -> None:
    at.api.store.create(HOUSE, feature_flag(a=ON))
    at.create(flagsFrom=[{"name": "house"}])
    await at.reconcile()

    at.api.store.delete(HOUSE)
    await at.reconcile()

    assert flags(at) == {"streaming-stt"}
    condition = at.condition("FlagsMerged")
    assert (condition["status"], condition["reason"]) == ("False", "FlagsLeftOut")
    assert condition["message"].startswith("FeatureFlag house does not exist.")


async def test_a_duplicate_is_a_condition_and_the_spec_stays_in_force(at: Desk) -> None:
    at.api.store.create(HOUSE, feature_flag(a=ON))
    at.create(flagsFrom=[{"name": "house"}], flags={"a": {**ON, "defaultVariant": "off"}})

    await at.reconcile()

    assert json.loads(at.api.store.get(LIVE)["data"]["flags.json"])["flags"]["a"]["defaultVariant"] == "off"
    assert "Flag a of FeatureFlag house is left out: the spec has it." in at.condition("FlagsMerged")["message"]


async def test_an_agent_without_sources_asks_for_none_and_has_no_condition(at: Desk) -> None:
    at.api.store.create(HOUSE, feature_flag(a=ON))
    at.create()

    await at.reconcile()

    assert [line for line in at.api.seen if "featureflags" in line] == []
    assert "FlagsMerged" not in {each["type"] for each in at.status["conditions"]}
    assert flags(at) == {"streaming-stt"}


async def test_the_kind_may_be_absent_and_may_come_later(memory: MemoryApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no event comes for it, an operator for some namespaces only, it is looked for every few seconds."""
    kind = (HOUSE.group, HOUSE.plural)
    known = resources()[kind]
    monkeypatch.delitem(resources(), kind)
    async with desk(memory) as at:
        at.create(flagsFrom=[{"name": "house"}])
        assert (await at.reconcile()).next_in == LOOK_AGAIN_S
        assert "This cluster has no FeatureFlags" in at.condition("FlagsMerged")["message"]
        assert [line for line in at.api.seen if "featureflags" in line] == []

        monkeypatch.setitem(resources(), kind, known)
        at.api.store.create(HOUSE, feature_flag(a=ON))
        await asyncio.sleep(LOOK_AGAIN_S)
        assert (await at.reconcile()).next_in == LOOK_AGAIN_S
        assert flags(at) == {"a", "streaming-stt"}

        at.patch(HOUSE, spec={"flagSpec": {"flags": {"b": ON}}})
        await at.reconcile()
        assert flags(at) == {"a", "b", "streaming-stt"}


@pytest.mark.parametrize("written", [None, "house", [None, {}, {"name": ""}, "house"], {"name": "house"}])
async def test_what_is_no_list_of_names_is_left_to_the_rules(written: Any) -> None:
    assert source_names({"metadata": {}, "spec": {"flagsFrom": written}}) == []
