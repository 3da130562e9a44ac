"""Limits and waits of the drainers; a test passes in shorter ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from batkol.backoff import Backoff

RETRY: Final = Backoff(first_s=1.0, longest_s=30.0)
RECONNECT: Final = Backoff(first_s=0.1, longest_s=10.0)


@dataclass(frozen=True, slots=True)
class DrainerLimits:
    """Times in seconds."""

    retry: Backoff = RETRY
    """Waits of a stream whose event is to be tried later, and of a receiver that takes nothing."""
    reconnect: Backoff = RECONNECT
    """Waits for a database that is away."""
    poll_s: float = 1.0
    """Without a notification the outbox is looked at this often."""
    look_s: float = 2.0
    """A pod that does not hand on a sink's events tries this often to become the one that does."""
    held_back_s: float = 0.05
    """The outbox is looked at this often while events wait for a transaction to end."""
    backlog_s: float = 5.0
    """Waiting events are counted this often."""
    young_s: float = 0.1
    """Streams that are on the way for no longer are waited for before more are begun: their outcomes are noted at once.
    The others are slow, and go on beside what is new."""
    lane_s: float = 5.0
    """A stream that was read longer ago is read again before its next event, also after a wait for its turn: it may
    have been erased meanwhile."""
    deliver_s: float = 60.0
    """A sink that has not given the outcome of an event by then is given up for this time."""
    held_streams: int = 100
    """Streams that may wait for a sink that seems to be away before it gets no new events, of whatever stream."""
    away_after: int = 16
    """A sink that did not take so many new events in a row, or that failed for so many streams, seems to be away."""
    new_probe_s: float = 60.0
    """A new event is tried this often with a sink that seems to be away: the events that wait may be at fault."""
    lone_attempts: int = 200
    """Attempts with one event, between which the sink took others, before it is a dead letter: more than an hour."""
    failing_share: float = 0.5
    """Share of what a sink may have on the way that streams which failed may take: one that hangs takes its time."""


LIMITS: Final = DrainerLimits()
