"""The settings of who may open a media stream: part of `batkol.settings.Settings`, and read with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from batkol.environment import EnvironmentSettings, check_token, several
from batkol.twilio.call_resource import is_account_sid
from batkol.twilio.secret import LONGEST, SHORTEST
from batkol.urls import check_http

TWILIO_API: Final = "https://api.twilio.com"

_API_KEY: Final = re.compile("SK[0-9a-f]{32}")
_NOT_IN_TWIML: Final = frozenset("&<>\"'{}")
"""Characters that XML, or the templates of Studio and TwiML Bins, read as something else."""


class StreamToken(StrEnum):
    """Whether a media stream needs the token of the service's own TwiML."""

    REQUIRED = "required"
    OPTIONAL = "optional"  # a stream without it needs the secret, or Twilio's word for its call


class StreamFields(EnvironmentSettings):
    """Environment variables are the upper-case field names."""

    tokens: ClassVar[frozenset[str]] = frozenset({"twilio_api_secret"})

    stream_token: StreamToken = Field(
        StreamToken.REQUIRED,
        description="`optional` takes media streams from TwiML of your own, by STREAM_SECRET or by Twilio's REST API.",
    )
    stream_token_ttl_s: int = Field(60, ge=5, le=600, description="Lifetime of the stream token in the TwiML, s.")
    stream_secret: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description=(
            f"Parameter `secret` of your own TwiML, {SHORTEST} characters or more; several, comma-separated, during a "
            "rotation."
        ),
        repr=False,
    )
    twilio_account_sid: str = Field(
        "", description="SID of the Twilio account, whose REST API is asked about calls of TwiML of your own."
    )
    twilio_api_key: str = Field(
        "", description="SID of an API key of the account, to ask with it instead of the auth token."
    )
    twilio_api_secret: str = Field("", description="Secret of TWILIO_API_KEY.", repr=False)
    twilio_api_url: str = Field(TWILIO_API, description="Base URL of Twilio's REST API: another region, or the double.")

    @field_validator("stream_secret", mode="before")
    @classmethod
    def _secrets(cls, value: object) -> object:
        return several(value)

    @field_validator("stream_secret")
    @classmethod
    def _each_secret(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for secret in value:
            check_token(secret)
            if not SHORTEST <= len(secret) <= LONGEST:
                raise ValueError(
                    f"must have {SHORTEST} to {LONGEST} characters: it opens every stream; create one with `openssl "
                    "rand -hex 32`"
                )
            if _NOT_IN_TWIML.intersection(secret):
                raise ValueError(
                    "has one of the characters & < > \" ' { }, which TwiML reads as something else; create one with "
                    "`openssl rand -hex 32`"
                )
        return value

    @field_validator("twilio_account_sid")
    @classmethod
    def _account(cls, value: str) -> str:
        if value and not is_account_sid(value):
            raise ValueError("must be the account's SID: AC and 32 hexadecimal digits, as Twilio's console shows it")
        return value

    @field_validator("twilio_api_key")
    @classmethod
    def _key(cls, value: str) -> str:
        if value and not _API_KEY.fullmatch(value):
            raise ValueError("must be an API key's SID: SK and 32 hexadecimal digits, as Twilio's console shows it")
        return value

    @field_validator("twilio_api_url")
    @classmethod
    def _api(cls, value: str) -> str:
        check_http(value)
        if any(mark in value for mark in "?#@"):
            raise ValueError("must have no query, no fragment, no user and no password")
        host = urlsplit(value).hostname or ""
        if value.startswith("http://") and (host == "twilio.com" or host.endswith(".twilio.com")):
            raise ValueError("must begin with https:// for Twilio: the requests have a password in them")
        return value.rstrip("/")

    @property
    def takes_own_twiml(self) -> bool:
        """Whether a media stream without the service's token may be taken."""
        return self.stream_token is StreamToken.OPTIONAL

    def twilio_logins(self, auth_tokens: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Return user and password for Twilio's REST API: the API key's, or else the account's with each auth token.

        Empty without an account.
        """
        if not self.twilio_account_sid:
            return ()
        if self.twilio_api_key:
            return ((self.twilio_api_key, self.twilio_api_secret),)
        return tuple((self.twilio_account_sid, token) for token in auth_tokens)

    def check_streams(self, auth_tokens: Sequence[str]) -> None:
        """Refuse what could open no stream, or opens none. Raises `ValueError`, a sentence."""
        if bool(self.twilio_api_key) != bool(self.twilio_api_secret):
            raise ValueError("TWILIO_API_KEY and TWILIO_API_SECRET need each other; set both, or neither")
        if self.twilio_api_key and not self.twilio_account_sid:
            raise ValueError("TWILIO_API_KEY needs TWILIO_ACCOUNT_SID, the account whose key it is")
        if self.takes_own_twiml and not (self.stream_secret or self.twilio_logins(auth_tokens)):
            raise ValueError(
                "STREAM_TOKEN=optional would take a stream from any client: set TWILIO_ACCOUNT_SID (with "
                "TWILIO_AUTH_TOKEN or an API key), so that Twilio's REST API is asked about its call, or STREAM_SECRET"
            )
        if self.twilio_account_sid and not self.twilio_logins(auth_tokens):
            raise ValueError(
                "TWILIO_ACCOUNT_SID has no login, so Twilio's REST API could not be asked: set TWILIO_AUTH_TOKEN, or "
                "TWILIO_API_KEY and TWILIO_API_SECRET, or remove TWILIO_ACCOUNT_SID"
            )
        if self.stream_secret and not self.takes_own_twiml:
            raise ValueError(
                "STREAM_SECRET has no effect while STREAM_TOKEN is `required`; set STREAM_TOKEN=optional, or remove "
                "STREAM_SECRET"
            )
