"""The recorder of a call's events, and the one that records nothing."""

from __future__ import annotations

from typing import Protocol

from batkol.events.events import Event
from batkol.events.identity import Identity
from batkol.twilio.call_status import FinalStatus


class Recorder(Protocol):
    """Called on the event loop before the event's subscribers hear of it; must neither wait nor raise."""

    def keep(self, identity: Identity, event: Event, trace_id: str | None = None) -> None: ...

    def keep_status(self, status: FinalStatus, at: float) -> None:
        """Record Twilio's status of an ended call, of any pod; it arrived at `at`, in Unix seconds."""


class NoRecorder:
    """A recorder that discards all records: `STORE=none`."""

    def keep(self, identity: Identity, event: Event, trace_id: str | None = None) -> None:
        """Discard the event."""

    def keep_status(self, status: FinalStatus, at: float) -> None:
        """Discard the event."""
