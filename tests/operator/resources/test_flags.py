"""`flags.json` as flagd's own evaluation core and the service read it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # has no types
from hypothesis import given
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

from batkol.flags.context import CallContext
from batkol.flags.flags import Flags
from batkol.live.flag_definitions import parse_definitions
from batkol_operator.model.agent import SpecError
from batkol_operator.resources.flags import replies, summary
from batkol_operator.resources.live import live_files
from support.chart.files import LOADER
from support.live.directory import following
from support.operators.agents import agent, document, sample, specs, unadmitted
from support.properties import few_by_day

VIP, PEST, ANYBODY = "+972500000001", "+972500000002", "+972500000003"
CALLERS = [{"number": VIP, "mode": "Enabled"}, {"number": PEST, "mode": "Disabled"}]
RAW = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}


def core(**spec: Any) -> FlagdCore:
    evaluator = FlagdCore()
    evaluator.set_flags(live_files(agent(**spec).spec).flags)
    return evaluator


def streams(evaluator: FlagdCore, number: int = 0, caller: str = ANYBODY) -> bool:
    """Ask for the call with this number; a value that is not decided by the flag shows as neither."""
    context = EvaluationContext(f"CA{number:032x}", {"from": caller})
    answers = {evaluator.resolve_boolean_value("streaming-stt", default, context).value for default in (True, False)}
    assert len(answers) == 1, "the flag did not decide"
    return bool(answers.pop())


@pytest.mark.parametrize(
    ("streaming", "expected"),
    [(None, False), ({}, False), ({"mode": "Disabled"}, False), ({"mode": "Enabled"}, True)],
)
def test_everybody_or_nobody(streaming: dict[str, Any] | None, expected: bool) -> None:
    evaluator = core(**({} if streaming is None else {"streaming": streaming}))

    assert {streams(evaluator, number) for number in range(50)} == {expected}


@pytest.mark.parametrize("mode", [{"mode": "Enabled"}, {"mode": "Disabled"}, {"mode": "Rollout", "rolloutPercent": 50}])
def test_a_caller_of_its_own_wins_over_the_mode(mode: dict[str, Any]) -> None:
    evaluator = core(streaming={**mode, "callers": CALLERS})

    assert all(streams(evaluator, number, VIP) for number in range(50))
    assert not any(streams(evaluator, number, PEST) for number in range(50))
    others = {streams(evaluator, number) for number in range(50)}
    assert others == {"Enabled": {True}, "Disabled": {False}, "Rollout": {True, False}}[mode["mode"]]


@pytest.mark.parametrize("callers", [CALLERS, pytest.param([], marks=pytest.mark.nightly)])
def test_a_share_is_sticky_and_grows(callers: list[dict[str, str]]) -> None:
    five, twenty = (
        core(streaming={"mode": "Rollout", "rolloutPercent": percent, "callers": callers}) for percent in (5, 20)
    )
    few = {number for number in range(2000) if streams(five, number)}
    more = {number for number in range(2000) if streams(twenty, number)}

    assert 0.035 <= len(few) / 2000 <= 0.065
    assert 0.17 <= len(more) / 2000 <= 0.23
    assert few < more
    assert few == {number for number in few if streams(five, number)}


@pytest.mark.parametrize(("percent", "expected"), [(0, False), (100, True)])
def test_a_share_of_nobody_and_of_all(percent: int, expected: bool) -> None:
    evaluator = core(streaming={"mode": "Rollout", "rolloutPercent": percent})

    assert {streams(evaluator, number) for number in range(300)} == {expected}


def test_raw_flags_stand_beside_it_as_written() -> None:
    rule = {"if": [{"==": [{"var": "language"}, "he-IL"]}, "שלום", None]}
    raw = {"state": "ENABLED", "variants": {"שלום": "a", "no": "b"}, "defaultVariant": "no", "targeting": rule}
    files = live_files(agent(flags={"greeting": raw}, streaming={"mode": "Enabled"}).spec)

    assert json.loads(files.flags)["flags"]["greeting"] == raw
    assert "שלום" in files.flags
    evaluator = core(flags={"greeting": raw})
    hebrew = EvaluationContext("CA1", {"language": "he-IL"})
    assert evaluator.resolve_string_value("greeting", "?", hebrew).value == "a"
    assert evaluator.resolve_string_value("greeting", "?", EvaluationContext("CA1", {})).value == "b"


def test_a_raw_streaming_flag_decides_alone() -> None:
    """For rules that the friendly form does not have, by call SID or agent."""
    rule = {"if": [{"in": [{"var": "targetingKey"}, [f"CA{7:032x}"]]}, "on"]}
    evaluator = core(flags={"streaming-stt": {**RAW, "targeting": rule}})

    assert [number for number in range(20) if streams(evaluator, number)] == [7]


def test_both_forms_at_once_are_refused() -> None:
    with pytest.raises(SpecError, match=r"`spec\.flags` may not hold `streaming-stt`"):
        type(agent()).read(document(streaming={"mode": "Enabled"}, flags={"streaming-stt": RAW}))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, "Disabled"),
        ({"streaming": {"mode": "Enabled", "callers": CALLERS}}, "Enabled"),
        ({"streaming": {"mode": "Rollout", "rolloutPercent": 5}}, "Rollout 5%"),
        ({"flags": {"streaming-stt": RAW}}, "Custom"),
        ({"flagd": {"host": "flagd.flags"}}, "Flagd"),
    ],
)
def test_the_column_says_it_in_a_word(spec: dict[str, Any], said: str) -> None:
    assert summary(agent(**spec).spec) == said


@few_by_day(12)
@given(specs)
def test_the_service_takes_every_file_whole(spec: dict[str, Any]) -> None:
    files = live_files(unadmitted(spec).spec)
    definitions, refusals = parse_definitions(files.flags.encode())

    assert refusals == ()
    assert definitions is not None
    assert definitions.revision == files.flags_revision
    assert definitions.flags.keys() == {"streaming-stt", *spec.get("flags", {})}
    FlagdCore().set_flags(files.flags)  # a real flagd would, too


def over_a_list(operator: str, levels: int) -> dict[str, Any]:
    rule: Any = {"var": ""}
    for _ in range(levels):
        rule = {operator: [[0] * 10, rule]}
    return {"if": [rule, "on"]}


@pytest.mark.parametrize("operator", ["map", "reduce", "filter", "all", "some", "none"])
def test_a_rule_that_multiplies_reaches_the_pods_and_is_refused_there_alone_and_by_name(operator: str) -> None:
    """The agent's status tells what its pods refuse; its other flags and fields are applied."""
    costly = {"streaming-stt": {**RAW, "targeting": over_a_list(operator, 8)}, "other": RAW}
    definitions, (refusal,) = parse_definitions(live_files(agent(flags=costly).spec).flags.encode())

    assert definitions is not None
    assert definitions.flags.keys() == {"other"}
    assert refusal.flag == "streaming-stt"
    assert f"operator '{operator}'" in refusal.why[:200]


