"""Connections of an agent: Twilio, Google, a database. Secrets are named here and never written."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from pydantic import Field

from batkol_operator.model.part import ResourcePart, ResourceRule

_BASE_URL: Final = "^https?://[!$-.0->A-~]+(/[!$->A-~]*)?$"  # of ASCII what can be seen, but " # ? and @
_OWN_PATH: Final = "(?i)/twilio/(voice|status|stream-status|media)/*$"


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


class Twilio(ResourcePart):
    """The account whose calls are answered."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel=f"self.publicBaseUrl.matches('{_BASE_URL}')",
            holds=lambda part: re.fullmatch(_BASE_URL, part.public_base_url) is not None,
            message="must be https://host[/path] (http:// in development), without a query or a fragment: "
            "Twilio drops those from a stream's URL; and without a user, white space and what is not ASCII",
            field=".publicBaseUrl",
        ),
        ResourceRule(
            cel=f"!self.publicBaseUrl.matches('{_OWN_PATH}')",
            holds=lambda part: re.search(_OWN_PATH, part.public_base_url) is None,
            message="must end before `/twilio/voice`, or another path of the service's own, which it adds itself",
            field=".publicBaseUrl",
        ),
        ResourceRule(
            cel="has(self.authTokenSecretRef) || (has(self.validateSignatures) && !self.validateSignatures)",
            holds=lambda part: part.auth_token_secret_ref is not None or not part.validate_signatures,
            message="must be specified unless `validateSignatures` is false: "
            "without the token nobody can tell Twilio's requests from others",
            field=".authTokenSecretRef",
            reason="FieldValueRequired",
        ),
    )

    public_base_url: str = Field(
        min_length=1,
        max_length=1024,
        description="What the number's webhook is configured with, less `/twilio/voice`: `https://host[/path]`. "
        "Twilio signs this URL. A change rolls the pods.",
    )
    auth_token_secret_ref: SecretKey | None = Field(
        None,
        description="Where the account's auth token is; several tokens, separated by commas, during a rotation. "
        "A change of the reference rolls the pods; a change of the Secret takes effect in pods that start after it.",
    )
    validate_signatures: bool = Field(
        True, description="Refuse what Twilio did not sign; false only in development. A change rolls the pods."
    )


class Google(ResourcePart):
    """Credentials for Google Cloud Speech-to-Text."""

    credentials_secret_ref: SecretKey | None = Field(
        None,
        description="Where a service account's JSON key is; absent: Workload Identity, by "
        "`pod.serviceAccountAnnotations`. A change rolls the pods.",
    )


class JournalSpec(ResourcePart):
    """What a pod holds until the database has it: on its node's disk, for as long as there is the pod."""

    size_limit_mebibytes: int = Field(
        256,
        ge=16,
        le=65_536,
        description="Size from which new records are refused, in MiB; 256 hold some 500,000 finals. The node's disk "
        "must have it. A change rolls the pods.",
    )


class DatabaseSpec(ResourcePart):
    """The Postgres database that keeps calls and their transcripts. Its tables are made before a pod starts."""

    url_secret_ref: SecretKey = Field(
        description="Where the database's URL is, as `postgresql://user:password@host:5432/name`; its user may make "
        "tables. A change of the reference rolls the pods; a change of the Secret takes effect in pods that start "
        "after it.",
    )
    pool_size: int = Field(
        5,
        ge=1,
        le=100,
        description="Connections of a pod, beside the one that writes and a short one while it starts. A change rolls "
        "the pods.",
    )
    retention_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Age in days at which calls, with what was said, and leads are deleted; 0: never. A change rolls "
        "the pods.",
    )
    journal: JournalSpec = Field(
        default_factory=JournalSpec, description="What a pod holds until the database has it; it goes with the pod."
    )
