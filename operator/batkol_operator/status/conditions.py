"""Conditions as `metav1.Condition`: a state, a reason, a message, and the time of the last transition.

Facts: api-conventions.md of sig-architecture. `lastTransitionTime` changes only with the status; every
condition has `observedGeneration`, for `kubectl wait` compares it with the object's generation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

LONGEST_MESSAGE: Final = 1024
"""Characters. The API allows 32768; a terminal shows fewer well."""


class ConditionState(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"

    @classmethod
    def of(cls, holds: bool) -> ConditionState:
        return cls.TRUE if holds else cls.FALSE


@dataclass(frozen=True, slots=True)
class ConditionDraft:
    """One condition; `since` is empty until `settle` compares it with the previous one."""

    type: str
    state: ConditionState
    reason: str  # CamelCase
    message: str
    generation: int
    since: str = ""  # RFC 3339

    @property
    def holds(self) -> bool:
        return self.state is ConditionState.TRUE

    def manifest(self) -> dict[str, Any]:
        """Write the condition as in the object's status."""
        return {
            "type": self.type,
            "status": self.state.value,
            "reason": self.reason,
            "message": self.message,
            "observedGeneration": self.generation,
            "lastTransitionTime": self.since,
        }


def settle(
    found: Iterable[ConditionDraft], before: Iterable[ConditionDraft], at: datetime
) -> tuple[ConditionDraft, ...]:
    """Set `since` of each new condition: `at`, or the earlier time if the state has not changed."""
    earlier = {condition.type: condition for condition in before}
    return tuple(_dated(condition, earlier.get(condition.type), at) for condition in found)


def _dated(condition: ConditionDraft, earlier: ConditionDraft | None, at: datetime) -> ConditionDraft:
    message = condition.message
    if len(message) > LONGEST_MESSAGE:
        message = message[: LONGEST_MESSAGE - 1] + "…"
    same = earlier is not None and earlier.state is condition.state and earlier.since
    since = earlier.since if same and earlier else timestamp(at)
    return replace(condition, message=message, since=since)


def timestamp(at: datetime) -> str:
    """Write a time as the API does: UTC, whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_conditions(status: Mapping[str, Any]) -> tuple[ConditionDraft, ...]:
    """Read the conditions of a status; entries of an unknown shape are left out."""
    return tuple(
        ConditionDraft(
            type=str(each["type"]),
            state=ConditionState(each["status"]),
            reason=str(each.get("reason", "")),
            message=str(each.get("message", "")),
            generation=int(each.get("observedGeneration", 0)),
            since=str(each.get("lastTransitionTime", "")),
        )
        for each in status.get("conditions") or ()
        if each.get("type") and each.get("status") in set(ConditionState)
    )


def find_condition(conditions: Sequence[ConditionDraft], type_: str) -> ConditionDraft | None:
    """Find a condition by its type."""
    return next((condition for condition in conditions if condition.type == type_), None)
