from __future__ import annotations

import hashlib
import json
from typing import Any

from hypothesis import given
from pydantic.alias_generators import to_camel

from batkol.app.live_recognizers import recognizer_means
from batkol.live.recognizer_means import in_order
from batkol.live.reply import Budget, parse_reply
from batkol.live.tuning import Tuning, parse_tuning
from batkol.live.turn_tuning import TURN_BOUNDS, TurnTuning
from batkol.settings import Settings
from batkol.speech.turn_thresholds import TurnThresholds
from batkol_operator.model.agent import VoiceAgent
from batkol_operator.model.turns import APOLOGY_MS, FILLER_MS, TurnsSpec
from batkol_operator.resources.live import live_files
from batkol_operator.resources.plan import plan
from support.kube.manifests import one
from support.operators.agents import AROUND, agent, sample, specs, unadmitted
from support.properties import few_by_day

ECHO = {"answerer": {"kind": "Echo"}}
OTHERS = Tuning(
    batch_ms=999,
    partial_debounce_ms=999,
    final_timeout_ms=999,
    silence_ms=999,
    minimum_speech_ms=999,
    pre_roll_ms=999,
    revision="a pod's own",
)


@few_by_day(12)
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
        recognizers=in_order(kept.recognition.recognizer or "", kept.recognition.order, ""),
        revision=files.tuning_revision,
    )


def test_recognizers_are_written_where_the_spec_names_them_and_nowhere_else() -> None:
    """A service that knows no recognizers in its tuning would refuse the whole file for them."""
    order = ["google-v1/command_and_search", "google-v1/default"]
    plain, ordered, both = (
        json.loads(live_files(agent(recognition=given).spec).tuning)["recognition"]
        for given in ({}, {"order": order}, {"order": order, "recognizer": order[1]})
    )

    assert plain.keys() == {"batchMilliseconds", "partialDebounceMilliseconds", "finalTimeoutMilliseconds"}
    assert ordered == {**plain, "order": order}
    assert both == {**plain, "order": order, "recognizer": order[1]}


def test_a_pod_without_the_account_refuses_what_the_resource_names_by_name() -> None:
    soniox = "soniox/stt-rt-v5"
    account = {"apiKeySecretRef": {"name": "soniox", "key": "api-key"}}
    spec = agent(recognition={"order": [soniox, "google-v1/default"], "soniox": account}).spec
    without, with_key = (
        recognizer_means(Settings(twilio_validate_signatures=False, soniox_api_key=key)) for key in ("", "a-key")
    )
    wanted = parse_tuning(live_files(spec).tuning.encode(), Tuning(), without).recognizers

    assert wanted == (soniox, "google-v1/default")
    assert [f"'{soniox}' needs SONIOX_API_KEY" in why for why in without.lacking(wanted)] == [True]
    assert with_key.lacking(wanted) == ()


def test_the_service_takes_every_threshold_of_turns() -> None:
    wanted = VoiceAgent.read(sample()).spec
    assert wanted.reply is not None
    assert wanted.reply.turns is not None
    given = wanted.reply.turns.model_dump()

    in_force = parse_tuning(live_files(wanted).tuning.encode(), Tuning()).turns.thresholds

    assert given == {name: getattr(in_force, name.replace("_milliseconds", "_ms")) for name in given}


def test_the_resource_has_every_threshold_of_the_service_with_its_bounds_and_its_default() -> None:
    """Those of `interruption` and `idle` have other names there, and travel in `reply.json`."""
    elsewhere = {"interruption_ms", "interrupt_words", "false_interruptions", "idle_ms", "idle_prompts"}
    known = {to_camel(name.replace("_ms", "_milliseconds")): name for name in TurnThresholds.__struct_fields__}
    fields = {to_camel(name): field for name, field in TurnsSpec.model_fields.items()}

    assert fields.keys() == {name for name, own in known.items() if own not in elsewhere}
    for name, field in fields.items():
        default = getattr(TurnThresholds(), known[name])
        assert str(field.description).startswith("Live. ")
        assert str(field.description).endswith(f"absent: {str(default).lower()}.")
        if name != "keysInterrupt":
            low, high = TURN_BOUNDS["Milliseconds" if name.endswith("Milliseconds") else ""]
            assert (f"ge={low}" in str(field.metadata), f"le={high}" in str(field.metadata)) == (True, True)
    assert (TurnThresholds().filler_ms, TurnThresholds().apology_ms) == (FILLER_MS, APOLOGY_MS)


