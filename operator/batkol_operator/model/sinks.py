"""`spec.sinks`: the receivers that events of calls are handed on to. Read by pods at start."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, StringConstraints

from batkol_operator.model.address import AUTHORITY
from batkol_operator.model.part import ResourcePart, ResourceRule, listed
from batkol_operator.model.secret_key import SecretKey
from batkol_operator.model.speakers import KEY_CHANGE, Reference

_HTTP: Final = rf"^https?://{AUTHORITY}([/?]|$)"
_NATS: Final = rf"^(nats|tls)://{AUTHORITY}(,(nats|tls)://{AUTHORITY})*$"

SinkUrl = Annotated[str, StringConstraints(min_length=1, max_length=2048, pattern=r"^(https?|nats|tls)://[^\s#@]+$")]
Subject = Annotated[
    str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")
]
StoredEventType = Literal[
    "call.started",
    "final",
    "revised",
    "reply.sentence",
    "reply.interrupted",
    "reply.ended",
    "tool.called",
    "call.ended",
]
"""The types of the events that the service stores."""


class SinkKind(StrEnum):
    """Kind of a sink."""

    WEBHOOK = "Webhook"
    NATS = "NATS"


class SinkSpec(ResourcePart):
    """One receiver of events."""

    rules: ClassVar[tuple[ResourceRule, ...]] = (
        ResourceRule(
            cel=f"self.kind != 'Webhook' || self.url.matches(r'{_HTTP}')",
            holds=lambda part: part.kind is not SinkKind.WEBHOOK or re.search(_HTTP, part.url) is not None,
            message="must be https://host[:port] (or http://) when `kind` is Webhook, with a port from 1 to 65535",
            field=".url",
        ),
        ResourceRule(
            cel=f"self.kind != 'NATS' || self.url.matches(r'{_NATS}')",
            holds=lambda part: part.kind is not SinkKind.NATS or re.search(_NATS, part.url) is not None,
            message="must be nats://host[:port], or tls://host[:port] with TLS, when `kind` is NATS; several are "
            "separated by commas, and a port is from 1 to 65535",
            field=".url",
        ),
        ResourceRule(
            cel="(self.kind == 'Webhook') == has(self.signingSecretRef)",
            holds=lambda part: (part.kind is SinkKind.WEBHOOK) == (part.signing_secret_ref is not None),
            message="must be specified if `kind` is Webhook, and only then",
            field=".signingSecretRef",
        ),
        ResourceRule(
            cel="self.kind == 'NATS' || "
            "(!has(self.subject) && !has(self.credentialsSecretRef) && !has(self.createStream) && !has(self.partials))",
            holds=lambda part: (
                part.kind is SinkKind.NATS
                or (part.subject, part.credentials_secret_ref, part.create_stream, part.partials) == (None,) * 4
            ),
            message="may not be specified, nor `credentialsSecretRef`, `createStream` and `partials`, when `kind` is "
            "Webhook",
            field=".subject",
            reason="FieldValueForbidden",
        ),
        ResourceRule(
            cel="!has(self.events) || size(self.events) > 0 || (has(self.partials) && self.partials)",
            holds=lambda part: part.events is None or len(part.events) > 0 or part.partials is True,
            message="may be empty only when `partials` is true: the sink would get nothing; absent: all stored events",
            field=".events",
        ),
    )

    name: Reference = Field(
        description="Name, as in metrics, logs and `batkol sinks`. Events that wait belong to the name: a sink with "
        "another name begins with the events that happen after its pods have started. A change rolls the pods.",
    )
    kind: SinkKind = Field(
        description="Webhook posts each event by HTTP, signed; NATS publishes them, stored events on JetStream. A "
        "change rolls the pods.",
    )
    url: SinkUrl = Field(
        description="For Webhook the URL that each event is posted to, with its query; for NATS nats://host[:port], or "
        "tls://host[:port] with TLS, several separated by commas. Without user and password. A change rolls the pods.",
    )
    signing_secret_ref: SecretKey | None = Field(
        None,
        description=f"For Webhook: Secret key with the secret that signs the requests (`whsec_…`); several, "
        f"separated by commas, during a rotation. {KEY_CHANGE}",
    )
    credentials_secret_ref: SecretKey | None = Field(
        None,
        description="For NATS: Secret key with `user:password`, a token, the seed of a user's NKey, or the contents of "
        f"a credentials file; absent: none is sent. {KEY_CHANGE}",
    )
    subject: Subject | None = Field(
        None, description="For NATS: beginning of the subjects; absent: `batkol`. A change rolls the pods."
    )
    create_stream: bool | None = Field(
        None,
        description="For NATS: whether the pods create the JetStream stream, if there is none; absent: false, and the "
        "stream must be there. A change rolls the pods.",
    )
    events: tuple[StoredEventType, ...] | None = Field(
        None,
        max_length=16,
        json_schema_extra=listed("set"),
        description="Types of the stored events that it gets; absent: all of them. A change rolls the pods.",
    )
    partials: bool | None = Field(
        None,
        description="For NATS: whether partials and `reply.started` are published too, each at most once, straight "
        "from the pod that has the call; absent: false. A change rolls the pods.",
    )
    texts: bool | None = Field(
        None,
        description="Whether its events have the words of callers and agents; absent: true. A change rolls the pods.",
    )
    numbers: bool | None = Field(
        None, description="Whether its events have telephone numbers; absent: true. A change rolls the pods."
    )

    @property
    def needs_store(self) -> bool:
        """Whether any of its events come out of the store."""
        return self.events != ()
