"""flagd's own evaluation core, except for the targeting rules: those are evaluated here, in counted steps.

The core has no place where steps could be counted. So each rule is evaluated by `batkol.live.rules` first, and
the core is asked with a rule that looks up the answer; states, variants, types, reasons and errors are the
core's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, GeneralError, OpenFeatureError, TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType

from batkol.live.flag_definitions import FlagDefinitions
from batkol.live.rules import STEPS, OutOfStepsError, attributes_of

Value = TypeVar("Value")
_ANSWER = "answer"
_LOOK_UP = {"var": _ANSWER}


class _InForce(NamedTuple):
    definitions: FlagDefinitions
    core: FlagdCore


class BoundedCore:
    """Evaluates flags; safe from any thread, as what is in force is replaced as a whole.

    Each `resolve_…` raises `OpenFeatureError`, with no text that quotes the rule or the call: both hold phone
    numbers.
    """

    def __init__(self) -> None:
        self._in_force = _InForce(FlagDefinitions({}, {}, ""), FlagdCore())

    def load(self, definitions: FlagDefinitions) -> list[str]:
        """Put checked definitions in force and return the keys of the flags that changed."""
        core = FlagdCore()
        core.set_flags(_for_the_core(definitions))
        before, self._in_force = self._in_force.definitions.flags, _InForce(definitions, core)
        after = definitions.flags
        return [key for key in {**before, **after} if before.get(key) != after.get(key)]

    def defines(self, flag_key: str) -> bool:
        """Whether the definitions in force have this flag."""
        return flag_key in self._in_force.definitions.flags

    def resolve_boolean_value(
        self, flag_key: str, default_value: bool, ctx: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Named as in flagd's `Evaluator`, as are the four below."""
        return self._resolve(FlagdCore.resolve_boolean_value, flag_key, default_value, ctx)

    def resolve_string_value(
        self, flag_key: str, default_value: str, ctx: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """See `resolve_boolean_value`."""
        return self._resolve(FlagdCore.resolve_string_value, flag_key, default_value, ctx)

    def resolve_integer_value(
        self, flag_key: str, default_value: int, ctx: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """See `resolve_boolean_value`."""
        return self._resolve(FlagdCore.resolve_integer_value, flag_key, default_value, ctx)

    def resolve_float_value(
        self, flag_key: str, default_value: float, ctx: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """See `resolve_boolean_value`."""
        return self._resolve(FlagdCore.resolve_float_value, flag_key, default_value, ctx)

    def resolve_object_value(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        ctx: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """See `resolve_boolean_value`."""
        return self._resolve(FlagdCore.resolve_object_value, flag_key, default_value, ctx)

    def _resolve(
        self,
        resolve: Callable[[FlagdCore, str, Value, EvaluationContext | None], FlagResolutionDetails[Value]],
        flag_key: str,
        default_value: Value,
        context: EvaluationContext | None,
    ) -> FlagResolutionDetails[Value]:
        definitions, core = self._in_force
        try:
            rule = definitions.rules.get(flag_key)
            answer = rule.evaluate(attributes_of(flag_key, context)) if rule else None
            looked_up = EvaluationContext(attributes={} if answer is None else {_ANSWER: answer})
            return resolve(core, flag_key, default_value, looked_up)
        except OutOfStepsError:
            why = (
                f"The evaluation of the targeting of {flag_key} was stopped: with this call the targeting takes more "
                f"than {STEPS} steps."
            )
            raise GeneralError(why) from None
        except (FlagNotFoundError, TypeMismatchError):
            raise
        except OpenFeatureError:
            raise GeneralError(f"The targeting of {flag_key} returned a variant that the flag does not have.") from None
        except Exception as error:  # noqa: BLE001 - rules that people wrote: whatever Python raises for adding a text
            raise GeneralError(f"The targeting of {flag_key} failed ({type(error).__name__}).") from None


def _for_the_core(definitions: FlagDefinitions) -> str:
    """Serialize, as the core changes the objects that it is given."""
    flags: dict[str, Mapping[str, Any]] = {
        key: {**flag, "targeting": _LOOK_UP if key in definitions.rules else {}}
        for key, flag in definitions.flags.items()
    }
    return msgspec.json.encode({"flags": flags, "metadata": definitions.metadata}).decode()
