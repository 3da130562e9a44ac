"""Checks a flag's targeting rule before it is put in force, and writes out its `$ref`s.

flagd's evaluation core (2.0) finds a bad rule only when a call meets it, and some never: a weight that is no
whole number, or a missing bucket, quietly yields the default variant. What can be known from the rule alone
is reported here, when the rule arrives. `$ref` is resolved here too, because the core splices the shared rule in
as a *regular expression template*, which fails on any backslash, and JSON writes Hebrew with backslashes.

A rule is also refused for what it may cost: see `batkol.live.rules`. Writing out takes steps as well, so that a
`$ref` to rules of `$ref`s cannot grow without end before it is measured.

No sentence quotes a value from a rule: those are callers' numbers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from openfeature.evaluation_context import EvaluationContext

from batkol.errors import ConfigurationError
from batkol.live.rules import (
    CHOOSING,
    EAGER,
    ITERATING,
    STEPS,
    Json,
    OutOfStepsError,
    StepBudget,
    TargetingRule,
    attributes_of,
    is_plain,
    value_steps,
)
from batkol.strict_json import DuplicateKeys, NumberTooLarge

DEEPEST = 64  # levels; a real rule has a handful, and a $ref that leads to itself has no end
_FLAG_UNITS = 128  # eight steps
_KNOWN = CHOOSING | EAGER.keys()
_TRUE_OR_FALSE = frozenset(
    {"==", "===", "!=", "!==", "!", "!!", "<", "<=", ">", ">=", "in", "starts_with", "ends_with", "sem_ver"}
)
_LISTING = frozenset({"merge", "missing", "missing_some"})
_TOO_MUCH = f"takes more than the {STEPS} steps allowed"
_OPERATOR = re.compile(r"[A-Za-z_-]{1,40}|[!=<>?:%*/+-]{1,3}")  # no digits: a value in its place may be a number
# About the length of what a call has, for the trial that finds what only evaluation can count.
_TRIAL = EvaluationContext(
    "CA" + "0" * 32,
    {
        "agent": "reception",
        "from": "+972500000000",
        "to": "+97230000000",
        "account_sid": "AC" + "0" * 32,
        "direction": "inbound",
        "language": "he-IL",
        "pod": "reception-5d9c7b9f4-x2x7q",
    },
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One file being read: its shared rules, and the steps that all its flags may take together."""

    evaluators: Mapping[str, Json]
    steps: StepBudget

    def spend_flag(self) -> None:
        """Take what a flag costs, however small it is. Raises `OutOfStepsError`, as all that takes steps."""
        self.steps.spend(_FLAG_UNITS)

    def spend_values(self, value: Json) -> None:
        """Take what a value costs that is kept as it is. Raises `ConfigurationError` if that alone is too much."""
        _Writing(self, StepBudget(), "its variants or metadata").spend_all(value)


def checked_targeting(rule: Json, *, reading: Reading, variants: Collection[str]) -> dict[str, Json]:
    """Return the rule with comments dropped and shared rules written out, or {} for none.

    Raises `ConfigurationError` for what no call could be evaluated with: an operator that does not exist, a
    variant the flag does not have, a `$ref` to nothing, weights that are no weights, more than `STEPS` steps;
    and `OutOfStepsError` when `reading` has come to its end.
    """
    written_out = _Writing(reading, StepBudget(), "its targeting").out(rule)
    if written_out is None:
        return {}
    if not isinstance(written_out, dict):
        raise ConfigurationError("its targeting is not a JSON object")
    if written_out:
        _check_operators(written_out)
        _check_results(written_out, variants)
        _try(written_out)
    return written_out


@dataclass(frozen=True, slots=True)
class _Writing:
    """Writes one rule out, or goes through one value, in steps."""

    reading: Reading
    steps: StepBudget  # of this one
    what: str  # as the subject of a sentence

    def out(self, rule: Json, depth: int = 0) -> Json:
        self._enter(rule, depth)
        if isinstance(rule, list):
            return rule if self._is_plain(rule) else [self.out(item, depth + 1) for item in rule]
        if not isinstance(rule, dict):
            return rule
        if len(rule) == 1 and "$ref" in rule:
            return self.out(self._referred(rule["$ref"]), depth + 1)
        return {key: self.out(value, depth + 1) for key, value in rule.items() if key != "$comment"}

    def spend_all(self, value: Json, depth: int = 0) -> None:
        self._enter(value, depth)
        if isinstance(value, dict) or (isinstance(value, list) and not self._is_plain(value)):
            for item in value.values() if isinstance(value, dict) else value:
                self.spend_all(item, depth + 1)

    def _enter(self, value: Json, depth: int) -> None:
        """Take a unit for each value in it before looking at any: a $ref may lead to the same large list often."""
        if depth > DEEPEST:
            raise ConfigurationError(f"{self.what} is nested deeper than {DEEPEST} levels (or a $ref leads to itself)")
        if isinstance(value, NumberTooLarge):
            raise ConfigurationError(f"{self.what} has a number that is too large")
        if isinstance(value, DuplicateKeys):
            raise ConfigurationError(f"{self.what} has an object with the same key twice")
        if isinstance(value, list | dict):
            self._spend(1 + len(value))
            if isinstance(value, dict):
                self._spend(sum(map(value_steps, value)))
        else:
            self._spend(value_steps(value))

    def _is_plain(self, values: list[Json]) -> bool:
        if not is_plain(values) or any(isinstance(value, NumberTooLarge) for value in values):
            return False
        self._spend(sum(map(value_steps, values)) - len(values))  # one each was taken on entering
        return True

    def _referred(self, name: Json) -> Json:
        if not isinstance(name, str) or name not in self.reading.evaluators:
            raise ConfigurationError("its targeting has a $ref to a rule that $evaluators does not define")
        if isinstance(self.reading.evaluators, DuplicateKeys) and name in self.reading.evaluators.doubled:
            raise ConfigurationError("its targeting has a $ref to a rule that $evaluators defines twice")
        return self.reading.evaluators[name]

    def _spend(self, units: int) -> None:
        try:
            self.steps.spend(units)
        except OutOfStepsError:
            raise ConfigurationError(f"{self.what}, written out, {_TOO_MUCH}") from None
        self.reading.steps.spend(units)


