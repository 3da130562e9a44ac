"""The means of a process to end calls: access to Twilio's REST API, how long it is asked, and the allowed transfers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from batkol.errors import CallError
from batkol.events.identity import Identity
from batkol.twilio_api.control import CallControl

NO_CONTROL: Final = (
    "The service has no access to Twilio's REST API. Set TWILIO_ACCOUNT_SID, with TWILIO_AUTH_TOKEN or with "
    "TWILIO_API_KEY and TWILIO_API_SECRET."
)
NOT_TWILIOS: Final = "The caller is at the phone in the console: Twilio does not know this call."
NO_LABEL: Final = "TRANSFER_ALLOWED has no such label."

_ASKED: Final = ("done", "over", "stopped", "credentials", "limited", "unavailable", "malformed", "refused")
OUTCOMES: Final = {"hang_up": (*_ASKED, "closed"), "transfer": (*_ASKED, "unknown_label", "no_credentials")}
"""The outcomes of each action, for metrics. `stopped`: the stream ended before Twilio's answer came."""


class NoTelephoneError(CallError):
    """Nothing is configured that could do this."""


class UnknownLabelError(CallError):
    """No transfer has this label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePatience:
    """Seconds. The defaults are for production; tests of a limit wait for a shorter one."""

    hang_up: float = 30.0
    """For Twilio to hang up; the stream stays open so long."""
    transfer: float = 10.0
    """For Twilio to take a transfer: the caller hears nothing meanwhile."""
    stop: float = 5.0
    """From Twilio's word to the end of the stream."""
    echo: float = 2.0
    """For the mark behind the last word to come back: longer than any telephone line."""


@dataclass(frozen=True, slots=True)
class Telephone:
    """The means of a process to end calls. Without `control` the socket is closed."""

    control: CallControl | None = None
    patience: LinePatience = LinePatience()
    count: Callable[[str, str], None] = lambda _action, _outcome: None
    """Called with each action and its outcome: short stable words."""
    transfers: Callable[[], Mapping[str, str]] = dict
    """Returns the allowed transfers of the moment: label to number or SIP URI."""
    why_no_control: str = NO_CONTROL
    """A sentence for people, where there is no `control`."""

    def of(self, call: Identity) -> Telephone:
        """Return the means for one call: Twilio cannot be asked to end what is no call of its own."""
        return replace(self, control=None, why_no_control=NOT_TWILIOS) if call.is_from_browser else self

    @property
    def labels(self) -> list[str]:
        """The labels of the allowed transfers, in their order."""
        return sorted(self.transfers())

    @property
    def why_no_transfer(self) -> str:
        """The reason why no call can be transferred, a sentence for people; empty where calls can."""
        if self.control is None:
            return f"This call cannot be transferred. {self.why_no_control}"
        if not self.transfers():
            return (
                "This service cannot transfer calls: it knows no number to transfer them to. Set TRANSFER_ALLOWED to "
                'JSON such as {"sales": "+972501234567"}.'
            )
        return ""

    def check(self, label: str) -> None:
        """Refuse a transfer that cannot be. Raises `NoTelephoneError` and `UnknownLabelError`, with sentences."""
        known = self.labels
        if why := self.why_no_transfer:
            raise NoTelephoneError(why)
        if label not in known:
            raise UnknownLabelError(f"There is no transfer with this label. The labels are {', '.join(known)}.")