def test_without_thresholds_the_tuning_is_written_as_it_was() -> None:
    without, with_none = live_files(agent().spec), live_files(unadmitted({"reply": {**ECHO, "turns": {}}}).spec)

    assert json.loads(without.tuning).keys() == {"revision", "recognition", "endpointing"}
    assert without.tuning == with_none.tuning


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


def test_the_config_map_of_an_agent_that_does_not_reply_has_two_files() -> None:
    wanted = plan(agent(), AROUND)
    config_map = one(wanted, "ConfigMap")

    assert config_map["metadata"]["name"] == "reception-live"
    assert config_map["data"].keys() == {"tuning.json", "flags.json"}
    assert json.loads(config_map["data"]["tuning.json"])["revision"] == wanted.tuning_revision
    assert wanted.reply_revision == ""


def test_the_service_takes_the_reply_settings_as_the_spec_has_them() -> None:
    wanted = VoiceAgent.read(sample())
    files, spec = live_files(wanted.spec), wanted.spec.reply
    assert spec is not None

    settings = parse_reply(files.reply.encode())

    assert settings.name == files.reply_revision
    assert settings.prompt == spec.prompt
    assert settings.phrase_texts() == {
        "greeting": "שלום, הגעתם למרפאה.",
        **spec.phrases.model_dump(),  # type: ignore[union-attr]  # the sample has them
    }
    turns = settings.turns(TurnTuning())
    assert (turns.thresholds.interruption_ms, turns.thresholds.idle_ms, turns.stopping) == (380, 10_000, ("רגע", "די"))
    assert settings.tools
    assert [(tool.name, tool.token_env, tool.timeout_seconds) for tool in settings.tools] == [
        ("hang_up", "", 5.0),
        ("transfer", "", 5.0),
        ("save_lead", "", 5.0),
        ("free_times", "TOOL_TOKEN_FREE_TIMES", 4),
    ]
    assert settings.lead_fields == {
        "phone": "A number to call back",
        "urgent": {"description": "Whether it cannot wait", "type": "boolean"},
    }
    assert settings.transfers == ("reception", "מנהלת")
    assert settings.limits.longest_call_seconds == 1800
    assert settings.budget == Budget(tokens=200_000, minutes=20, characters=50_000)


def test_the_reply_settings_that_a_spec_leaves_out_are_left_to_the_service() -> None:
    files = live_files(unadmitted({"reply": {"answerer": {"kind": "Echo"}}}).spec)

    assert json.loads(files.reply) == {"revision": files.reply_revision, "tools": [], "leadFields": {}}


def test_a_prompt_moves_the_revision_of_the_reply_settings_alone() -> None:
    before, after = (
        live_files(unadmitted({"reply": {"answerer": {"kind": "Echo"}, "prompt": prompt}}).spec)
        for prompt in ("one", "two")
    )

    assert before.reply_revision != after.reply_revision
    assert (before.tuning, before.flags) == (after.tuning, after.flags)


def test_the_largest_reply_settings_go_into_a_config_map() -> None:
    """With 32 tools of 16 KiB each, as the service takes them, beside everything else."""
    schema = {"type": "object", "description": "א" * 7_000}
    tools = [{"name": f"tool_{n}", "url": "https://x.example", "parameters": schema} for n in range(32)]
    wanted = plan(unadmitted({"reply": {"answerer": {"kind": "Echo"}, "prompt": "א" * 32_768, "tools": tools}}), AROUND)

    data = one(wanted, "ConfigMap")["data"]
    assert parse_reply(data["reply.json"].encode()).name == wanted.reply_revision
    assert sum(len(text.encode()) for text in data.values()) < 1 << 20
