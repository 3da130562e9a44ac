"""`flags.json`, flag by flag: what is put in force and what is refused."""

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

from batkol.live.flag_definitions import (
    FILE_STEPS,
    SHOWN_REFUSALS,
    FlagDefinitions,
    parse_definitions,
)
from batkol.live.source import LARGEST
from batkol.status import RefusedDefinition
from support.properties import few_by_day

GOOD = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
GREETING = {"state": "ENABLED", "variants": {"formal": "שלום רב", "short": "היי"}, "defaultVariant": "formal"}


def parse(
    flags: dict[str, Any], last_good: FlagDefinitions | None = None, **more: Any
) -> tuple[FlagDefinitions | None, tuple[RefusedDefinition, ...]]:
    return parse_definitions(json.dumps({"flags": flags, **more}).encode(), last_good)


def parsed(flags: dict[str, Any], **more: Any) -> FlagDefinitions:
    definitions, refusals = parse(flags, None, **more)
    assert refusals == ()
    assert definitions is not None
    return definitions


def evaluate(definitions: FlagDefinitions, flag: str = "streaming-stt", **attributes: Any) -> Any:
    core = FlagdCore()
    core.set_flags(definitions.to_flagd())
    context = EvaluationContext(attributes.pop("targetingKey", "CA1"), attributes)
    if flag == "streaming-stt":
        return core.resolve_boolean_value(flag, False, context).value
    return core.resolve_string_value(flag, "", context).value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b"{}",
        b'{"flags": 7}',
        b'{"flags": {}, "flags": {}}',
        b'{"flags": {}, "$evaluators": {}, "$evaluators": {}}',
        b'{"flags": {"a": NaN}}',
        b'// mine\n{"flags": {}}',
        '{"flags": {}}'.encode("utf-16"),
        b'{"flags": {}, "$evaluators": [1]}',
        b"\xff",
        b"[" * 100_000,
        b'{"flags": {}}' + b" " * LARGEST,
    ],
)
def test_a_file_that_is_no_set_of_flags_is_refused_whole_and_the_last_good_stays(raw: bytes) -> None:
    before = parsed({"streaming-stt": GOOD})

    after, (refusal,) = parse_definitions(raw, before)

    assert after is before
    assert refusal.flag is None
    assert "keeps the last valid flags" in refusal.why


NESTED: Any = "x"
for _ in range(200):
    NESTED = {"!": NESTED}

