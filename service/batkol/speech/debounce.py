"""Spaces partials out: at most one in a window, and never an old one.

A partial goes out at once if the last went out long enough ago. Otherwise it waits, a newer one takes its place,
and the newest goes out when the window ends (the trailing edge: a debounce without it forgets the last words of a
burst). The same text twice is silence. A final cancels what waits.
"""

from __future__ import annotations


class Debouncer:
    """One per utterance. `window` and `now` in seconds, of one clock."""

    __slots__ = ("_last_sent", "_sent", "_waiting", "window")

    def __init__(self, *, window: float) -> None:
        self.window = window
        self._last_sent = float("-inf")
        self._sent = ""
        self._waiting: str | None = None

    @property
    def deadline(self) -> float | None:
        """Time at which `tick` has something to send, or None."""
        return None if self._waiting is None else self._last_sent + self.window

    def offer(self, text: str, now: float) -> str | None:
        """Take the newest partial; return it if it may go out at once."""
        self._waiting = None if text == self._sent else text
        return self.tick(now)

    def tick(self, now: float) -> str | None:
        """Return the partial whose time has come, if any."""
        if self._waiting is None or now < self._last_sent + self.window:
            return None
        self._sent, self._waiting, self._last_sent = self._waiting, None, now
        return self._sent

    def cancel(self) -> None:
        """Discard the waiting interim: the final replaces it."""
        self._waiting = None
