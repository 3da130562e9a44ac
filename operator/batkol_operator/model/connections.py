"""Connections of an agent: Twilio, Google, clients of its internal API."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final

from pydantic import Field, StringConstraints

from batkol_operator.model.address import AUTHORITY, WITH_HOST, HostPort, plaintext_rule
from batkol_operator.model.part import ResourcePart, ResourceRule, listed, listed_by
from batkol_operator.model.secret_key import SecretKey

_BASE_URL: Final = f"^https?://{AUTHORITY}(/[!$->A-~]*)?$"  # a path of visible ASCII without " # ? and @
_API_URL: Final = r"^https?://[^\s/?#@]+(/[!$->A-~]*)?$"
_PLAIN_TWILIO: Final = r"(?i)^http://([^/:]+[.])?twilio[.]com(:[0-9]+)?(/.*)?$"
_OWN_PATH: Final = "(?i)/twilio/(voice|status|stream-status|media)/*$"


HostName = Annotated[
    str,
    StringConstraints(
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*\.[a-z]([-a-z0-9]{0,61}[a-z0-9])?$",
    ),
]
"""A DNS name with a dot in it whose last label begins with a letter."""


class TwilioApiKey(ResourcePart):
    """An API key of the account."""

    sid: str = Field(max_length=34, pattern=r"^SK[0-9a-f]{32}$", description="SID of the key.")
    secret_ref: SecretKey = Field(description="Secret key with the key's secret.")


class TwilioRestApi(ResourcePart):
    """Twilio's REST API, by which the pods end and transfer calls, and learn which calls are in progress."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel=f"!has(self.url) || !self.url.matches('{_PLAIN_TWILIO}')",
            holds=lambda part: part.url is None or re.search(_PLAIN_TWILIO, part.url) is None,
            message="must begin with https:// for Twilio: the requests have a password in them",
            field=".url",
        ),
    )

    account_sid: str = Field(
        max_length=34,
        pattern=r"^AC[0-9a-f]{32}$",
        description="SID of the account that the calls belong to. A change rolls the pods.",
    )
    url: Annotated[str, WITH_HOST] | None = Field(
        None,
        min_length=1,
        max_length=1024,
        pattern=_API_URL,
        description="Base URL of the API in another region, such as `https://api.dublin.ie1.twilio.com`, or of a "
        "double; absent: `https://api.twilio.com`. A change rolls the pods.",
    )
    api_key: TwilioApiKey | None = Field(
        None, description="Key for the requests; absent: the account's auth token. A change rolls the pods."
    )


class OwnTwiml(ResourcePart):
    """Media streams from TwiML of your own: Studio, TwiML Bins, an existing IVR."""

    stream_secret_ref: SecretKey | None = Field(
        None,
        description="Secret key with the value of the parameter `secret` of your TwiML, 20 characters or more; several "
        "values, separated by commas, during a rotation. Absent: the pods ask Twilio's REST API about each call. A "
        "change of the reference rolls the pods; a change of the Secret takes effect in pods that start after it.",
    )


def _own_twiml_is_proven(part: Twilio) -> bool:
    if part.own_twiml is None or part.own_twiml.stream_secret_ref is not None:
        return True
    api = part.rest_api
    return api is not None and (part.auth_token_secret_ref is not None or api.api_key is not None)


