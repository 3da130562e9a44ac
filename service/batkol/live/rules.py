"""A targeting rule made ready to evaluate, and the steps that an evaluation of it may take.

Evaluation runs on the event loop that carries the audio of every call, so it has an end that the rule cannot
move. Every operator takes steps before it works, by the size of what it is given; an evaluation that has
taken `STEPS` is given up. One operator is one step; so are 16 plain values, or 256 characters, that are only
looked at. What the steps cost in time is in docs/flags.md.

The operators are flagd's own (JsonLogic's and four more), with the answers that flagd's core gives for them.
Operators that run a rule over a list (`map`, `reduce`…) are left out: a few hundred bytes of them multiply.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from openfeature.contrib.tools.flagd.core.targeting.targeting import OPERATORS
from openfeature.evaluation_context import EvaluationContext

Json: TypeAlias = Any  # what a JSON decoder returns
RuleWork: TypeAlias = "Callable[[Json, StepBudget], Json]"  # of the call's attributes

STEPS = 500  # of one evaluation, and of one rule when it is read
_UNIT = 16  # units in a step: what one plain value costs, walked over in C
_HANDLED = 8  # units for a value that an operator converts, in Python
_CHARACTERS = 16  # in a unit
_BITS = 64  # of a whole number that is one unit
# Dearer than the others, in units: they encode and hash, or match a regular expression.
_DEAR = {"fractional": 12 * _UNIT, "sem_ver": 20 * _UNIT}
_PER_VERSION_CHARACTER = 8  # units: `sem_ver` matches texts of any length

CHOOSING = frozenset({"if", "?:", "and", "or"})  # evaluate only the arguments they need
ITERATING = frozenset({"map", "filter", "reduce", "all", "some", "none"})
# `log` prints its argument, a call's attributes, on standard output.
EAGER: Mapping[str, Callable[..., Json]] = {
    name: operator for name, operator in OPERATORS.items() if callable(operator) and name != "log"
}

_truth = EAGER["!!"]  # JsonLogic's, of which an empty list is false

# Its operators log at every evaluation what they cannot use, and quote it: callers' numbers.
logging.getLogger("openfeature.contrib").addFilter(lambda record: record.module != "custom_ops")


class OutOfStepsError(Exception):
    """The evaluation, or the reading, took more steps than it may."""


class StepBudget:
    """The steps that are left; counted in units, so that a plain value costs little."""

    __slots__ = ("_left",)

    def __init__(self, steps: int = STEPS) -> None:
        self._left = steps * _UNIT

    def spend(self, units: int) -> None:
        """Take before the work is done. Raises `OutOfStepsError`."""
        self._left -= units
        if self._left < 0:
            raise OutOfStepsError


class TargetingRule:
    """One flag's targeting, checked and written out (see `checked_targeting`)."""

    __slots__ = ("_work",)

    def __init__(self, targeting: Json) -> None:
        """Raises `OutOfStepsError` for a rule whose operators, all its branches together, take too many steps."""
        part = _part(targeting)
        StepBudget().spend(part.units)
        self._work = part.work

    def evaluate(self, attributes: Json) -> Json:
        """Return what flagd's core would. Raises `OutOfStepsError`, and what Python does for a rule that fails."""
        return self._work(attributes, StepBudget())


def attributes_of(flag_key: str, context: EvaluationContext | None) -> dict[str, Json]:
    """Return what a rule may look at, as flagd's core puts it together."""
    attributes: dict[str, Json] = dict(context.attributes) if context else {}
    attributes["$flagd"] = {"flagKey": flag_key, "timestamp": int(time.time())}
    attributes["targetingKey"] = context.targeting_key if context else None
    return attributes


class _Part(NamedTuple):
    """A part of a rule; `units` are what it takes at least, with every branch of it."""

    work: RuleWork
    units: int
    handled: int | None  # units for an operator that works through the value; None: it is computed


def _part(rule: Json) -> _Part:
    if isinstance(rule, list):
        return _plain(rule) if is_plain(rule) else _list(rule, [_part(item) for item in rule])
    if not isinstance(rule, dict):
        return _constant(rule, value_steps(rule), _size(rule))
    name, arguments = next(iter(rule.items()))
    parts = [_part(item) for item in (arguments if isinstance(arguments, list) else [arguments])]
    return _choice(name, parts) if name in CHOOSING else _operation(name, parts)


def _constant(value: Json, units: int, handled: int) -> _Part:
    def work(_attributes: Json, steps: StepBudget) -> Json:
        steps.spend(units)
        return value

    return _Part(work, units, handled)


