"""The parameter `scope`: whose calls and events a request is about."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Scope = Annotated[
    Literal["pod", "fleet"],
    Field(
        description="`pod`: of the pod that answers. `fleet`: of all pods of its agent; the answer then has `peers`, "
        "with the pods that could not be asked (`batkol.web.fleet`)."
    ),
]
