"""Conditions as `metav1.Condition` has them: a state, why, in a sentence, and since when.

Facts: api-conventions.md of sig-architecture. `lastTransitionTime` moves only with the status; `observedGeneration`
stands in every one, for `kubectl wait` compares it with the object's generation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

LONGEST_MESSAGE: Final = 1024
"""Characters; the API allows 32768, a terminal does not."""


class ConditionState(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"

    @classmethod
    def of(cls, holds: bool) -> ConditionState:
        return cls.TRUE if holds else cls.FALSE


@dataclass(frozen=True, slots=True)
class ConditionDraft:
    """One condition; `since` is empty until it is settled against what stood before."""

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
        """Write it as it stands in the object's status."""
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
    """Date what was found: `at`, or the earlier time where the status has not changed since."""
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
    """Read what a status says; what is not a condition of the known shape is left out."""
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


def named(conditions: Sequence[ConditionDraft], type_: str) -> ConditionDraft | None:
    """Find one by its type."""
    return next((condition for condition in conditions if condition.type == type_), None)
