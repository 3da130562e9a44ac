"""The choice of a streaming recognizer for one call: the one it prefers, else the next one in the configured order.

Three things keep a call from a recognizer: its own cool-off, the recognizer's breaker, and its preference.
"""

from __future__ import annotations

from collections.abc import Sequence

from batkol.recognizers.streaming.errors import Next, SpeechError
from batkol.speech.cooloff import CoolOff
from batkol.transcription.streaming_step import StreamingStep

EXPECTED = frozenset({Next.ROTATE, Next.REOPEN})
FOR_GOOD = frozenset({Next.MISCONFIGURED, Next.REMODEL})


class RecognizerChoice:
    """One per call. `now` in seconds of one clock."""

    __slots__ = ("_cool_offs", "_order", "_steps")

    def __init__(self, steps: Sequence[StreamingStep]) -> None:
        self._steps = self._order = tuple(steps)
        self._cool_offs = {step.name: CoolOff() for step in steps}

    def prefer(self, name: str) -> None:
        """Ask that recognizer first from now on. A name that there is not is passed over."""
        first = tuple(step for step in self._steps if step.name == name)
        if first:
            self._order = (*first, *(step for step in self._steps if step.name != name))

    def best(self, now: float) -> StreamingStep | None:
        """Return the recognizer to be used; takes its breaker's probe if that is what it takes. None: there is none."""
        return next((step for step in self._order if self._allows(step, now)), None)

    def better_than(self, name: str, now: float) -> StreamingStep | None:
        """Return a recognizer that goes before that one and may be used again; takes its breaker's probe."""
        for step in self._order:
            if step.name == name:
                return None
            if self._allows(step, now):
                return step
        return None

    def has_another(self, name: str, now: float) -> bool:
        """Whether a recognizer other than that one could be used. Takes no probe."""
        return any(
            step.name != name and self._cool_offs[step.name].allows(now) and step.breaker.would_allow(now)
            for step in self._order
        )

    def instead_of(self, name: str, error: SpeechError, now: float) -> StreamingStep | None:
        """The recognizer has failed the call: let it rest, and return the one that takes over, or None.

        It rests at once where another one takes over, and else after several failures.
        """
        others = (step for step in self._order if step.name != name)
        other = next((step for step in others if self._allows(step, now)), None)
        if other is not None or error.next not in EXPECTED:
            self.fail(name, error, now, at_once=other is not None)
        return other

    def fail(self, name: str, error: SpeechError, now: float, *, at_once: bool = False) -> None:
        """Let the recognizer rest for this call: at once, or after several failures."""
        at_once = at_once or error.next is Next.COOL_OFF
        self._cool_offs[name].fail(now, for_good=error.next in FOR_GOOD, at_once=at_once)

    def succeed(self, name: str) -> None:
        """The recognizer gave a final: what was is forgiven."""
        self._cool_offs[name].succeed()

    def _allows(self, step: StreamingStep, now: float) -> bool:
        return self._cool_offs[step.name].allows(now) and step.breaker.allows(now)