WRONG: list[tuple[Any, str]] = [
    ("on", "not a JSON object"),
    ({**GOOD, "state": "enabled"}, "state must be ENABLED or DISABLED"),
    ({"variants": {"on": True}, "defaultVariant": "on"}, "state must be"),
    ({**GOOD, "variants": {}}, "needs at least one variant"),
    ({**GOOD, "variants": ["on"]}, "needs at least one variant"),
    ({**GOOD, "variants": {"on": True, "off": None}}, "is null"),
    ({**GOOD, "variants": {"on": True, "off": "false"}}, "of different types"),
    ({**GOOD, "variants": {"on": "true", "off": "false"}}, "true or false, without quotes"),
    ({**GOOD, "defaultVariant": "maybe"}, "defaultVariant is not one of"),
    ({**GOOD, "defaultVariant": "ON"}, "defaultVariant is not one of"),
    ({**GOOD, "defaultVariant": True}, "defaultVariant is not one of"),
    ({**GOOD, "state": "Enabled"}, "state must be ENABLED or DISABLED"),
    ({**GOOD, "variants": {"on": True, "off": False, "": False}}, "variants has an empty name"),
    ({**GREETING, "variants": {"a": 2**53}, "defaultVariant": "a"}, "whole number beyond 9007199254740991"),
    ({**GOOD, "targeting": {"if": [{"==": [{"var": "agent"}, "\ud83d"]}, "off"]}}, "half of a surrogate pair"),
    ({**GOOD, "targeting": {"==": [{"var": "agent"}, "\ud83d"]}}, "can answer true or false"),
    ({**GOOD, "defaultVariant": 1}, "defaultVariant is not one of"),
    ({**GOOD, "metadata": {"owner": []}}, "metadata may hold only"),
    ({**GOOD, "targeting": "on"}, "targeting is not a JSON object"),
    ({**GOOD, "targeting": ["on"]}, "targeting is not a JSON object"),
    ({**GOOD, "targeting": {"iff": []}}, "operator 'iff'"),
    ({**GOOD, "targeting": {"=>": []}}, "operator '=>'"),
    ({**GOOD, "targeting": {"if": [{"log": {"var": "from"}}, "on"]}}, "operator 'log'"),
    (
        {**GOOD, "targeting": {"if": [{"map": [[1], {"var": ""}]}, "on"]}},
        "operator 'map', which runs a rule over a list",
    ),
    ({**GOOD, "targeting": {"fractional": [["on", 1]] * 5000}}, "more than the 500 steps"),
    ({**GOOD, "targeting": NESTED}, "nested deeper than 64 levels"),
    ({**GREETING, "variants": {"formal": NESTED}}, "nested deeper than 64 levels"),
    ({**GOOD, "targeting": {"if": [{"==": [1, 1], "!=": [1, 2]}, "off"]}}, "not one operator"),
    ({**GOOD, "targeting": {"if": [True, "offf"]}}, "variant that the flag does not have"),
    ({**GOOD, "targeting": {"if": [True, "on", {"if": [True, "of"]}]}}, "variant that the flag does not have"),
    ({**GOOD, "targeting": {"fractional": [["on", 5], ["of", 95]]}}, "variant that the flag does not have"),
    ({**GOOD, "targeting": {"fractional": [["on", 0.05], ["off", 0.95]]}}, "not a whole number"),
    ({**GOOD, "targeting": {"fractional": [["on", "5"], ["off", "95"]]}}, "not a whole number"),
    ({**GOOD, "targeting": {"fractional": [["on", 0], ["off", 0]]}}, "add up to nothing"),
    ({**GOOD, "targeting": {"fractional": [{"var": "targetingKey"}]}}, "add up to nothing"),
    ({**GOOD, "targeting": {"fractional": [["on", 5], "off"]}}, 'not ["variant", weight]'),
    ({**GOOD, "targeting": {"if": [{"$ref": "nobody"}, "off"]}}, "$ref to a rule that $evaluators does not define"),
]


SHORTHANDS: list[Any] = [
    {"==": [{"var": "agent"}, "night"]},
    {"!": [{"var": "agent"}]},
    {"in": [{"var": "from"}, ["+972541234567"]]},
    {"starts_with": [{"var": "from"}, "+972"]},
    {"sem_ver": [{"var": "release"}, ">", "1.0.0"]},
    {"if": [{"==": [{"var": "agent"}, "night"]}]},
    {"if": [{"==": [{"var": "agent"}, "night"]}, {"in": ["x", {"var": "to"}]}, "off"]},
    {"and": [{"==": [{"var": "agent"}, "night"]}, "off"]},
    {"or": [{"==": [{"var": "agent"}, "night"]}, "off"]},
    {"or": [{"and": [{"==": [{"var": "agent"}, "night"]}, {"!": [{"var": "to"}]}]}, "off"]},
    {"fractional": [[{"==": [1, 1]}, 50], ["off", 50]]},
    True,
]


@pytest.mark.parametrize("shorthand", SHORTHANDS[:-1])
def test_a_rule_that_answers_true_or_false_needs_variants_of_that_name(shorthand: Any) -> None:
    """flagd takes it, and fails at each call: the name of the variant is "true", and there are "on" and "off"."""
    _, (refusal,) = parse({"streaming-stt": {**GOOD, "targeting": shorthand}})

    assert "can answer true or false, and the flag has no variant of that name" in refusal.why
    assert '{"if": [condition, "VARIANT", "VARIANT"]}' in refusal.why

    named = {"true": True, "false": False, "off": False}
    flag = {"state": "ENABLED", "variants": named, "defaultVariant": "false", "targeting": shorthand}
    definitions = parsed({"streaming-stt": flag})
    for agent in ("night", "day"):
        assert evaluate(definitions, agent=agent) in (True, False)


@pytest.mark.parametrize(
    "rule",
    [
        {"and": [{"==": [1, 1]}, {"if": [True, "on"]}]},
        {"or": ["", {"var": "agent"}]},
        {"or": [{"if": [{"==": [1, 2]}, "on"]}, "off"]},
    ],
)
def test_a_condition_before_the_answer_counts_only_where_it_can_be_the_answer(rule: Any) -> None:
    flag = {"state": "ENABLED", "variants": {"on": True, "false": False}, "defaultVariant": "on", "targeting": rule}
    definitions, refusals = parse({"flag": {**flag, "variants": {**flag["variants"], "off": False}}})

    assert refusals == ()
    assert definitions is not None


