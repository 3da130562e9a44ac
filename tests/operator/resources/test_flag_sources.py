"""Flags of FeatureFlags beside those of the spec: who wins, what is left out, and what the pods make of it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from batkol.live.flag_definitions import parse_definitions
from batkol_operator.resources.flag_sources import FEATURE_FLAGS, merge_flags
from batkol_operator.resources.flags import replies, summary
from batkol_operator.resources.plan import Plan, plan
from support.kube.manifests import one
from support.operators.agents import AROUND, agent

ON: dict[str, Any] = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
OFF: dict[str, Any] = {**ON, "defaultVariant": "off"}
NAMED = [{"name": "house"}, {"name": "attic"}]


def planned(found: dict[str, Any], **spec: Any) -> Plan:
    around = dataclasses.replace(AROUND, kinds=AROUND.kinds | {FEATURE_FLAGS}, feature_flags=found)
    return plan(agent(flagsFrom=NAMED, **spec), around)


def flags(of: Plan) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(one(of, "ConfigMap")["data"]["flags.json"])["flags"]
    return document


def test_flags_of_both_are_the_agents_flags() -> None:
    made = planned({"house": {"flags": {"a": ON}}, "attic": {"flags": {"b": OFF}}}, flags={"c": ON})

    assert flags(made).keys() == {"a", "b", "c", "streaming-stt"}
    assert made.merged.faults == ()


def test_the_spec_wins_and_then_the_first_by_name() -> None:
    """In the order of the names, and not of the list: a list is edited by several people."""
    found = {"house": {"flags": {"a": ON, "b": ON}}, "attic": {"flags": {"a": OFF, "b": OFF}}}
    made = planned(found, flags={"a": {**ON, "metadata": {"of": "spec"}}})

    assert flags(made)["a"]["metadata"] == {"of": "spec"}
    assert flags(made)["b"] == OFF
    assert made.merged.faults == (
        "Flag a of FeatureFlag attic is left out: the spec has it.",
        "Flag a of FeatureFlag house is left out: the spec has it.",
        "Flag b of FeatureFlag house is left out: FeatureFlag attic has it.",
    )


def test_a_field_of_the_spec_is_its_flag_too() -> None:
    found = {"house": {"flags": {"streaming-stt": ON, "agent-replies": OFF}}, "attic": {"flags": {}}}
    echo = {"answerer": {"kind": "Echo"}}
    silent = planned(found, reply=echo)
    told = planned(found, streaming={"mode": "Disabled"}, reply={**echo, "enabled": True})

    assert (flags(silent)["streaming-stt"], flags(silent)["agent-replies"]) == (ON, OFF)
    assert silent.merged.faults == ()
    assert flags(told)["streaming-stt"]["defaultVariant"] == "off"
    assert flags(told)["agent-replies"]["defaultVariant"] == "on"
    assert len(told.merged.faults) == 2


def test_the_columns_say_that_a_flag_decides() -> None:
    found = {"house": {"flags": {"streaming-stt": ON, "agent-replies": OFF}}, "attic": {"flags": {}}}
    spec = agent(flagsFrom=NAMED, reply={"answerer": {"kind": "Echo"}}).spec
    merged = merge_flags(["house", "attic"], found, ())

    assert (summary(spec, merged), replies(spec, merged)) == ("Custom", "Custom")


def test_what_is_not_there_is_said_and_takes_nothing_away() -> None:
    made = planned({"attic": {"flags": {"b": ON}}})
    broken = planned({"attic": {"flags": {"b": ON}}, "house": None})

    assert flags(made).keys() == flags(broken).keys() == {"b", "streaming-stt"}
    assert made.merged.faults == ("FeatureFlag house does not exist.",)
    assert broken.merged.faults == ("FeatureFlag house has no `flagSpec.flags`.",)


def test_without_the_kind_one_sentence_says_what_to_install() -> None:
    made = plan(agent(flagsFrom=NAMED), AROUND)
    (fault,) = made.merged.faults

    assert "This cluster has no FeatureFlags" in fault
    assert "Install the OpenFeature Operator" in fault
    assert plan(agent(), AROUND).merged.faults == ()


def test_shared_rules_come_along_and_the_pods_take_them() -> None:
    rule = {"in": ["@example.com", {"var": "agent"}]}
    targeted = {**ON, "targeting": {"if": [{"$ref": "ours"}, "on", "off"]}}
    found = {
        "attic": {"flags": {"a": targeted}, "$evaluators": {"ours": rule}},
        "house": {"flags": {}, "$evaluators": {"ours": {"==": [1, 2]}}},
    }
    made = planned(found)
    definitions, refusals = parse_definitions(one(made, "ConfigMap")["data"]["flags.json"].encode())

    assert refusals == ()
    assert definitions is not None
    assert definitions.flags["a"]["targeting"] == {"if": [rule, "on", "off"]}
    assert made.merged.faults == ("Evaluator ours of FeatureFlag house is left out: FeatureFlag attic has it.",)


def test_a_rule_that_multiplies_is_refused_by_the_pods_alone_and_by_name() -> None:
    """The same budget of steps, whoever wrote it."""
    costly = {**ON, "targeting": {"if": [{"map": [[0] * 10, {"var": ""}]}, "on"]}}
    made = planned({"attic": {"flags": {"a": costly, "b": ON}}, "house": {"flags": {}}})
    definitions, (refusal,) = parse_definitions(one(made, "ConfigMap")["data"]["flags.json"].encode())

    assert definitions is not None
    assert definitions.flags.keys() == {"b", "streaming-stt"}
    assert refusal.flag == "a"


def test_a_change_of_a_feature_flag_writes_the_config_map_and_nothing_else() -> None:
    before, after = (planned({"attic": {"flags": {"b": each}}, "house": {"flags": {}}}) for each in (ON, OFF))
    changed = [new["kind"] for old, new in zip(before.objects, after.objects, strict=True) if old != new]

    assert changed == ["ConfigMap"]
    assert before.flags_revision != after.flags_revision


def test_an_object_too_large_for_the_config_map_is_left_out_and_takes_nothing_else_with_it() -> None:
    """The API server would refuse the ConfigMap, and each later change of the spec with it."""
    huge = {"flags": {f"flag-{number}": {**ON, "metadata": {"text": "א" * 20_000}} for number in range(10)}}
    made = planned({"attic": huge, "house": {"flags": {"b": ON}}}, flags={"c": ON})

    assert flags(made).keys() == {"b", "c", "streaming-stt"}
    assert made.merged.faults == (
        "FeatureFlag attic is left out, for its size of 393 KiB: all FeatureFlags of an agent may have 256 KiB.",
    )


def test_objects_that_are_too_large_together_are_taken_up_to_the_limit() -> None:
    large = {name: {"flags": {name: {**ON, "metadata": {"text": "a" * 140_000}}}} for name in ("attic", "house")}
    made = planned(large)

    assert "attic" in flags(made)
    assert "house" not in flags(made)
    assert [fault.split(",")[0] for fault in made.merged.faults] == ["FeatureFlag house is left out"]
