"""`spec.flagd` and `spec.flagsFrom`: flags that come from elsewhere."""

from __future__ import annotations

from pydantic import Field

from batkol_operator.model.added_variables import ResourceName
from batkol_operator.model.address import Host
from batkol_operator.model.part import ResourcePart


class FlagdSpec(ResourcePart):
    """Address of a flagd. The pods evaluate its definitions themselves."""

    host: Host = Field(description="Host, such as `flagd.flags`.")
    port: int = Field(8015, ge=1, le=65_535, description="Port of its sync service.")
    tls: bool = Field(False, description="Whether the connection uses TLS.")
    selector: str | None = Field(
        None, min_length=1, max_length=253, description="Selector of the source of the flags; absent: all."
    )


class FeatureFlagRef(ResourcePart):
    """A FeatureFlag of the OpenFeature Operator."""

    name: ResourceName = Field(description="Name of a FeatureFlag in the same namespace.")
