"""The choice of a streaming recognizer for one call: the one it prefers, else the next one in the configured order.

Three things keep a call from a recognizer: its own cool-off, the recognizer's breaker, and its preference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from batkol.recognizers.streaming.errors import Next, SpeechError
from batkol.speech.cooloff import CoolOff
from batkol.transcription.streaming_step import StreamingStep

EXPECTED = frozenset({Next.ROTATE, Next.REOPEN})
FOR_GOOD = frozenset({Next.MISCONFIGURED, Next.REMODEL})


class RecognizerChoice:
    """One per call. `now` in seconds of one clock.

    `steps` gives those in force, in their order, as one tuple until that changes; `flag` the preferred name, or None.
    """

    __slots__ = ("_cool_offs", "_flag", "_made_of", "_preferred", "_steps")

    def __init__(self, steps: Callable[[], tuple[StreamingStep, ...]], flag: Callable[[], str | None]) -> None:
        self._steps = steps
        self._flag = flag
        self._preferred = ""
        self._made_of = steps()
        self._cool_offs: defaultdict[str, CoolOff] = defaultdict(CoolOff)

    def ask_flag(self) -> None:
        """Try the recognizer first that the flag names now. A name that is not in force changes nothing."""
        self._made_of, name = self._steps(), self._flag()
        if any(step.name == name for step in self._made_of):
            self._preferred = name or ""

    @property
    def outdated(self) -> bool:
        """Whether others are in force, or in another order, than when the flag was asked."""
        return self._made_of is not self._steps()

    def best(self, now: float) -> StreamingStep | None:
        """Return the recognizer to be used; takes its breaker's probe if that is what it takes. None: there is none."""
        return next((step for step in self._order if self._allows(step, now)), None)

    def better_than(self, wanted: str, hearing: str, now: float) -> StreamingStep | None:
        """Return a recognizer that goes before the wanted one and may be used; takes its breaker's probe.

        The one that hears the call needs none: the call comes back to it when the wanted one is wanted no longer.
        """
        for step in self._order:
            if step.name == wanted:
                return None
            if step.name == hearing or self._allows(step, now):
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

    @property
    def _order(self) -> Sequence[StreamingStep]:
        steps = self._steps()
        if not steps or steps[0].name == self._preferred:
            return steps
        return sorted(steps, key=lambda step: step.name != self._preferred)

    def _allows(self, step: StreamingStep, now: float) -> bool:
        return self._cool_offs[step.name].allows(now) and step.breaker.allows(now)
