"""The name of a secret value: the spec names keys of Secrets, and never contains a value."""

from __future__ import annotations

from pydantic import Field

from batkol_operator.model.part import ResourcePart


class SecretKey(ResourcePart):
    """One key of a Secret in the agent's namespace."""

    name: str = Field(
        min_length=1,
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        description="Name of a Secret in the same namespace.",
    )
    key: str = Field(
        min_length=1,
        max_length=253,
        pattern=r"^[-._a-zA-Z0-9]+$",
        description="Key in that Secret.",
    )
