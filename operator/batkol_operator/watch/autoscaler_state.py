"""The state of an autoscaler: whether it can read the number of calls, by its own word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from batkol_operator.watch.object_state import Body

AUTOSCALERS: Final = frozenset({("autoscaling/v2", "HorizontalPodAutoscaler"), ("keda.sh/v1alpha1", "ScaledObject")})
"""The kinds that scale a Deployment, as (API version, kind). KEDA makes a HorizontalPodAutoscaler of each ScaledObject,
with its labels, so the watch shows that one too.
"""

_SAYING: Final = {
    "HorizontalPodAutoscaler": ("AbleToScale", "ScalingActive"),
    "ScaledObject": ("Ready",),
}
"""The conditions that are false while an autoscaler cannot work, by kind."""


@dataclass(frozen=True, slots=True)
class AutoscalerState:
    """An autoscaler's state."""

    kind: str
    name: str
    works: bool | None  # None: it has not reported yet
    reason: str = ""  # CamelCase; empty while it works
    message: str = ""  # its own words; empty while it works


def read_autoscaler(body: Body) -> AutoscalerState:
    """Read a HorizontalPodAutoscaler or a ScaledObject."""
    kind, name = str(body["kind"]), str(body["metadata"]["name"])
    conditions = {str(each.get("type")): each for each in (body.get("status") or {}).get("conditions") or ()}
    said = [conditions[type_] for type_ in _SAYING[kind] if type_ in conditions]
    for condition in said:
        if condition.get("status") == "False":
            return AutoscalerState(kind, name, False, str(condition.get("reason")), str(condition.get("message")))
    reported = len(said) == len(_SAYING[kind]) and all(each.get("status") == "True" for each in said)
    return AutoscalerState(kind, name, True if reported else None)
