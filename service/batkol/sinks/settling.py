"""The consequences of outcomes: what is to be noted of events after their delivery. Pure.

One that is `Later` holds its stream: what comes behind it in the stream waits, whatever became of it just now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from batkol.backoff import Backoff
from batkol.sinks.delivery import Delivered, DeliveryOutcome, Later, Refused
from batkol.sinks.stored import Held, Settlement, StoredEvent

LONGEST_ASKED_S: Final = 3600.0
"""Seconds that a receiver may ask for; a longer wait is cut to this one."""

NONE_WAITED: Final[Mapping[str, int]] = {}

Tried = Sequence[tuple[StoredEvent, DeliveryOutcome]]
"""Events in their order, with what became of them."""


def settled(tried: Tried, backoff: Backoff, failed: Mapping[str, int] = NONE_WAITED) -> Settlement:
    """Return what is to be noted of events. `failed` are the streams that were held, with their attempts so far."""
    done = Settlement()
    for event, outcome in tried:
        stream = event.stream_sid
        if stream in done.held and done.held[stream].reason:
            continue
        match outcome:
            case Later():
                before = 0 if stream in done.held else failed.get(stream, 0)
                done.held[stream] = _held(event, outcome, before, backoff)
                continue
            case Refused():
                done.refused[event.at.position] = outcome.reason
            case Delivered():
                done.delivered += 1
        if stream in failed:  # so far it is well; the rest of the stream is next
            done.held[stream] = Held(event.call_sid, event.at, 0, 0.0, is_asked=False, reason="")
    done.fault = _fault(tried)
    return done


def settled_again(tried: Tried, backoff: Backoff) -> Settlement:
    """Return what is to be noted of events that were sent again."""
    done = Settlement(fault=_fault(tried))
    later: set[str] = set()
    for event, outcome in tried:
        if event.stream_sid in later:
            continue
        match outcome:
            case Later():
                later.add(event.stream_sid)
                done.postponed[event.at.position] = _wait_s(outcome, event.attempts, backoff)
            case Refused():
                done.refused[event.at.position] = outcome.reason
            case Delivered():
                done.delivered += 1
                done.sent_again.append(event.at.position)
    return done


def _held(event: StoredEvent, later: Later, failures: int, backoff: Backoff) -> Held:
    return Held(
        call_sid=event.call_sid,
        behind=event.at.before,
        attempts=failures + 1,
        wait_s=_wait_s(later, failures, backoff),
        is_asked=later.after_s is not None,
        reason=later.reason or "the sink gave no reason",
    )


def _wait_s(later: Later, failures: int, backoff: Backoff) -> float:
    if later.after_s is None:
        return backoff.wait_s(failures)
    return min(max(later.after_s, 0.0), LONGEST_ASKED_S)


def _fault(tried: Tried) -> str | None:
    """Return why something waits or was refused; empty if all was delivered; None if nothing was tried."""
    reasons = [outcome.reason for _, outcome in tried if isinstance(outcome, Later)]
    reasons += [outcome.reason for _, outcome in tried if isinstance(outcome, Refused)]
    if reasons:
        return reasons[0]
    return "" if tried else None
