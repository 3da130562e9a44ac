"""Doubts about an event that a receiver does not take: the receiver may be away, or the event at fault.

Many streams that wait look like a receiver that is away, and may be events that it can never take: its program fails
for each of a type, say, and answers 500. The first must cost little, the second must not keep everything else from
arriving. Pure, for one drainer at a time: the caller brings the clock, and a pod that begins has no doubts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from batkol.sinks.delivery import Delivered, DeliveryOutcome, Later, Refused
from batkol.sinks.limits import DrainerLimits
from batkol.sinks.settling import Tried
from batkol.sinks.stored import StoredEvent


class NewEvents:
    """Limits of new events while many streams wait."""

    def __init__(self, limits: DrainerLimits) -> None:
        self._limits = limits
        self._in_a_row = limits.away_after  # new events that were not taken, with none taken between them
        self._probe_at = 0.0

    def begin(self, held: Collection[str], now: float) -> None:
        """Begin anew: where many streams wait already, that is a receiver that is away, until it takes a new event."""
        self._in_a_row = self._limits.away_after
        self._probe_at = now + self._limits.new_probe_s if len(held) >= self._limits.held_streams else 0.0

    def may_begin(self, held: Collection[str], now: float) -> bool:
        """Return whether any new event may be tried now."""
        return not self._seems_away(held) or now >= self._probe_at

    def chosen(self, events: Sequence[StoredEvent], held: Collection[str], now: float) -> Sequence[StoredEvent]:
        """Return those that are read now: of a receiver that seems to be away, up to the first that would be tried."""
        if not self._seems_away(held):
            return events
        tried = (place for place, each in enumerate(events) if each.data is not None and each.stream_sid not in held)
        first = next(tried, None)
        if first is None:
            return events
        self._probe_at = now + self._limits.new_probe_s  # it may be on the way for long
        return events[: first + 1]

    def learn(self, tried: Tried, now: float) -> None:
        """Take note of what became of new events."""
        for _, outcome in tried:
            self._in_a_row = self._in_a_row + 1 if isinstance(outcome, Later) else 0
        if tried:
            self._probe_at = now + self._limits.new_probe_s

    def _seems_away(self, held: Collection[str]) -> bool:
        return len(held) >= self._limits.held_streams and self._in_a_row >= self._limits.away_after


class Away:
    """The receiver as it takes nothing: streams that failed, with no event taken in between."""

    def __init__(self, limits: DrainerLimits) -> None:
        self._limits = limits
        self._failed: set[str] = set()
        self._probes = 0

    @property
    def is_likely(self) -> bool:
        """Whether so many streams failed that it is the receiver: one alone tries then whether it is back."""
        return len(self._failed) >= self._limits.away_after

    def learn(self, tried: Tried) -> bool:
        """Take note of what became of events; return whether a receiver that took none takes them again."""
        if not any(isinstance(outcome, Delivered | Refused) for _, outcome in tried):
            self._failed.update(event.stream_sid for event, _ in tried)
            return False
        is_back, self._probes = bool(self._failed), 0
        self._failed.clear()
        return is_back

    def probe_s(self) -> float:
        """Return the wait before the next attempt with a receiver that is likely away; each is longer."""
        self._probes += 1
        return self._limits.retry.wait_s(self._probes - 1)


class Untakeable:
    """The events that wait although the receiver takes others, again and again."""

    def __init__(self, limits: DrainerLimits) -> None:
        self._limits = limits
        self._taken = 0  # events that the receiver has taken
        self._failures: dict[str, tuple[int, int, int]] = {}
        """By stream: the position of its event, the attempts that failed after another was taken, and `_taken` then."""

    def begin(self) -> None:
        """Begin anew: what was taken meanwhile is not known."""
        self._failures.clear()

    def learn(self, tried: Tried) -> None:
        """Take note of what became of events that did not wait."""
        self._taken += sum(isinstance(outcome, Delivered) for _, outcome in tried)

    def judged(self, tried: Tried, held: Collection[str]) -> list[tuple[StoredEvent, DeliveryOutcome]]:
        """Return what became of events that waited, with a refusal for one that failed too often. `held`: all streams
        that wait."""
        self.learn(tried)
        self._failures = {stream: known for stream, known in self._failures.items() if stream in held}
        behind: set[str] = set()
        found: list[tuple[StoredEvent, DeliveryOutcome]] = []
        for event, outcome in tried:
            is_first = event.stream_sid not in behind
            behind.add(event.stream_sid)
            if is_first and isinstance(outcome, Later) and self._is_untakeable(event):
                why = f"It took other events between {self._limits.lone_attempts} attempts with this one"
                found.append((event, Refused(f"{outcome.reason}. {why}")))
            else:
                found.append((event, outcome))
        return found

    def _is_untakeable(self, event: StoredEvent) -> bool:
        """Count a failure, if the receiver has taken another event since the last one."""
        position, failures, taken = self._failures.get(event.stream_sid, (0, 0, 0))
        if position != event.at.position:
            failures, taken = 0, -1
        if self._taken > taken:
            failures += 1
        self._failures[event.stream_sid] = event.at.position, failures, self._taken
        return failures >= self._limits.lone_attempts