def _try(rule: Json) -> None:
    """Evaluate the rule once, as for a call: some steps depend on values that come up on the way."""
    try:
        TargetingRule(rule).evaluate(attributes_of("trial", _TRIAL))
    except OutOfStepsError:
        raise ConfigurationError(f"its targeting, with every $ref written out, {_TOO_MUCH}") from None
    except Exception:  # noqa: BLE001 - this call is none: what fails for it may do for another
        return


def _check_operators(rule: Json) -> None:
    if isinstance(rule, list):
        for item in rule:
            _check_operators(item)
    elif isinstance(rule, dict):
        # JsonLogic takes any other object for a literal, so that a slip turns a whole condition into "true".
        if len(rule) != 1:
            raise ConfigurationError("its targeting has an object that is not one operator with its arguments")
        operator, arguments = next(iter(rule.items()))
        if operator in ITERATING:
            raise ConfigurationError(
                f"its targeting uses the operator {operator!r}, which runs a rule over a list and is not supported here"
            )
        if operator not in _KNOWN:
            named = f"the operator {operator!r}, which" if _OPERATOR.fullmatch(operator) else "an operator that"
            raise ConfigurationError(f"its targeting uses {named} cannot be used here")
        if operator == "fractional":
            _check_buckets(arguments)
        _check_operators(arguments)


def _check_buckets(arguments: Json) -> None:
    """https://flagd.dev/reference/custom-operations/fractional-operation/."""
    buckets = arguments if isinstance(arguments, list) else [arguments]
    if buckets and not isinstance(buckets[0], list):
        buckets = buckets[1:]  # what to share out by; without it, flag key and targetingKey
    total = 0
    for bucket in buckets:
        if isinstance(bucket, dict):  # computed: only an evaluation has the result
            total += 1
            continue
        if not isinstance(bucket, list) or not 1 <= len(bucket) <= 2:
            raise ConfigurationError('its targeting has a fractional bucket that is not ["variant", weight]')
        weight = bucket[1] if len(bucket) == 2 else 1
        if isinstance(weight, bool) or not isinstance(weight, int | dict):
            raise ConfigurationError("its targeting has a fractional weight that is not a whole number")
        total += 1 if isinstance(weight, dict) else max(0, weight)
    if total <= 0:
        raise ConfigurationError("its targeting has a fractional whose weights add up to nothing")


def _check_results(rule: Json, variants: Collection[str]) -> None:
    """See that the flag has what the rule can answer, as far as that is written down."""
    for answer in _answers(rule):
        if answer is None:  # "no match": the default variant
            continue
        name = str(answer).lower() if isinstance(answer, bool) else str(answer)
        if name in variants:
            continue
        if isinstance(answer, bool):
            raise ConfigurationError(
                "its targeting can answer true or false, and the flag has no variant of that name; choose one of its "
                'variants with {"if": [condition, "VARIANT", "VARIANT"]}, or name the variants "true" and "false"'
            )
        raise ConfigurationError("its targeting answers with a variant that the flag does not have")


def _answers(rule: Json) -> Iterator[Json]:
    """Yield the possible results of the rule; nothing for a result that only an evaluation has."""
    if not isinstance(rule, dict):
        yield rule
        return
    operator, arguments = next(iter(rule.items()))
    listed = arguments if isinstance(arguments, list) else [arguments]
    if operator in _TRUE_OR_FALSE:
        yield from (True, False)
    elif operator in _LISTING:
        yield []
    elif operator in ("and", "or"):
        yield from _answers_of_first(listed, so=operator == "or")
    else:
        for chosen in _chosen(operator, listed):
            yield from _answers(chosen)


def _answers_of_first(arguments: Sequence[Json], *, so: bool) -> Iterator[Json]:
    """Yield what can come of the first argument that is true (or false) enough, else of the last."""
    for argument in arguments[:-1]:
        yield from (answer for answer in _answers(argument) if bool(answer) is so)
    for argument in arguments[-1:]:
        yield from _answers(argument)


def _chosen(operator: str, arguments: Sequence[Json]) -> Sequence[Json]:
    """Return the arguments of which one is the answer, in case of an operator that chooses one."""
    if operator in ("if", "?:"):
        return [*arguments[1::2], *(arguments[-1:] if len(arguments) % 2 else [])]
    if operator == "fractional":
        return [bucket[0] for bucket in arguments if isinstance(bucket, list)]
    return []
