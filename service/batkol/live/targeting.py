"""Checks a flag's targeting rule before it is put in force, and writes out its `$ref`s.

flagd's evaluation core (2.0) finds a bad rule only when a call meets it, and some never: a weight that is no
whole number, or a missing bucket, quietly yields the default variant. What can be known from the rule alone
is said here, when the rule arrives. `$ref` is resolved here too, because the core splices the shared rule in
as a *regular expression template*, which fails on any backslash, and JSON writes Hebrew with backslashes.

No sentence quotes a value from a rule: those are callers' numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from openfeature.contrib.tools.flagd.core.targeting.targeting import OPERATORS

from batkol.errors import ConfigurationError

Json: TypeAlias = Any  # what a JSON decoder returns

DEEPEST = 64  # levels; a real rule has a handful, and a $ref that leads to itself has no end
_LAZY = frozenset({"if", "?:", "and", "or", "filter", "reduce", "map", "all", "some", "none"})  # JsonLogic's own
# `log` prints its argument, a call's attributes, on standard output.
_KNOWN = (frozenset(OPERATORS) | _LAZY) - {"log"}


def checked_targeting(rule: Json, *, evaluators: Mapping[str, Json], variants: Collection[str]) -> dict[str, Json]:
    """Return the rule with comments dropped and shared rules written out, or {} for none.

    Raises `ConfigurationError` for what no call could be evaluated with: an operator that does not exist, a
    variant the flag does not have, a `$ref` to nothing, weights that are no weights.
    """
    written_out = _written_out(rule, evaluators, 0)
    if written_out is None:
        return {}
    if not isinstance(written_out, dict):
        raise ConfigurationError("its targeting is not a JSON object")
    if written_out:
        _check_operators(written_out)
        _check_results(written_out, variants)
    return written_out


def _written_out(rule: Json, evaluators: Mapping[str, Json], depth: int) -> Json:
    if depth > DEEPEST:
        raise ConfigurationError(
            f"its targeting is nested deeper than {DEEPEST} levels (or a $ref leads back to itself)"
        )
    if isinstance(rule, list):
        return [_written_out(item, evaluators, depth + 1) for item in rule]
    if not isinstance(rule, dict):
        return rule
    if set(rule) == {"$ref"}:
        name = rule["$ref"]
        if not isinstance(name, str) or name not in evaluators:
            raise ConfigurationError("its targeting has a $ref to a rule that $evaluators does not define")
        return _written_out(evaluators[name], evaluators, depth + 1)
    return {key: _written_out(value, evaluators, depth + 1) for key, value in rule.items() if key != "$comment"}


def _check_operators(rule: Json) -> None:
    if isinstance(rule, list):
        for item in rule:
            _check_operators(item)
    elif isinstance(rule, dict):
        # JsonLogic takes any other object for a literal, so that a slip turns a whole condition into "true".
        if len(rule) != 1:
            raise ConfigurationError("its targeting has an object that is not one operator with its arguments")
        operator, arguments = next(iter(rule.items()))
        if operator not in _KNOWN:
            raise ConfigurationError(f"its targeting uses the operator {operator[:40]!r}, which cannot be used here")
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
        if isinstance(bucket, dict):  # computed: only an evaluation can tell
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
    """Follow the rule to what it can answer, as far as that is written down, and see that the flag has it."""
    if isinstance(rule, dict):
        operator, arguments = next(iter(rule.items()))
        listed = arguments if isinstance(arguments, list) else [arguments]
        if operator in ("if", "?:"):
            answers = listed[1::2] + (listed[-1:] if len(listed) % 2 else [])
        elif operator == "fractional":
            answers = [bucket[0] for bucket in listed if isinstance(bucket, list)]
        else:
            return  # computed: only an evaluation can tell
        for answer in answers:
            _check_results(answer, variants)
    elif rule is not None:  # null is "no match": the default variant
        name = str(rule).lower() if isinstance(rule, bool) else str(rule)
        if name not in variants:
            raise ConfigurationError("its targeting answers with a variant that the flag does not have")
