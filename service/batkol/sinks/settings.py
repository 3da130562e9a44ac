"""Descriptions of sinks, as the entries of `SINKS` have them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from batkol.environment import check_token, stripped
from batkol.events.filter import EVENT_TYPES
from batkol.events.outgoing import OUTGOING
from batkol.http_client.signature import key_of
from batkol.named_specs import check_url, check_variable
from batkol.sinks.nats.credentials import credentials
from batkol.urls import check_endpoint

LIVE: Final = ("partial", "reply.started")
"""The types of the events that go to NATS straight from the bus, and that the store does not hand on."""

_SUBJECT: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_NATS_PORT: Final = ":4222"
_FILE: Final = "-----BEGIN "  # of NATS: a file of several lines
_HOST_WITH_PORT: Final = re.compile(r"(\[[^]]*\]|[^:]*):[0-9]+")


class SinkSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Fields that all kinds of sinks have. Subclasses are the kinds; their tag is `kind`."""

    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    events: tuple[str, ...] | None = None
    """The types of the stored events that it gets; None: all of `OUTGOING`."""
    texts: bool = True
    """Whether its events have the words of callers and agents; if not, those fields are empty."""
    numbers: bool = True
    """Whether its events have telephone numbers; if not, those fields are empty."""

    @property
    def kind(self) -> str:
        """The kind, as the settings name it."""
        return str(self.__struct_config__.tag)

    @property
    def types(self) -> frozenset[str]:
        """The types of the stored events that it gets."""
        return frozenset(OUTGOING if self.events is None else self.events)

    @property
    def needs_store(self) -> bool:
        """Whether any of its events come out of the store."""
        return bool(self.types)

    @property
    def shown_url(self) -> str:
        """URL without path and query, which may be secrets."""
        return origin(self.url)

    @property
    def target(self) -> str:
        """Destination of its events, for people."""
        return self.shown_url

    def check(self, name: str) -> None:
        """Refuse what cannot hand events on. Raises `ValueError`, a sentence that begins with the name."""
        wanted = self.events or ()
        for event in wanted:
            _check_event(name, event)
        if doubled := sorted({event for event in wanted if wanted.count(event) > 1}):
            raise ValueError(f"{name}: events has {doubled[0]} twice; remove one of them")
        if self.events == () and not self.without_stored_events:
            raise ValueError(
                f"{name}: events is empty, so the sink would get nothing; name events, or leave the field out for all "
                "that the store keeps"
            )

    @property
    def without_stored_events(self) -> bool:
        """Whether it has something to do where it gets no stored events."""
        return False

    def secrets(self, name: str, environ: Mapping[str, str]) -> tuple[str, ...]:  # noqa: ARG002  for kinds with secrets
        """Return its secrets, which may be none. Raises `ValueError`, a sentence that does not quote them."""
        return ()


class WebhookSettings(SinkSettings, frozen=True, kw_only=True, tag_field="kind", tag="webhook"):
    """A receiver by HTTP: each event is posted to `url`, and signed."""

    secret_env: str
    """The name of the variable with the secret (`whsec_…`) that signs the requests; with commas, several secrets."""

    def check(self, name: str) -> None:
        """Refuse what cannot hand events on. Raises `ValueError`, a sentence that begins with the name."""
        SinkSettings.check(self, name)
        check_url(name, self.url, key_field="secretEnv")
        if "#" in self.url:
            raise ValueError(f"{name}: url has a fragment (#…), which no request sends; remove it")

    def secrets(self, name: str, environ: Mapping[str, str]) -> tuple[str, ...]:
        """Return the secrets that sign; a receiver may know any of them. Raises `ValueError`, which quotes none."""
        found = _parts(_secret_of(name, "secretEnv", self.secret_env, environ))
        try:
            for secret in found:
                check_token(secret)
                key_of(secret)
        except ValueError as error:
            raise ValueError(f"{name}: secretEnv: the variable {self.secret_env} {error}") from None
        return found