def test_a_rule_that_answers_with_a_list_names_no_variant() -> None:
    _, (refusal,) = parse({"streaming-stt": {**GOOD, "targeting": {"missing": ["agent"]}}})

    assert "answers with a variant that the flag does not have" in refusal.why


DEFINITION = '{"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"%s}'
TWICE = [
    ('"x": DEF, "x": DEF', "the file defines it twice"),
    ('"x": {"state": "ENABLED", "state": "ENABLED", "variants": {"a": 1}}', "its key state occurs twice"),
    ('"x": {"state": "ENABLED", "variants": {"a": 1}, "variants": {"a": 1}}', "its key variants occurs twice"),
    ('"x": {"state": "ENABLED", "variants": {"a": 1, "a": 2}}', "with the same key twice"),
    ('"x": {"state": "ENABLED", "variants": {"a": {"b": [{"c": 1, "c": 1}]}}}', "with the same key twice"),
    ('"x": {"state": "ENABLED", "variants": {"a": 1}, "metadata": {"a": 1, "a": 1}}', "with the same key twice"),
    ('"x": DEF+{"if": [true, "on"], "if": [true, "off"]}', "its targeting has an object with the same key twice"),
    ('"x": DEF+{"if": [{"$ref": "two"}, "on"]}', "a $ref to a rule that $evaluators defines twice"),
    ('"x": DEF+{"if": [{"$ref": "inner"}, "on"]}', "its targeting has an object with the same key twice"),
    ('"x": {"state": "ENABLED", "variants": {"a": 1e999}}', "a number that is too large"),
    ('"x": {"state": "ENABLED", "variants": {"a": %s}}' % ("9" * 5000), "a number that is too large"),
    ('"x": DEF+{"if": [{"in": [1, [-1e999]]}, "on"]}', "its targeting has a number that is too large"),
]  # fmt: skip


@pytest.mark.parametrize(("flag", "says"), TWICE)
def test_what_a_reader_would_have_to_guess_is_refused_with_its_flag_alone(flag: str, says: str) -> None:
    """A key that stands twice, the last of which counted; a number that became infinite."""
    flag = re.sub(r"DEF\+(.*)$", lambda found: DEFINITION % f', "targeting": {found[1]}', flag)
    flag = flag.replace("DEF", DEFINITION % "")
    evaluators = '{"two": {"==": [1, 1]}, "two": {"==": [1, 2]}, "inner": {"==": [1, 1], "==": [1, 2]}}'
    before = parsed({"x": GREETING})
    text = (
        f'{{"$comment": 1, "$comment": 2, "flags": {{{flag}, "good": {DEFINITION % ""}}}, "$evaluators": {evaluators}}}'
    )

    after, (refusal,) = parse_definitions(text.encode(), before)

    assert after is not None
    assert set(after.flags) == {"x", "good"}
    assert after.flags["x"] == before.flags["x"]
    assert refusal.flag == "x"
    assert says in refusal.why


@pytest.mark.parametrize("metadata", ['"metadata": {"a": 1, "a": 2}', '"metadata": {}, "metadata": {}'])
def test_metadata_that_stands_twice_is_left_out_and_reported(metadata: str) -> None:
    definitions, (refusal,) = parse_definitions(f'{{"flags": {{}}, {metadata}}}'.encode())

    assert definitions is not None
    assert definitions.metadata == {}
    assert "metadata may hold only" in refusal.why


def test_comments_may_stand_twice() -> None:
    comments = '"$comment": 1, "$comment": 2'
    text = f'{{{comments}, "flags": {{"x": {{{comments}, {DEFINITION[1:]}}}}}' % f', "targeting": {{{comments}}}'

    definitions, refusals = parse_definitions(text.encode())

    assert refusals == ()
    assert definitions is not None
    assert set(definitions.flags) == {"x"}


def test_flags_may_be_a_list_with_a_key_each() -> None:
    """As flagd itself reads it: https://flagd.dev/schema/v0/flags.json#flagdImport."""
    evaluators = {"night": {"==": [{"var": "agent"}, "night"]}}
    rule = {"if": [{"$ref": "night"}, "off"]}
    listed: Any = [{"key": "greeting", **GREETING}, {"key": "streaming-stt", **GOOD, "targeting": rule}]

    definitions = parsed(listed, **{"$evaluators": evaluators})

    assert list(definitions.flags) == ["greeting", "streaming-stt"]
    assert evaluate(definitions, "greeting") == "שלום רב"
    assert evaluate(definitions, agent="night") is False
    assert evaluate(definitions, agent="day") is True


