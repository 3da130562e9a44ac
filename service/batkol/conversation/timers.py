"""Named deadlines of one machine: set, cancelled, and taken in the order in which they are due."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

LATE_S: Final = 0.25
"""Seconds by which something is so late that the media, or the process, has stood still, and was not merely busy."""
_ORDER_S: Final = 1e-6
"""Seconds between deadlines that are put off together, which keeps their order."""


class Timer(StrEnum):
    """Deadlines of the turn table."""

    GUESS = "guess"  # a pause is given time to end before the answerer is asked
    DROP = "drop"  # an attempt is kept while speech goes on
    PATIENCE = "patience"  # an unfinished ending is given time
    REJOIN = "rejoin"  # speech before the reply is given time for its words
    FILLER = "filler"
    APOLOGY = "apology"
    WORDLESS = "wordless"  # an interruption is given time for its words
    STANDING = "standing"  # a text is given time to change
    IDLE = "idle"
    KEYS = "keys"  # an entry is given time for its next key
    END = "end"  # a step of the end of the call
    TOOLS = "tools"  # tool calls wait for the final of the words that they were called for
    GIVE_WAY = "give way"  # an announcement gives way to speech that brings nothing new


class Timers:
    """The deadlines that are set, in seconds of one clock."""

    __slots__ = ("_due", "deadline")

    def __init__(self) -> None:
        self._due: dict[Timer, float] = {}
        self.deadline: float | None = None
        """The earliest deadline. It is asked for several times an input, and changes less often."""

    def set(self, timer: Timer, at: float) -> None:
        """Set a deadline; it replaces the one of the same name."""
        self._due[timer] = at
        self.deadline = min(self._due.values())

    def cancel(self, *timers: Timer) -> None:
        """Cancel deadlines that may be set."""
        due, before = self._due, len(self._due)
        if not due:
            return
        for timer in timers:
            due.pop(timer, None)
        if len(due) != before:
            self.deadline = min(due.values(), default=None)

    def due(self, timer: Timer) -> float | None:
        """Return a deadline; None if it is not set."""
        return self._due.get(timer)

    def is_set(self, timer: Timer) -> bool:
        return timer in self._due

    def clear(self) -> None:
        """Cancel every deadline but the one of an entry of keys, which ends whatever else happens."""
        keys = self._due.get(Timer.KEYS)
        self._due = {} if keys is None else {Timer.KEYS: keys}
        self.deadline = keys

    def put_off(self, now: float, until: float) -> None:
        """Put off what is due until then, in its order."""
        late = sorted((at, timer) for timer, at in self._due.items() if at <= now)
        self._due |= {timer: until + place * _ORDER_S for place, (_, timer) in enumerate(late)}
        self.deadline = min(self._due.values(), default=None)

    def take(self, now: float) -> Timer | None:
        """Take the earliest of the deadlines that are due; None if there is none."""
        if self.deadline is None or self.deadline > now:
            return None
        timer = min(self._due, key=lambda each: (self._due[each], each))
        self.cancel(timer)
        return timer