class NatsSettings(SinkSettings, frozen=True, kw_only=True, tag_field="kind", tag="nats"):
    """A NATS server or cluster: stored events go to JetStream, partials to plain subjects."""

    subject: Annotated[str, Meta(max_length=100)] = "batkol"
    """The beginning of the subjects."""
    credentials_env: str = ""
    """The name of the variable with the credentials: see `batkol.sinks.nats.credentials`."""
    create_stream: bool = False
    """Whether the JetStream stream is created, if there is none; otherwise it must be there."""
    partials: bool = False
    """Whether the events of `LIVE` go out too, straight from the bus: those of calls in this pod, each at most once."""

    @property
    def shown_url(self) -> str:
        """The URLs of its servers, which have no secrets."""
        return ",".join(self.servers)

    @property
    def servers(self) -> tuple[str, ...]:
        """The URLs of the servers, each with its port."""
        return tuple(_with_port(each) for each in _parts(self.url))

    @property
    def target(self) -> str:
        """Destination of its events, for people: the servers, and the beginning of the subjects."""
        return f"{self.shown_url} {self.subject}"

    @property
    def without_stored_events(self) -> bool:
        """Whether it has something to do where it gets no stored events."""
        return self.partials

    def check(self, name: str) -> None:
        """Refuse what cannot hand events on. Raises `ValueError`, a sentence that begins with the name."""
        SinkSettings.check(self, name)
        for each in _parts(self.url):
            _check_server(name, each)
        if not _SUBJECT.fullmatch(self.subject):
            raise ValueError(
                f"{name}: subject must be words of a–z, A–Z, 0–9, _ and -, joined by dots, without wildcards; the "
                "service appends the agent and the type of the event"
            )

    def secrets(self, name: str, environ: Mapping[str, str]) -> tuple[str, ...]:
        """Return the credentials, or nothing. Raises `ValueError`, a sentence that does not quote them."""
        if not self.credentials_env:
            return ()
        secret = _secret_of(name, "credentialsEnv", self.credentials_env, environ)
        try:
            if not secret.startswith(_FILE):
                check_token(secret)
            credentials(secret)
        except ValueError as error:
            raise ValueError(
                f"{name}: credentialsEnv: the variable {self.credentials_env} {error}. It must have user:password, a "
                "token, the seed of a user's NKey, or the contents of a credentials file"
            ) from None
        return (secret,)


def origin(url: str) -> str:
    """Return scheme, host and port of a URL that was checked."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0]}"


def _check_event(name: str, event: str) -> None:
    if event in OUTGOING:
        return
    if event in LIVE:
        raise ValueError(
            f"{name}: events has {event}, which the store does not keep; a sink of kind nats gets it with "
            '"partials": true, and a program by GET /v1/events'
        )
    stored = ", ".join(OUTGOING)
    if event in EVENT_TYPES:
        raise ValueError(f"{name}: events has {event}, which the store does not keep; it keeps {stored}")
    raise ValueError(f"{name}: events has {event[:40]!r}, which is no event; the store keeps {stored}")


def _check_server(name: str, url: str) -> None:
    scheme, found, endpoint = url.partition("://")
    if "@" in url:
        raise ValueError(
            f"{name}: url has a user, a password or a token; put it into a variable, and name that in credentialsEnv"
        )
    if scheme not in ("nats", "tls") or not found:
        raise ValueError(
            f"{name}: url must be nats://host[:port], or tls://host[:port] with TLS; several are separated by commas"
        )
    try:
        check_endpoint(endpoint if _HOST_WITH_PORT.fullmatch(endpoint) else endpoint + _NATS_PORT)
    except ValueError as error:
        raise ValueError(f"{name}: url {error}") from None


def _secret_of(name: str, field: str, variable: str, environ: Mapping[str, str]) -> str:
    check_variable(name, field, variable, "secret")
    if secret := stripped(environ.get(variable, "")):
        return secret
    raise ValueError(f"{name}: {field}: the variable {variable} is not set; set it and restart the process")


def _parts(text: str) -> tuple[str, ...]:
    return tuple(stripped(part) for part in text.split(","))


def _with_port(url: str) -> str:
    return url if _HOST_WITH_PORT.fullmatch(url.partition("://")[2]) else url + _NATS_PORT
