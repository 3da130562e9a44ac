"""Requests and limits of containers, as in Kubernetes."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from batkol_operator.model.part import ResourcePart

_QUANTITY: Final = r"^[0-9]+(\.[0-9]{1,3})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"


def _as_text(quantity: Any) -> Any:
    return str(quantity) if isinstance(quantity, int) and not isinstance(quantity, bool) else quantity


Quantity = Annotated[
    str,
    StringConstraints(max_length=32, pattern=_QUANTITY),
    BeforeValidator(_as_text),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": _QUANTITY,
            "maxLength": 32,
            "x-kubernetes-int-or-string": True,
        }
    ),
]


class Resources(ResourcePart):
    """Requests and limits of a pod. No limit on CPU: throttling delays the audio of every call."""

    requests: dict[str, Quantity] = Field(
        {"cpu": "1", "memory": "512Mi"}, max_length=16, description="Resources that the scheduler reserves."
    )
    limits: dict[str, Quantity] = Field(
        {"memory": "1Gi"}, max_length=16, description="Most resources that a pod may use."
    )


class AddedResources(ResourcePart):
    """Requests and limits of one container."""

    requests: dict[str, Quantity] = Field({}, max_length=16, description="Resources that the scheduler reserves.")
    limits: dict[str, Quantity] = Field({}, max_length=16, description="Most resources that the container may use.")
