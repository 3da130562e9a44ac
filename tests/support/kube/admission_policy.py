"""A ValidatingAdmissionPolicy as an API server evaluates it: conditions, variables, validations, failure policy.

Small and partial on purpose, for quick tests: it matches by kind and operation, and evaluates with cel-python. The real
API server is asked in `make e2e`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import celpy
import celpy.adapter

from batkol_operator.kube import names
from support.chart.files import Object
from support.kube.cel import program

OPERATOR: Final = "system:serviceaccount:batkol-system:batkol-operator"


@dataclass(frozen=True, slots=True)
class Request:
    """One write. `before`: what stands; `after`: what is to stand."""

    resource: str  # "group/plural"; the core group is empty
    before: Object | None = None
    after: Object | None = None
    user: str = OPERATOR

    @property
    def operation(self) -> str:
        if self.before is None:
            return "CREATE"
        return "UPDATE" if self.after else "DELETE"

    def attributes(self) -> Mapping[str, Any]:
        """Return the variables that expressions see."""
        group, _, plural = self.resource.rpartition("/")
        namespace = (self.after or self.before or {})["metadata"]["namespace"]
        request = {
            "operation": self.operation,
            "namespace": namespace,
            "resource": {"group": group, "resource": plural},
            "userInfo": {"username": self.user},
        }
        return {"request": request, "object": self.after, "oldObject": self.before}


def change(before: Object, **parts: Any) -> Object:
    """Return a copy of an object with other values; `metadata` is merged, any other part replaced."""
    after = copy.deepcopy(before)
    after["metadata"] |= parts.pop("metadata", {})
    return {**after, **parts}


def pod(**metadata: Any) -> Object:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "clinic-1", "uid": "r", "controller": True}
    return {
        "metadata": {
            "name": "clinic-1-a",
            "namespace": "voices",
            "labels": names.labels("clinic"),
            "ownerReferences": [owner],
            **metadata,
        },
        "spec": {"containers": [{"name": "media", "image": "batkol:1"}]},
    }


def voice_agent(**metadata: Any) -> Object:
    return {"metadata": {"name": "clinic", "namespace": "voices", **metadata}, "spec": {"twilio": {}}}


def set_at(where: str, value: Any) -> Callable[[Object], Object]:
    """Return what sets a value deep in a copy of an object: `spec.rules.0.host`."""

    def altered(body: Object) -> Object:
        body = copy.deepcopy(body)
        *path, last = where.split(".")
        place: Any = body
        for part in path:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        if isinstance(place, list):
            place[int(last)] = value
        else:
            place[last] = value
        return body

    return altered


def refusals(policy: Object, request: Request) -> list[str]:
    """Return the messages of the validations that do not hold; empty, where the policy lets the request pass.

    An error of an expression is raised, and is no refusal: a policy must have none.
    """
    spec = policy["spec"]
    if not any(_matches(rule, request) for rule in spec["matchConstraints"]["resourceRules"]):
        return []
    evaluation = _Evaluation(spec["variables"], request)
    if not all(evaluation.holds(each["expression"]) for each in spec["matchConditions"]):
        return []
    return [each["message"] for each in spec["validations"] if not evaluation.holds(each["expression"])]


def _matches(rule: Object, request: Request) -> bool:
    group, _, plural = request.resource.rpartition("/")
    return group in rule["apiGroups"] and plural in rule["resources"] and request.operation in rule["operations"]


class _Evaluation:
    """Of one request. As in the API server, a variable is evaluated when it is first needed, and `||` stops at the
    first that holds: cel-python would evaluate all, which takes ten times as long.
    """

    def __init__(self, variables: list[Object], request: Request) -> None:
        self._variables = {each["name"]: each["expression"] for each in variables}
        self._known = {name: celpy.adapter.json_to_cel(value) for name, value in request.attributes().items()}
        self._found: dict[Any, Any] = {}

    def holds(self, expression: str) -> bool:
        return any(bool(self._value(part)) for part in _alternatives(expression))

    def _value(self, expression: str) -> Any:
        for name in re.findall(r"variables\.(\w+)", expression):
            if name not in self._found:
                self._found[name] = self._value(self._variables[name])
        return program(expression).evaluate({**self._known, "variables": celpy.celtypes.MapType(self._found)})


@cache
def _alternatives(expression: str) -> list[str]:
    """Split at every `||` outside of brackets."""
    parts, depth = [""], 0
    for piece in re.split(r"([()\[\]{}]|\|\|)", expression):
        depth += (piece in "([{" and piece != "") - (piece in ")]}" and piece != "")
        if piece == "||" and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return parts