def test_in_a_list_of_flags_too_the_bad_ones_are_refused_alone() -> None:
    """Two flags of one key: flagd tells them apart by flag sets, of which there are none here."""
    before = parsed({"twice": GREETING})
    listed: Any = [
        {"key": "twice", **GOOD},
        {"key": "good", **GOOD},
        {"key": "twice", **GREETING, "metadata": {"flagSetId": "other"}},
        {"key": "bad", **GOOD, "state": "enabled"},
        {"key": "", **GOOD},
        {"key": 7, **GOOD},
        GOOD,
        "streaming-stt",
    ]

    after, refusals = parse(listed, before)

    assert after is not None
    assert set(after.flags) == {"twice", "good"}
    assert after.flags["twice"] == before.flags["twice"]
    assert {refusal.flag: refusal.why for refusal in refusals}.keys() == {"twice", "bad", None}
    assert "the file defines it twice" in refusals[0].why
    assert "4 entries in the list of flags are not objects with a key" in refusals[-1].why


def test_a_flag_whose_key_is_half_a_character_is_refused_in_words_that_can_be_written_down() -> None:
    """The status is JSON in UTF-8, which has no such character."""
    _, refusals = parse({"\ud83d": GOOD, "": GOOD, "good": GOOD})

    assert [refusal.flag for refusal in refusals] == ["\\ud83d", ""]
    assert msgspec.json.encode(refusals)