def _plain(values: list[Json]) -> _Part:
    """For the list of callers: no part for each of them."""
    units = 1 + sum(map(value_steps, values))
    return _constant(values, units, units + _HANDLED * (len(values) + 1))


def _list(rule: list[Json], parts: Sequence[_Part]) -> _Part:
    units = 1 + sum(part.units for part in parts)
    handled = [part.handled for part in parts if part.handled is not None]
    if len(handled) == len(parts):
        return _constant(rule, units, _HANDLED + sum(handled))
    works = [part.work for part in parts]
    own = _HANDLED * len(parts)

    def work(attributes: Json, steps: StepBudget) -> Json:
        steps.spend(own)
        return [item(attributes, steps) for item in works]

    return _Part(work, own + units, None)


def _choice(name: str, parts: Sequence[_Part]) -> _Part:
    works = [part.work for part in parts]
    own = _UNIT + _HANDLED * len(parts)
    units = own + sum(part.units for part in parts)
    if name in ("and", "or"):
        return _Part(_until(works, own, stops_at=name == "or"), units, None)
    branches = list(zip(works[:-1:2], works[1::2], strict=True)) if len(works) > 1 else []
    otherwise = works[-1] if len(works) % 2 else None

    def work(attributes: Json, steps: StepBudget) -> Json:
        steps.spend(own)
        for condition, answer in branches:
            if _truth(None, condition(attributes, steps)):
                return answer(attributes, steps)
        return otherwise(attributes, steps) if otherwise else None

    return _Part(work, units, None)


def _until(works: Sequence[RuleWork], own: int, *, stops_at: bool) -> RuleWork:
    def work(attributes: Json, steps: StepBudget) -> Json:
        steps.spend(own)
        value = None
        for item in works:
            value = item(attributes, steps)
            if _truth(None, value) is stops_at:
                break
        return value

    return work


def _operation(name: str, parts: Sequence[_Part]) -> _Part:
    function, more = EAGER[name], _MORE.get(name)
    works = [part.work for part in parts]
    # `in` looks through a list that is written down without converting what is in it.
    written = 0 if name == "in" else sum(part.handled for part in parts if part.handled is not None)
    own = _UNIT + _HANDLED * len(parts) + _DEAR.get(name, 0) + written
    computed = [index for index, part in enumerate(parts) if part.handled is None]

    def work(attributes: Json, steps: StepBudget) -> Json:
        steps.spend(own)
        values = [argument(attributes, steps) for argument in works]
        for index in computed:
            steps.spend(_size(values[index]))
        if more is not None:
            steps.spend(more(values))
        return function(attributes, *values)

    return _Part(work, own + sum(part.units for part in parts), None)


def is_plain(values: list[Json]) -> bool:
    """Return whether no value of a list has other values in it."""
    return not any(isinstance(value, list | dict) for value in values)


def value_steps(value: Json) -> int:
    """Units of a plain value that is passed on, or compared."""
    if isinstance(value, str):
        return 1 + len(value) // _CHARACTERS
    words = value.bit_length() // _BITS if isinstance(value, int) else 0
    return 1 + words + words * words // 8  # writing a number down takes the square of its length


def _size(value: Json) -> int:
    """Units of a value that an operator works through."""
    if isinstance(value, list | tuple):
        return _HANDLED + sum(_size(item) for item in value)
    if isinstance(value, Mapping):
        return _HANDLED + sum(_HANDLED + _size(item) for item in value.values())
    return _HANDLED + value_steps(value)


def _growing(factors: Sequence[Json]) -> int:
    """Each factor is multiplied into a product that has the bits of all before it."""
    bits = sum(factor.bit_length() for factor in factors if isinstance(factor, int))
    return len(factors) * (bits // _BITS)


def _searching(values: Sequence[Json]) -> int:
    """Searching a text in a text may compare each character of the one with a hundred of the other."""
    if len(values) < 2 or not isinstance(values[1], str):
        return 0
    needle = len(values[0]) if isinstance(values[0], str) else _size(values[0])
    return min(100, needle) * len(values[1]) // (_CHARACTERS * _CHARACTERS)


def _versions(values: Sequence[Json]) -> int:
    return sum(_PER_VERSION_CHARACTER * len(value) for value in values if isinstance(value, str))


_MORE: Mapping[str, Callable[[Sequence[Json]], int]] = {"*": _growing, "in": _searching, "sem_ver": _versions}