@pytest.mark.parametrize("field", ["targeting", "variants", "metadata"])
@pytest.mark.parametrize("levels", [70, 260, 900, 5000])
def test_a_flag_that_nests_without_end_is_refused_by_name(field: str, levels: int) -> None:
    nested: Any = "x"
    for _ in range(levels):
        nested = {"!": nested}

    with pytest.raises(SpecError, match=rf"`spec\.flags\.deep\.{field}` is nested deeper than 64 levels"):
        unadmitted({"flags": {"deep": {**RAW, field: nested}}})


def test_the_service_takes_the_samples_flags() -> None:
    files = live_files(type(agent()).read(sample()).spec)

    assert parse_definitions(files.flags.encode())[1] == ()


@pytest.mark.parametrize(("enabled", "expected"), [(None, True), (True, True), (False, False)])
def test_whether_the_agent_answers_is_a_flag_which_changes_live(enabled: bool | None, expected: bool) -> None:
    reply = {"answerer": {"kind": "Echo"}} | ({} if enabled is None else {"enabled": enabled})
    evaluator = FlagdCore()
    evaluator.set_flags(live_files(unadmitted({"reply": reply}).spec).flags)

    for default in (True, False):
        assert evaluator.resolve_boolean_value("agent-replies", default, EvaluationContext("CA1")).value is expected
    assert replies(unadmitted({"reply": reply}).spec) == ("Enabled" if expected else "Disabled")


def test_a_flag_of_the_owners_own_says_who_is_answered() -> None:
    wanted = unadmitted({"reply": {"answerer": {"kind": "Echo"}}, "flags": {"agent-replies": RAW}})

    assert json.loads(live_files(wanted.spec).flags)["flags"]["agent-replies"] == RAW
    assert replies(wanted.spec) == "Custom"


def test_an_agent_that_does_not_reply_has_no_flag_of_replies() -> None:
    assert "agent-replies" not in json.loads(live_files(agent().spec).flags)["flags"]
    assert replies(agent().spec) == ""


DOCS = Path(__file__).parents[3] / "docs"


async def test_the_page_s_soniox_by_caller_reaches_these_callers_and_nobody_else(tmp_path: Path) -> None:
    """From the page by the API server and the operator to the service's own answer."""
    (shown,) = re.findall(r"^```yaml\n(spec:.*?)^```", (DOCS / "flags.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    spec = yaml.load(shown, LOADER)["spec"]
    files = live_files(agent(**spec).spec)
    (tmp_path / "flags.json").write_text(files.flags)
    (tmp_path / "tuning.json").write_text(files.tuning)
    names = tuple(spec["recognition"]["order"])

    async with following(tmp_path) as live:
        flags = await Flags.start(fallback=False, recognizers=lambda: live.tuning.recognizers, live=live)
        assert live.status().refusals == ()
        callers = [VIP, PEST, ANYBODY, ""]
        calls = [CallContext(call_sid=f"CA{at}", agent="reception", from_=caller) for at, caller in enumerate(callers)]
        heard = [flags.recognizer(call) for call in calls]
        streams = [flags.streaming(call).enabled for call in calls]
        await flags.close()

    assert live.tuning.recognizers == names == ("google-v1/default", "soniox/stt-rt-v5")
    assert heard == ["soniox/stt-rt-v5", "soniox/stt-rt-v5", "google-v1/default", "google-v1/default"]
    assert streams == [True] * 4


@pytest.mark.parametrize(("page", "definitions"), [("flags.md", 2), ("soniox.md", 1)])
def test_every_definition_on_a_page_is_taken_as_it_stands(page: str, definitions: int) -> None:
    text = (DOCS / page).read_text("utf-8")
    shown = re.findall(r"^(?:```json|cat > \S+ <<EOF)\n(.*?)^(?:```|EOF)", text, re.MULTILINE | re.DOTALL)
    flags = [each for each in shown if "flags" in json.loads(each)]

    assert len(flags) == definitions
    assert [parse_definitions(each.encode())[1] for each in flags] == [()] * definitions
