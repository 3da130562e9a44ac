"""Resolution of names in the pods: `dnsPolicy`, `dnsConfig` and `hostAliases`, as in Kubernetes, with bounds."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from batkol_operator.model.part import ResourcePart, listed

HostAddress = Annotated[str, StringConstraints(min_length=2, max_length=45, pattern=r"^[0-9a-fA-F:.]+$")]
Domain = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[-_.a-z0-9]+$")]
_ATOMIC: Final = listed("atomic")


class DNSPolicy(StrEnum):
    """Source of names for the pods."""

    CLUSTER_FIRST = "ClusterFirst"
    DEFAULT = "Default"
    NONE = "None"


class DNSOption(ResourcePart):
    """An option of the resolver."""

    name: str = Field(min_length=1, max_length=63, description="Name, such as `ndots`.")
    value: str | None = Field(None, max_length=63, description="Value; absent: the option has none.")


class DNSConfig(ResourcePart):
    """Settings of the resolver, beside those of the policy."""

    nameservers: tuple[HostAddress, ...] = Field(
        (), max_length=3, json_schema_extra=_ATOMIC, description="Addresses of name servers."
    )
    searches: tuple[Domain, ...] = Field(
        (), max_length=32, json_schema_extra=_ATOMIC, description="Domains in which short names are looked up."
    )
    options: tuple[DNSOption, ...] = Field(
        (), max_length=16, json_schema_extra=_ATOMIC, description="Options, such as `ndots` with the value `2`."
    )


class HostAlias(ResourcePart):
    """Names of one address, in the pods' /etc/hosts."""

    ip: HostAddress = Field(description="The address.")
    hostnames: tuple[Domain, ...] = Field(
        min_length=1, max_length=32, json_schema_extra=_ATOMIC, description="Names of the address."
    )
