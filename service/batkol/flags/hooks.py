"""Hooks of every flag evaluation: a count, and a log line when the decision differs from the one before.

The context (phone numbers) is never logged; the call SID is on the log line already, where a call is being
served.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any, Protocol

import structlog
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.hook import Hook, HookContext, HookHints

CALLS_REMEMBERED = 4096  # far more than a pod carries at once

log = structlog.get_logger()


class EvaluationCounter(Protocol):
    """A counter of evaluations: Prometheus, OpenTelemetry, a test. Called from the evaluating thread."""

    def count(self, *, flag: str, variant: str, reason: str) -> None:
        """Count one. `variant` is empty where none was resolved; `reason` is OpenFeature's (`STATIC`…)."""
        ...


class DecisionHook(Hook):
    """Counts every evaluation by variant and reason; logs a call's flips, and combinations not met before.

    What was decided for a call is remembered for the last `calls` of them.
    """

    def __init__(self, counter: EvaluationCounter | None = None, calls: int = CALLS_REMEMBERED) -> None:
        self._calls = calls
        self.counter = counter
        self.evaluations: Counter[tuple[str, str, str]] = Counter()  # flag, variant, reason
        self._last: dict[tuple[str, str], tuple[str, str]] = {}  # flag and call -> variant and reason
        self._lock = threading.Lock()

    def finally_after(
        self,
        hook_context: HookContext,
        details: FlagEvaluationDetails[Any],
        hints: HookHints,  # noqa: ARG002 - the SDK's signature
    ) -> None:
        """Run after every evaluation, also a failed one."""
        flag, variant, reason = details.flag_key, details.variant or "", str(details.reason or "UNKNOWN")
        with self._lock:
            met_before = self.evaluations[flag, variant, reason]
            self.evaluations[flag, variant, reason] = met_before + 1
            flipped = self._flipped(flag, hook_context.evaluation_context.targeting_key or "", (variant, reason))
        if self.counter is not None:
            self.counter.count(flag=flag, variant=variant, reason=reason)
        if flipped or not met_before:
            log.info(
                "[CFG] flag decision changed", flag=flag, variant=variant or None, reason=reason, during_call=flipped
            )

    def by_reason(self) -> dict[str, int]:
        """Sum the evaluations over flags and variants."""
        with self._lock:
            counts = list(self.evaluations.items())
        sums: Counter[str] = Counter()
        for (_, _, reason), count in counts:
            sums[reason] += count
        return dict(sums)

    def _flipped(self, flag: str, call_sid: str, decided: tuple[str, str]) -> bool:
        before = self._last.pop((flag, call_sid), None)
        self._last[flag, call_sid] = decided  # at the end: the dict is in order of use
        if len(self._last) > self._calls:
            del self._last[next(iter(self._last))]
        return before is not None and before != decided
