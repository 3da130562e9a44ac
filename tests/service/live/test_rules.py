"""Rules evaluated in counted steps: flagd's answers, and an end that no rule can move."""

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openfeature.contrib.tools.flagd.core.targeting.targeting import OPERATORS, targeting
from openfeature.evaluation_context import EvaluationContext

from batkol.errors import ConfigurationError
from batkol.live.rules import (
    CHOOSING,
    EAGER,
    ITERATING,
    STEPS,
    OutOfStepsError,
    StepBudget,
    TargetingRule,
    attributes_of,
)
from batkol.live.targeting import Reading, checked_targeting
from support.properties import few_by_day

CALLER = "+972541234567"
CALL = EvaluationContext("CA1", {"from": CALLER, "agent": "קבלה", "n": 3, "list": ["a", 7, ["b"]], "empty": ""})

names = st.sampled_from(
    ["from", "agent", "n", "list", "list.1", "list.length", "nobody", "", "$flagd.flagKey", "empty"]
)
plain = (
    st.none()
    | st.booleans()
    | st.integers(-5, 120)
    | st.floats(allow_nan=False, allow_infinity=False, width=16)
    | st.sampled_from(["on", "off", "1", "1.5", "1.2.3", "v2.0", CALLER, "+97254", "קבלה", "a", "", "<", ">=", "^"])
)
parts = st.recursive(
    plain | st.builds(lambda name: {"var": name}, names),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.builds(
            lambda name, arguments: {name: arguments},
            st.sampled_from(sorted((CHOOSING | EAGER.keys()) - {"fractional"})),
            st.lists(inner, max_size=5) | inner,
        )
        | st.builds(
            lambda by, weights: {"fractional": [*by, *(list(pair) for pair in weights)]},
            st.lists(inner, max_size=1),
            st.lists(st.tuples(st.sampled_from(["on", "off"]), st.integers(-1, 100)), max_size=3),
        )
    ),
    max_leaves=10,
)
operations = parts.filter(lambda part: isinstance(part, dict))


def outcome(evaluate: Any) -> tuple[str, str]:
    """What came of it; text, as one NaN does not equal another, and 1 equals True."""
    try:
        return "answered", repr(evaluate())
    except Exception as error:  # noqa: BLE001 - whatever it is, it has to be the same
        return "raised", type(error).__name__


@few_by_day(40)
@given(operations)
def test_every_rule_is_answered_as_flagds_core_answers_it(rule: dict[str, Any]) -> None:
    ours = outcome(lambda: TargetingRule(json.loads(json.dumps(rule))).evaluate(attributes_of("flag", CALL)))

    assert ours == outcome(lambda: targeting("flag", json.loads(json.dumps(rule)), CALL))


def test_every_operator_of_flagd_is_one_of_ours_or_refused_by_name() -> None:
    """A release of flagd's core that has another operator is noticed here, and decided about."""
    assert EAGER.keys() | {"log"} == OPERATORS.keys()


def read(rule: Any, **evaluators: Any) -> dict[str, Any]:
    return checked_targeting(
        rule, reading=Reading(evaluators, StepBudget(1_000_000)), variants={"on", "off", "true", "false"}
    )


def chosen(condition: Any) -> dict[str, Any]:
    return {"if": [condition, "on", "off"]}


def nested(operator: str, depth: int) -> Any:
    """An operator over a list of ten, whose rule is the same again."""
    inner: Any = {"var": ""}
    for _ in range(depth):
        inner = {operator: [list(range(10)), inner]}
    return inner


@pytest.mark.parametrize("operator", sorted(ITERATING))
def test_an_operator_that_runs_a_rule_over_a_list_is_refused_by_name(operator: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"operator '{operator}', which runs a rule over a list"):
        read(chosen(nested(operator, 1)))
    with pytest.raises(ConfigurationError, match=rf"operator '{operator}'"):
        read(chosen(nested(operator, 8)))


def test_a_long_list_that_many_flags_refer_to_is_measured_and_not_walked() -> None:
    class Counted(list[Any]):
        walks = 0

        def __iter__(self) -> Any:
            Counted.walks += 1
            return super().__iter__()

    with pytest.raises(ConfigurationError, match=f"more than the {STEPS} steps"):
        read(chosen({"in": [{"var": "from"}, {"$ref": "long"}]}), long=Counted(["x"] * 200_000))

    assert Counted.walks == 0


def doubling(depth: int, leaf: Any, operator: str = "cat") -> dict[str, Any]:
    """Shared rules, each the one before it twice."""
    rules = {"r0": leaf}
    for level in range(1, depth + 1):
        rules[f"r{level}"] = {operator: [{"$ref": f"r{level - 1}"}, {"$ref": f"r{level - 1}"}]}
    return rules


