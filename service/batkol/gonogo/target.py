"""The service under rehearsal, and what a call to it shows of a rehearsal that cannot take place."""

from __future__ import annotations

from dataclasses import dataclass, field

from batkol.errors import BatkolError
from batkol.simulators.client.conversation import Internal, Observed
from batkol.simulators.twilio.caller import CallOutcome, CallPlan
from batkol.urls import masked


class RehearsalImpossibleError(BatkolError):
    """The rehearsal could not take place; the text gives the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The service under rehearsal."""

    url: str
    internal: Internal
    public_url: str | None = None  # its PUBLIC_BASE_URL, if that is not `url`
    auth_token: str | None = field(default=None, repr=False)
    caller: str = "+972500000001"
    called: str = "+972300000001"

    def plan(self, call_sid: str) -> CallPlan:
        """Return a call to it."""
        return CallPlan(
            base_url=self.url,
            public_url=self.public_url,
            auth_token=self.auth_token,
            call_sid=call_sid,
            caller=self.caller,
            called=self.called,
        )


def see_that_it_was_a_call(observed: Observed, target: Target) -> None:
    """Raise `RehearsalImpossibleError` for a wrong option of the rehearsal, or if the service is full."""
    report = observed.report
    match report.outcome:
        case CallOutcome.WEBHOOK_FAILED if report.http_status == 0:
            raise RehearsalImpossibleError(
                f"The service cannot be reached at {masked(target.url)}: the voice webhook did not answer."
            )
        case CallOutcome.WEBHOOK_FAILED if report.http_status == 403:
            raise RehearsalImpossibleError(
                "The service refuses the rehearsal's signature (403). Give the service's TWILIO_AUTH_TOKEN with "
                "--auth-token, and its PUBLIC_BASE_URL with --public-url."
            )
        case CallOutcome.WEBHOOK_FAILED:
            raise RehearsalImpossibleError(
                f"The voice webhook at {masked(target.url)} answered {report.http_status}; check the URL."
            )
        case CallOutcome.HANDSHAKE_FAILED if report.handshake_status == 403:
            raise RehearsalImpossibleError(
                "The service accepted the webhook but refuses the media stream (403): give the service's "
                "PUBLIC_BASE_URL with --public-url."
            )
        case CallOutcome.APOLOGY:
            raise RehearsalImpossibleError(
                "The service has no free place: it answered with an apology. Try again later."
            )