class Twilio(ResourcePart):
    """Twilio account and public URL."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel=f"self.publicBaseUrl.matches(r'{_BASE_URL}')",
            holds=lambda part: re.fullmatch(_BASE_URL, part.public_base_url) is not None,
            message="must be https://host[:port][/path] (http:// in development), with a port from 1 to 65535, "
            "without a query or a fragment, which Twilio drops from a stream's URL, and without a user, white space or "
            "non-ASCII characters",
            field=".publicBaseUrl",
        ),
        ResourceRule(
            cel=f"!self.publicBaseUrl.matches('{_OWN_PATH}')",
            holds=lambda part: re.search(_OWN_PATH, part.public_base_url) is None,
            message="must end before `/twilio/voice` or another path of the service: the service adds those itself",
            field=".publicBaseUrl",
        ),
        ResourceRule(
            cel="has(self.authTokenSecretRef) || (has(self.validateSignatures) && !self.validateSignatures)",
            holds=lambda part: part.auth_token_secret_ref is not None or not part.validate_signatures,
            message="must be specified unless `validateSignatures` is false: "
            "without the token the service cannot tell Twilio's requests from others",
            field=".authTokenSecretRef",
            reason="FieldValueRequired",
        ),
        ResourceRule(
            cel="!has(self.ownTwiml) || has(self.ownTwiml.streamSecretRef) || (has(self.restApi) && "
            "(has(self.authTokenSecretRef) || has(self.restApi.apiKey)))",
            holds=_own_twiml_is_proven,
            message="needs a `streamSecretRef`, or `restApi` with `authTokenSecretRef` or `restApi.apiKey`: without "
            "either the service cannot tell a stream of your TwiML from others",
            field=".ownTwiml",
        ),
    )

    public_base_url: str = Field(
        min_length=1,
        max_length=1024,
        description="URL of the number's webhook without `/twilio/voice`: `https://host[/path]`. "
        "Twilio signs this URL. A change rolls the pods.",
    )
    auth_token_secret_ref: SecretKey | None = Field(
        None,
        description="Secret key with the account's auth token; several tokens, separated by commas, during a rotation. "
        "A change of the reference rolls the pods; a change of the Secret takes effect in pods that start after it.",
    )
    validate_signatures: bool = Field(
        True,
        description="Refuse requests without Twilio's signature; false only in development. A change rolls the pods.",
    )
    rest_api: TwilioRestApi | None = Field(
        None,
        description="Twilio's REST API, by which the pods end and transfer calls, and learn which calls are in "
        "progress; absent: the agent cannot transfer callers.",
    )
    own_twiml: OwnTwiml | None = Field(
        None,
        description="Take media streams from TwiML of your own; absent: only from the service's own. A change rolls "
        "the pods.",
    )


class GoogleVoices(ResourcePart):
    """Connection to Google Cloud Text-to-Speech, for voices of the kind Google."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        plaintext_rule(
            "may be true only when `endpoint` names a double: the service never sends texts to Google in plaintext"
        ),
    )

    endpoint: HostPort = Field(
        "",
        description="`host:port` of a double to use instead of Google's. A change rolls the pods.",
    )
    insecure: bool = Field(
        False, description="Use plaintext gRPC to `endpoint`; only for a double. A change rolls the pods."
    )
    max_sessions: int = Field(
        100,
        ge=1,
        le=10_000,
        description="Most concurrent speaking sessions of one pod at Google, its share of the project's quota. A "
        "change rolls the pods.",
    )


class Google(ResourcePart):
    """Credentials for Google Cloud Speech-to-Text and Text-to-Speech."""

    credentials_secret_ref: SecretKey | None = Field(
        None,
        description="Secret key with a service account's JSON key; absent: Workload Identity, by "
        "`pod.serviceAccountAnnotations`. A change rolls the pods.",
    )
    voices: GoogleVoices | None = Field(
        None, description="Connection to Text-to-Speech, for voices of the kind Google. A change rolls the pods."
    )


class AgentConsole(ResourcePart):
    """The console of another agent."""

    agent: str = Field(
        min_length=1, max_length=63, pattern=r"^[!-~]+$", description="Name of the agent, as the console shows it."
    )
    url: Annotated[str, WITH_HOST] = Field(
        max_length=2048,
        pattern=r"^https?://[^\s@]+$",
        description="Address of its console as browsers reach it, such as `https://sales.example.com/console/`.",
    )


class InternalApi(ResourcePart):
    """Clients of the pods' internal API, beside the operator."""

    tokens_secret_ref: SecretKey | None = Field(
        None,
        description="Secret key with the clients' tokens and rights: JSON, name → "
        '`{"token": "…", "may": ["status", "numbers", "texts", "line", "leads", "drain"]}`; the rights that a client '
        "does not need are omitted. A change of the reference rolls the pods; a change of the Secret takes effect in "
        "pods that start after it. A pod does not start with tokens that cannot work; its log says why.",
    )
    hosts: tuple[HostName, ...] = Field(
        (),
        max_length=20,
        json_schema_extra=listed("set"),
        description="Host names at which the internal API answers browsers, beside IP addresses and localhost: that of "
        "a proxy with TLS in front of the console. Programs with a token may use any name. A change rolls the pods.",
    )
    consoles: tuple[AgentConsole, ...] = Field(
        (),
        max_length=50,
        json_schema_extra=listed_by("agent"),
        description="Consoles of other agents; the phone of this agent's console links to them. Everybody who may open "
        "the console with a token sees the addresses. A change rolls the pods.",
    )