@pytest.mark.parametrize("misplaced", ["+972541234567", "972541234567", "sip:+972541234567@x", "caller_972541234567"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_number_in_the_place_of_an_operator_is_not_quoted(misplaced: str, nested: bool) -> None:
    rule: Any = {misplaced: "off"}
    _, (refusal,) = parse({"streaming-stt": {**GOOD, "targeting": {"if": [rule, "off"]} if nested else rule}})

    assert "its targeting uses an operator that cannot be used here" in refusal.why
    assert "972541234567" not in str(refusal)


@pytest.mark.parametrize(("wrong", "says"), WRONG)
def test_a_bad_flag_keeps_its_last_good_definition_and_the_others_apply(wrong: Any, says: str) -> None:
    before = parsed({"streaming-stt": GOOD})

    after, (refusal,) = parse({"streaming-stt": wrong, "greeting": GREETING}, before)

    assert after is not None
    assert after.flags["streaming-stt"] == before.flags["streaming-stt"]
    assert evaluate(after, "greeting") == "שלום רב"
    assert refusal.flag == "streaming-stt"
    assert says in refusal.why
    assert "Its last valid definition stays" in refusal.why


@pytest.mark.parametrize(("wrong", "says"), WRONG)
def test_a_bad_flag_without_a_last_good_definition_does_not_exist(wrong: Any, says: str) -> None:
    after, (refusal,) = parse({"streaming-stt": wrong, "greeting": GREETING})

    assert after is not None
    assert set(after.flags) == {"greeting"}
    assert "does not exist for now" in refusal.why


def test_a_file_whose_flags_take_too_many_steps_keeps_the_flag_that_calls_ask_for() -> None:
    """Two thousand flags refer to one rule, which each of them may; `streaming-stt` comes last and counts first."""
    rule = {"if": [{"in": [{"var": "agent"}, ["x"] * 5000]}, "short"]}
    others = {f"flag-{number}": {**GREETING, "targeting": {"$ref": "one"}} for number in range(2000)}
    before = parsed({"flag-1999": GREETING})

    after, refusals = parse({**others, "streaming-stt": GOOD}, before, **{"$evaluators": {"one": rule}})

    assert after is not None
    assert list(after.flags)[-1] == "streaming-stt"
    assert 10 < len(after.flags) < 30
    assert after.flags["flag-1999"] == before.flags["flag-1999"]
    assert f"the flags of the file take more than {FILE_STEPS} steps together" in refusals[0].why
    assert len(refusals) == SHOWN_REFUSALS + 1
    assert "more refusals" in refusals[-1].why


def test_a_variant_as_large_as_a_file_is_counted_and_spoils_no_other_flag() -> None:
    large = {"state": "ENABLED", "variants": {"a": [0] * 200_000}, "defaultVariant": "a"}

    after, (refusal,) = parse({"large": large, "streaming-stt": GOOD, "greeting": GREETING})

    assert after is not None
    assert set(after.flags) == {"streaming-stt", "greeting"}
    assert "its variants or metadata, written out, takes more than the 500 steps" in refusal.why


def test_no_refusal_quotes_a_number_out_of_a_rule() -> None:
    number = "+972541234567"
    rule = {"if": [{"in": [{"var": "from"}, [number]], number: 1}, number]}

    _, (refusal,) = parse({"streaming-stt": {**GOOD, "targeting": rule}})

    assert number not in refusal.why


def test_keys_that_flagd_does_not_know_are_left_out() -> None:
    """flagd's core alone refuses the whole set for one `$comment` in a flag."""
    rule = {"$comment": "night shift", "if": [{"==": [{"var": "agent"}, "night"], "$comment": "x"}, "off"]}

    definitions = parsed({"streaming-stt": {**GOOD, "$comment": "why", "owner": "sre", "targeting": rule}})

    assert evaluate(definitions, agent="night") is False
    assert evaluate(definitions, agent="day") is True


def test_shared_rules_are_written_out_also_within_each_other_and_in_hebrew() -> None:
    """flagd's core alone fails here: it splices `$ref` in as a regular expression template."""
    evaluators = {
        "named": {"==": [{"var": "agent"}, "קבלה"]},
        "ours": {"and": [{"$ref": "named"}, {"==": [{"var": "direction"}, "inbound"]}]},
    }
    flag = {**GOOD, "targeting": {"if": [{"$ref": "ours"}, "off"]}}

    definitions = parsed({"streaming-stt": flag}, **{"$evaluators": evaluators})

    assert evaluate(definitions, agent="קבלה", direction="inbound") is False
    assert evaluate(definitions, agent="קבלה", direction="outbound") is True


def test_a_rule_that_refers_to_itself_is_refused() -> None:
    evaluators = {"a": {"or": [{"$ref": "b"}, {"$ref": "b"}]}, "b": {"or": [{"$ref": "a"}, {"$ref": "a"}]}}

    flag = {**GOOD, "targeting": {"if": [{"$ref": "a"}, "off"]}}

    _, (refusal,) = parse({"streaming-stt": flag}, None, **{"$evaluators": evaluators})

    assert "leads to itself" in refusal.why


def test_a_flag_may_do_without_a_default_variant() -> None:
    """flagd then answers with the code's default: ENABLE_STREAMING_STT. It sends such a flag with an empty one."""
    for default in ({"defaultVariant": None}, {"defaultVariant": ""}, {}):
        flag = {"state": "ENABLED", "variants": GOOD["variants"], **default}

        assert evaluate(parsed({"streaming-stt": flag})) is False


def test_a_boolean_default_variant_is_the_variant_of_that_name() -> None:
    flag = {"state": "ENABLED", "variants": {"true": True, "false": False}, "defaultVariant": True}

    assert evaluate(parsed({"streaming-stt": flag})) is True


def test_metadata_of_the_set_that_is_none_is_left_out_and_reported() -> None:
    definitions, (refusal,) = parse({"streaming-stt": GOOD}, metadata={"team": {}})

    assert definitions is not None
    assert definitions.metadata == {}
    assert refusal.flag is None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("onf", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["if", "fractional", "$ref", "in", "var", "==", "on", "off", "$comment"])
            | st.text("$ab", max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=20,
)


@few_by_day(30)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "state": st.sampled_from(["ENABLED", "DISABLED", "x"]),
            "variants": st.just(GOOD["variants"]) | json_values,
            "defaultVariant": st.sampled_from(["on", "off", "x", None]),
            "targeting": json_values,
            "metadata": json_values,
        },
    )
)
def test_whatever_a_flag_says_the_core_takes_what_was_accepted(flag: dict[str, Any]) -> None:
    definitions, _ = parse({"streaming-stt": flag, "greeting": GREETING})

    assert definitions is not None
    assert evaluate(definitions, "greeting") == "שלום רב"


@given(st.binary())
def test_any_bytes_are_survived(raw: bytes) -> None:
    _, refusals = parse_definitions(raw)

    assert refusals
