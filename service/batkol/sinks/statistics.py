"""Statistics of sinks, as one pod sees them: for its status and its metrics."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from batkol.sinks.stored import Backlog


class SinkState(StrEnum):
    """States of a sink in a pod."""

    STOPPED = "stopped"  # the task does not run: it has not begun, or has died and is started again
    WAITING = "waiting"  # for the database
    STANDBY = "standby"  # another pod hands the events on
    DELIVERING = "delivering"  # this pod does


class SinkStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One sink, as one pod sees it. Counters count since the start of the process, in this pod."""

    name: str
    state: str
    pod: str
    """The pod that hands the events on, or did last; empty: not known."""
    fault: str
    """The fault of the last delivery, or of the database; empty: there is none."""
    delivered: int
    """Events that the receiver has taken."""
    retries: int
    """Times that an event, and what is behind it in its stream, had to wait for another attempt."""
    refused: int
    """Events that the receiver will never take."""
    delay_s: float | None
    """Seconds from the newest delivered event to its delivery, by the clocks of two pods; None: there was none."""
    held_back_s: float
    """Seconds for which events have waited for another transaction of the database server; 0: none do."""
    backlog: Backlog | None
    """None for a pod that does not hand the events on: so that a sum over the pods counts each event once."""
