"""What an agent is connected to: Twilio, Google, a database. Secrets are named here and never written."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from pydantic import Field

from batkol_operator.model.part import Part, Rule

_BASE_URL: Final = "^https?://[^/?# ]+(/[^?# ]*)?$"


class SecretKey(Part):
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


class Twilio(Part):
    """The account whose calls are answered."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.publicBaseUrl.matches('{_BASE_URL}')",
            holds=lambda part: re.search(_BASE_URL, part.public_base_url) is not None,
            message="must be https://host[/path] (http:// in development), without a query or a fragment: "
            "Twilio drops those from a stream's URL",
            field=".publicBaseUrl",
        ),
        Rule(
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


class Google(Part):
    """Credentials for Google Cloud Speech-to-Text."""

    credentials_secret_ref: SecretKey | None = Field(
        None,
        description="Where a service account's JSON key is; absent: Workload Identity, by "
        "`pod.serviceAccountAnnotations`. A change rolls the pods.",
    )


class Database(Part):
    """The Postgres database that keeps calls and their transcripts."""

    url_secret_ref: SecretKey = Field(
        description="Where the database's URL is, as `postgresql://user:password@host:5432/name`. "
        "A change of the reference rolls the pods.",
    )