@pytest.mark.parametrize("leaf", ["x", {"var": "from"}, ["x"], "x" * 10_000])
@pytest.mark.parametrize("operator", ["cat", "merge", "or", "+"])
def test_a_reference_that_doubles_at_every_level_is_refused_before_it_is_written_out(leaf: Any, operator: str) -> None:
    steps = StepBudget(STEPS + 100)

    with pytest.raises(ConfigurationError, match=f"more than the {STEPS} steps"):
        checked_targeting(
            chosen({"$ref": "r18"}), reading=Reading(doubling(18, leaf, operator), steps), variants={"on", "off"}
        )


COSTLY = {
    "a list of callers": chosen({"in": [{"var": "from"}, [f"+97254{number:07}" for number in range(60_000)]]}),
    "conditions": {"or": [{"==": [{"var": "from"}, "x"]}] * 1000},
    "branches": {"if": [False, "on"] * 2000},
    "buckets": {"fractional": [["on", 1]] * 3000},
    "a long text": chosen({"in": [{"var": "from"}, "x" * 200_000]}),
    "a text in a text, again and again": {"or": [{"in": ["b" + "a" * 98, "a" * 2500]}] * 40},
    "a text that is nearly in a text": chosen({"in": ["b" + "a" * 98, "a" * 29_000]}),
    "a product without end": chosen({"*": [2**62] * 400}),
    "a version without end": chosen({"sem_ver": ["1.0.0-" + "a." * 5000 + "!", ">", "1.0.0"]}),
    "versions": {"or": [{"sem_ver": [{"var": "agent"}, ">", "1.0.0"]}] * 40},
    "shares": {"or": [{"!": {"fractional": [{"var": "from"}, ["on", 1]]}}] * 60},
    "names": chosen({"missing": ["agent"] * 2000}),
    "a list of lists": chosen({"cat": [[[1, 2, 3]] * 700]}),
    "merged lists": chosen({"in": ["x", {"merge": [{"merge": [{"merge": [["a"] * 800]}]}]}]}),
    "large numbers": chosen({"in": [1, [10**4000] * 60]}),
}


@pytest.mark.parametrize("rule", COSTLY.values(), ids=COSTLY)
def test_a_rule_that_costs_too_much_is_refused_when_it_is_read(rule: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"more than the {STEPS} steps"):
        read(rule)


USUAL = {
    "five hundred callers and a share": {
        "if": [
            *({"in": [{"var": "from"}, [f"+97254{number:07}" for number in range(250)]]}, "on"),
            *({"in": [{"var": "from"}, [f"+97252{number:07}" for number in range(250)]]}, "off"),
            {"fractional": [{"var": "targetingKey"}, ["on", 5], ["off", 95]]},
        ]
    },
    "five thousand callers": chosen({"in": [{"var": "from"}, [f"+97254{number:07}" for number in range(5000)]]}),
    "twenty agents": {"or": [{"==": [{"var": "agent"}, f"agent-{number}"]} for number in range(20)]},
    "versions": chosen({"sem_ver": ["1.2.3", ">=", "1.0.0"]}),
    "sixty levels": {"!": [{"!": [{"!": [{"!": [{"!": [{"var": "agent"}]}]}]}]}]},
}


@pytest.mark.parametrize("rule", USUAL.values(), ids=USUAL)
def test_what_people_write_has_steps_to_spare(rule: dict[str, Any]) -> None:
    TargetingRule(rule).evaluate(attributes_of("flag", CALL))

    assert read(rule) == rule


def test_the_steps_are_counted_again_at_each_call() -> None:
    """The rule is small; what one call has is not."""
    rule = TargetingRule({"cat": [{"var": "from"}] * 20})

    assert rule.evaluate({"from": CALLER}) == CALLER * 20
    with pytest.raises(OutOfStepsError):
        rule.evaluate({"from": "+9" * 100_000})
    assert rule.evaluate({"from": CALLER}) == CALLER * 20


@pytest.mark.parametrize("large", [["x"] * 5000, [[["x"] * 50] * 50], {"a": ["x"] * 5000}, "x" * 200_000])
@pytest.mark.parametrize("operator", ["==", "cat", "in", "merge", "missing", "max", "fractional", "sem_ver"])
def test_whatever_an_operator_is_given_is_counted_before_it_works(operator: str, large: Any) -> None:
    rule = TargetingRule({operator: [{"var": "large"}, "x", {"var": "large"}]})

    with pytest.raises(OutOfStepsError):
        rule.evaluate({"large": large, "targetingKey": "CA1"})


@pytest.mark.parametrize(
    "rule",
    [
        {"sem_ver": [{"var": "from"}, ">", "1.0.0"]},
        {"fractional": [{"var": "nobody"}, ["on", 1]]},
        {"starts_with": [{"var": "from"}]},
    ],
)
def test_flagds_operators_write_no_log_at_each_call_and_quote_nobody(
    rule: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert TargetingRule(rule).evaluate(attributes_of("flag", CALL)) is None

    assert caplog.records == []
