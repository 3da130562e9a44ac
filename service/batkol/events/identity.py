"""The identity of a call: its SIDs, its two ends and its agent. The flag may be targeted by them."""

from __future__ import annotations

from typing import Final

import msgspec

from batkol.flags.context import CallContext

BROWSER: Final = "browser"
"""Direction of a call from the phone in the console: Twilio knows nothing of it."""

REHEARSAL: Final = "rehearsal"
"""Direction of a call of `batkol gonogo`, which says so in its signed webhook. The store keeps nothing of it."""


class Chosen(msgspec.Struct, frozen=True):
    """Names of who answers and who speaks in one call, whatever the flags say; empty: as the flags say."""

    answerer: str = ""
    voice: str = ""


AS_THE_FLAGS_SAY: Final = Chosen()


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """One call. The numbers never leave it for a log line, a span or a metric."""

    call_sid: str
    stream_sid: str
    account_sid: str
    agent: str = ""
    from_: str = ""
    to: str = ""
    direction: str = "inbound"
    parameters: dict[str, str] = {}
    """The stream's parameters, but for the service's own."""
    stream: int = 1
    """The number of this stream among the call's, from 1."""
    chosen: Chosen = AS_THE_FLAGS_SAY
    """By the person at the phone in the console, for this call alone."""

    @property
    def is_from_browser(self) -> bool:
        """Whether the caller is at the phone in the console."""
        return self.direction == BROWSER

    @property
    def is_rehearsal(self) -> bool:
        """Whether a program calls to try the service out: no record, no lead, no summary."""
        return self.direction == REHEARSAL

    def context(self, *, language: str, pod: str) -> CallContext:
        """Return what flags may be targeted by."""
        return CallContext(
            call_sid=self.call_sid,
            agent=self.agent,
            from_=self.from_,
            to=self.to,
            account_sid=self.account_sid,
            direction=self.direction,
            language=language,
            pod=pod,
        )
