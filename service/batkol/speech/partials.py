"""The partials of a call on their way out: one debounce for each utterance that still speaks."""

from __future__ import annotations

from typing import NamedTuple

from batkol.speech.debounce import Debouncer
from batkol.speech.utterance import Utterance


class Due(NamedTuple):
    """A partial that goes out now."""

    utterance: Utterance
    text: str
    stability: float


class Partials:
    """`window` and `now` in seconds, of one clock."""

    __slots__ = ("_held", "_window")

    def __init__(self, *, window: float) -> None:
        self._window = window
        self._held: dict[int, tuple[Utterance, Debouncer, float]] = {}

    def tune(self, window: float) -> None:
        """Change the window, for what waits too."""
        self._window = window
        for _, debouncer, _ in self._held.values():
            debouncer.window = window

    @property
    def deadline(self) -> float | None:
        """Time at which `tick` has something to send, or None."""
        return min((d for _, held, _ in self._held.values() if (d := held.deadline) is not None), default=None)

    def offer(self, utterance: Utterance, text: str, stability: float, now: float) -> Due | None:
        """Take the newest text of an utterance; return it if it may go out at once."""
        held = self._held.get(utterance.index)
        debouncer = Debouncer(window=self._window) if held is None else held[1]
        self._held[utterance.index] = (utterance, debouncer, stability)
        sent = debouncer.offer(text, now)
        return None if sent is None else Due(utterance, sent, stability)

    def tick(self, now: float) -> list[Due]:
        """Return the partials whose time has come."""
        due = []
        for utterance, debouncer, stability in self._held.values():
            text = debouncer.tick(now)
            if text is not None:
                due.append(Due(utterance, text, stability))
        return due

    def forget(self, utterance: Utterance) -> None:
        """The final is there: what waits is not sent any more."""
        self._held.pop(utterance.index, None)
