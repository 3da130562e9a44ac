"""Proof of whose TwiML opened a media stream: the service's own, the user's own, or neither.

The handshake's signature proves that Twilio dials, but it is one constant for all calls, and names none. So the
service's own TwiML carries a token for its call. TwiML of the user's own has either the stream secret, or nothing: then
Twilio's REST API is asked whether the call is in progress. A claim that is wrong is refused, and not tried in another
way: a wrong token or secret is a mistake that should show, and a stranger who has none would give none.
"""

from __future__ import annotations

import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from batkol.errors import PeerError, UpstreamError
from batkol.events.identity import BROWSER, REHEARSAL, Identity
from batkol.twilio import token
from batkol.twilio.call_resource import CallProgress, CallResource
from batkol.twilio.messages import StartDetails
from batkol.twilio.secret import SECRET_PARAMETER, is_secret
from batkol.twilio.stream import MediaStream
from batkol.twilio.twiml import TOKEN_PARAMETER
from batkol.web import stream_parameters as parameters

_NEXT: Final = "The service closes the stream, and Twilio continues with the next TwiML verb."
_TRY_AGAIN: Final = 1013
"""RFC 6455's registry: try again later."""


class ProofFault(StrEnum):
    """Reasons why a stream's origin is not proven; short and stable, for metrics."""

    TOKEN = "token"  # noqa: S105 - wrong, expired, or missing where it is required
    SECRET = "secret"  # noqa: S105 - wrong, or missing where Twilio is not asked
    NOT_IN_PROGRESS = "not_in_progress"  # Twilio knows no such call of the account in progress
    OCCUPIED = "occupied"  # another stream of the call hears the caller
    TWILIO_API = "twilio_api"  # Twilio gave no answer


class UnprovenError(PeerError):
    """Nothing proves that the stream belongs to a call of this account."""

    def __init__(self, message: str, *, reason: ProofFault, close_code: int = 1008) -> None:
        super().__init__(message, close_code=close_code)
        self.reason = reason


class CallLookup(Protocol):
    """Twilio's REST API, for one account."""

    @property
    def account_sid(self) -> str: ...
    async def call(self, call_sid: str, client: str = "") -> CallResource | None:
        """Return the call, None if the account has none with this SID. Raises `UpstreamError`.

        Questions of each `client`, which a stranger may be, are asked by turns with those of the others.
        """
        ...


_NOT_TWILIOS: Final = frozenset({"", BROWSER})
_NOT_OWN_TWIMLS: Final = frozenset({"", BROWSER, REHEARSAL})
"""A rehearsal's direction is in a webhook that the auth token has signed; TwiML of the user's own cannot hide calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofSettings:
    """The settings against which a `start` is checked."""

    token_keys: Sequence[str]
    token_required: bool = True
    secrets: Sequence[str] = ()
    agent: str = ""


class StreamProof:
    """The check of all streams. Without `lookup` Twilio is not asked."""

    def __init__(self, settings: ProofSettings, lookup: CallLookup | None = None) -> None:
        self._settings = settings
        self._lookup = lookup

    def at_once(self, stream: MediaStream) -> Identity | None:
        """Return whose stream it is, by its token or its secret; None if Twilio must be asked.

        Raises `TokenError` and `UnprovenError`.
        """
        details, given = _details(stream), stream.parameters
        if sent := given.get(TOKEN_PARAMETER, ""):
            token.verify(self._settings.token_keys, sent, details.call_sid, details.account_sid, time.time())
            return _identity(stream, given, given.get(parameters.AGENT, ""), not_theirs=_NOT_TWILIOS)
        if self._settings.token_required:
            raise UnprovenError(
                f"The stream has no token: TwiML that is not the service's opened it. {_NEXT} To take streams from "
                "TwiML of your own, set STREAM_TOKEN=optional.",
                reason=ProofFault.TOKEN,
            )
        secret = given.get(SECRET_PARAMETER, "") if self._settings.secrets else ""
        if secret and is_secret(self._settings.secrets, secret):
            return _identity(stream, given, self._settings.agent)
        if secret:
            raise UnprovenError(
                f"The stream's parameter `secret` is not in STREAM_SECRET: the TwiML has an old one, or a stranger "
                f"guesses. {_NEXT} Write one of the secrets in STREAM_SECRET into the TwiML.",
                reason=ProofFault.SECRET,
            )
        if self._lookup is None:
            raise UnprovenError(
                f"The stream has neither the service's token nor the parameter `secret`. {_NEXT} Write a secret of "
                "STREAM_SECRET into the TwiML, or set TWILIO_ACCOUNT_SID, so that Twilio is asked about the call.",
                reason=ProofFault.SECRET,
            )
        return None

    async def by_twilio(self, stream: MediaStream, client: str = "") -> Identity:
        """Ask Twilio whether the stream's call is in progress, and return who calls whom. Raises `UnprovenError`.

        `client`: the address that the stream came from.
        """
        details, lookup = _details(stream), self._lookup
        if lookup is None:
            raise AssertionError("`at_once` returns None only where Twilio can be asked")
        if details.account_sid != lookup.account_sid:
            raise UnprovenError(
                f"The stream belongs to another Twilio account than TWILIO_ACCOUNT_SID. {_NEXT} Set the account whose "
                "TwiML opens the streams.",
                reason=ProofFault.NOT_IN_PROGRESS,
            )
        try:
            call = await lookup.call(details.call_sid, client)
        except UpstreamError as error:
            raise UnprovenError(
                f"Whether the stream's call is in progress is not known. {error} {_NEXT}",
                reason=ProofFault.TWILIO_API,
                close_code=_TRY_AGAIN,
            ) from error
        if call is None or call.status != CallProgress.IN_PROGRESS:
            said = "there is no such call in the account" if call is None else f"the call is {_status(call)}"
            raise UnprovenError(
                f"Twilio says of the stream's call that {said}: the client is not Twilio, or repeats an old stream. "
                f"{_NEXT}",
                reason=ProofFault.NOT_IN_PROGRESS,
            )
        known = {parameters.FROM: call.from_, parameters.TO: call.to, parameters.DIRECTION: call.direction}
        return _identity(stream, {name: value or "" for name, value in known.items()}, self._settings.agent)


def _identity(
    stream: MediaStream, ends: Mapping[str, str], agent: str, not_theirs: Container[str] = _NOT_OWN_TWIMLS
) -> Identity:
    """Return whose stream it is. A direction of `not_theirs` is not for those who opened it to claim."""
    details, given = _details(stream), stream.parameters
    direction = parameters.fitting(ends.get(parameters.DIRECTION, ""))
    return Identity(
        call_sid=details.call_sid,
        stream_sid=stream.sid,
        account_sid=details.account_sid,
        agent=agent,
        from_=parameters.fitting(ends.get(parameters.FROM, "")),
        to=parameters.fitting(ends.get(parameters.TO, "")),
        direction="inbound" if direction in not_theirs else direction,
        parameters=parameters.custom(given),
        stream=parameters.stream_number(given),
    )


def _status(call: CallResource) -> str:
    return call.status if call.status in {*CallProgress} else "in a state that the service does not know"


def _details(stream: MediaStream) -> StartDetails:
    if stream.details is None:
        raise AssertionError("a started stream has details")
    return stream.details
