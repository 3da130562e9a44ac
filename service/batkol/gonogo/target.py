"""The service under rehearsal, and what a call to it shows of a rehearsal that cannot take place."""

from __future__ import annotations

from dataclasses import dataclass, field

from batkol.errors import BatkolError
from batkol.events.identity import REHEARSAL
from batkol.simulators.client.conversation import Internal, Observed
from batkol.simulators.twilio.advice import advice
from batkol.simulators.twilio.plan import CallPlan


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
        """Return a call to it, of which the service keeps nothing."""
        return CallPlan(
            base_url=self.url,
            public_url=self.public_url,
            auth_token=self.auth_token,
            call_sid=call_sid,
            caller=self.caller,
            called=self.called,
            form={"Direction": REHEARSAL},
        )


def see_that_it_was_a_call(observed: Observed, target: Target) -> None:
    """Raise `RehearsalImpossibleError` for a wrong option of the rehearsal, or if the service is full."""
    report = observed.report
    if why := advice(report, target.plan(report.call_sid)):
        raise RehearsalImpossibleError(why)
