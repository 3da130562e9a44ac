from __future__ import annotations

import hashlib
import json
from typing import Any

from hypothesis import given

from batkol.live.tuning import Tuning, parse_tuning
from batkol_operator.resources.live import live_files
from batkol_operator.resources.plan import plan
from support.kube.manifests import one
from support.operators.agents import AROUND, agent, specs, unadmitted
from support.properties import few_by_day

OTHERS = Tuning(
    batch_ms=999,
    partial_debounce_ms=999,
    final_timeout_ms=999,
    silence_ms=999,
    minimum_speech_ms=999,
    pre_roll_ms=999,
    revision="a pod's own",
)


@few_by_day(30)
@given(specs)
def test_the_service_takes_every_tuning_and_nothing_of_it_is_left_to_the_pod(spec: dict[str, Any]) -> None:
    kept = unadmitted(spec).spec
    files = live_files(kept)

    assert parse_tuning(files.tuning.encode(), OTHERS) == Tuning(
        batch_ms=kept.recognition.batch_milliseconds,
        partial_debounce_ms=kept.recognition.partial_debounce_milliseconds,
        final_timeout_ms=kept.recognition.final_timeout_milliseconds,
        silence_ms=kept.endpointing.silence_milliseconds,
        minimum_speech_ms=kept.endpointing.minimum_speech_milliseconds,
        pre_roll_ms=kept.endpointing.pre_roll_milliseconds,
        revision=files.tuning_revision,
    )


def test_nothing_said_is_the_services_defaults() -> None:
    files = live_files(agent().spec)

    assert parse_tuning(files.tuning.encode(), OTHERS) == Tuning(revision=files.tuning_revision)


def test_revisions_are_what_anybody_can_compute() -> None:
    files = live_files(agent(recognition={"batchMilliseconds": 20}).spec)
    numbers = json.loads(files.tuning)
    named = numbers.pop("revision")
    canonical = json.dumps(numbers, sort_keys=True, separators=(",", ":"))

    assert named == files.tuning_revision == hashlib.sha256(canonical.encode()).hexdigest()[:12]
    assert files.flags_revision == hashlib.sha256(files.flags.encode()).hexdigest()[:12]


def test_a_change_of_one_moves_its_own_revision_alone() -> None:
    before = live_files(agent().spec)
    tuned = live_files(agent(endpointing={"silenceMilliseconds": 481}).spec)
    flipped = live_files(agent(streaming={"mode": "Enabled"}).spec)

    assert tuned.tuning_revision != before.tuning_revision
    assert tuned.flags_revision == before.flags_revision
    assert flipped.tuning_revision == before.tuning_revision
    assert flipped.flags_revision != before.flags_revision


def test_the_order_in_which_fields_come_changes_nothing() -> None:
    flags = {name: {"state": "ENABLED", "variants": {"b": "1", "a": "2"}} for name in ("two", "one")}
    turned = {name: {"variants": {"a": "2", "b": "1"}, "state": "ENABLED"} for name in ("one", "two")}
    callers = [{"number": f"+97250{digit}", "mode": "Enabled"} for digit in (3, 1, 2)]

    assert live_files(agent(flags=flags, streaming={"callers": callers}).spec) == live_files(
        agent(flags=turned, streaming={"callers": callers[::-1]}).spec
    )


def test_the_config_map_has_both_files() -> None:
    wanted = plan(agent(), AROUND)
    config_map = one(wanted, "ConfigMap")

    assert config_map["metadata"]["name"] == "reception-live"
    assert config_map["data"].keys() == {"tuning.json", "flags.json"}
    assert json.loads(config_map["data"]["tuning.json"])["revision"] == wanted.tuning_revision
