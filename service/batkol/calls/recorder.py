"""Who keeps what a call brings forth, if anybody does."""

from __future__ import annotations

from typing import Protocol

from batkol.calls.events import Event
from batkol.calls.identity import Identity


class Recorder(Protocol):
    """Called on the event loop before the event's subscribers hear of it; must neither wait nor raise."""

    def keep(self, identity: Identity, event: Event, trace_id: str | None = None) -> None: ...


class NoRecorder:
    """Nobody: `STORE=none`."""

    def keep(self, identity: Identity, event: Event, trace_id: str | None = None) -> None:
        """Forget it."""
