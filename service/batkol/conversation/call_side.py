"""The call, as its conversation uses it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from batkol.conversation import events
from batkol.conversation.line import Line


@dataclass(frozen=True, slots=True)
class CallSide:
    """The call, as its conversation uses it."""

    call_sid: str
    stream_sid: str
    line: Line
    since: Callable[[int], float]
    """Seconds since the caller spoke a sample."""
    observe: events.ObserveReplies
    hang_up: Callable[[str], None]
    """End the call; the reason is for `call.ended`, empty: `hung_up`."""
    transfer: Callable[[str, Callable[[], None]], None]
    """Transfer the caller to the number behind a label, or call back if they stay here."""
    log: FilteringBoundLogger
    caller: str = field(default="", repr=False)
    """The number that calls, or is called by the agent; empty: not known."""
    called: str = field(default="", repr=False)
    """The number at the agent's end."""
    direction: str = "inbound"
    """See `Identity.direction`."""
