"""Metrics of the agent's replies: how long callers wait for the first sound and for what, what fails, what is wasted.

Written on the event loop, for each reply and not for each piece of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from opentelemetry.trace import SpanContext

from batkol.telemetry.instruments import Counts, Histogram

HEARD: Final = "heard"
DROPPED: Final = "dropped"
FAILED: Final = "failed"
OUTCOMES: Final = (HEARD, DROPPED, FAILED)
"""The ends of an attempt: its first sound was written, it was thrown away before, or it gave no sound."""

REAL: Final = "real"
RESUMED: Final = "resumed"
INTERRUPTIONS: Final = (REAL, RESUMED)
"""The ends of an interruption: the reply is over, or it continued."""

ANSWER: Final = "answer"
"""The kind of a reply that the answerer gave; the others are announcements, and phrases of the agent's own."""

ANNOUNCEMENT: Final = "announcement"
"""The kind of a reply that the API said."""

_WHOLE_S: Final = (
    0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15,
    1.2, 1.25, 1.3, 1.35, 1.4, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 5.0, 10.0,
)  # fmt: skip
_PART_S: Final = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.5, 8.0,
)  # fmt: skip


class ReplySplit(Protocol):
    """The time from the caller's last sample to a reply's first sound, split into parts that follow each other."""

    @property
    def total(self) -> float: ...
    @property
    def text(self) -> float: ...
    @property
    def first_token(self) -> float: ...
    @property
    def first_piece(self) -> float: ...
    @property
    def first_sound(self) -> float: ...
    @property
    def commit(self) -> float: ...


class Variants(NamedTuple):
    """The names, in the settings, of who answered and who spoke: values of labels, so there are a few."""

    answerer: str = "default"
    voice: str = "default"


DEFAULT: Final = Variants()
NOBODY: Final = Variants("", "")
"""The variants of a reply that no answerer gave: a phrase, or an announcement."""
_ANSWERER: Final = "answerer_variant"
_VOICE: Final = "voice_variant"


class ReplyTimes:
    """Histograms of the latency of replies, and of its parts, by who answered and who spoke."""

    def __init__(self, *, exemplars: bool) -> None:
        def part(name: str, description: str, *labels: str) -> Histogram:
            return Histogram(f"batkol.reply.{name}", description, _PART_S, labels=labels, exemplars=exemplars)

        self.latency = Histogram(
            "batkol.reply.latency",
            "Time from the caller's last sample of speech to the first sound of the answer, in seconds.",
            _WHOLE_S,
            labels=(_ANSWERER, _VOICE),
            exemplars=exemplars,
        )
        self.text = part("text", "Time from the caller's last sample of speech to the request, in seconds.")
        self.first_token = part(
            "first_token", "Time from the request to the answerer's first text, in seconds.", _ANSWERER
        )
        self.first_piece = part(
            "first_piece", "Time from the answerer's first text to a piece that can be spoken, in seconds.", _ANSWERER
        )
        self.first_sound = part(
            "first_sound", "Time from the first piece to the voice's first sound, in seconds.", _VOICE
        )
        self.commit = part(
            "commit", "Time that the first sound waited for the end of the caller's turn to be certain, in seconds."
        )
        self.begin_at_zero((DEFAULT,))

    @property
    def buckets(self) -> tuple[Histogram, ...]:
        """All of them."""
        return self.latency, self.text, self.first_token, self.first_piece, self.first_sound, self.commit

    def begin_at_zero(self, variants: Iterable[Variants]) -> None:
        """Show the series of these variants before there are any values."""
        for each in variants:
            for histogram in self.buckets:
                histogram.of(*_values(histogram, each))

    def record(self, split: ReplySplit, span: SpanContext | None, variants: Variants = DEFAULT) -> None:
        """Count the latency of an answer. A part that is negative, because speech went on after it, counts as 0."""
        seconds = (split.total, split.text, split.first_token, split.first_piece, split.first_sound, split.commit)
        for histogram, each in zip(self.buckets, seconds, strict=True):
            histogram.record(max(0.0, each), span, _values(histogram, variants))


def _values(histogram: Histogram, variants: Variants) -> tuple[str, ...]:
    return tuple(variants.answerer if label == _ANSWERER else variants.voice for label in histogram.labels)


def _labels(variants: Variants) -> dict[str, str]:
    return {_ANSWERER: variants.answerer, _VOICE: variants.voice}


class ReplyCounts:
    """Counters of attempts at replies, of replies, and of what happens to them."""

    def __init__(self, counts: Callable[[str, str, str], Counts]) -> None:
        self._attempts = counts(
            "batkol.reply.attempts",
            "{attempt}",
            "Attempts at an answer that are over, by outcome; speculative: before the end of speech was certain.",
        )
        self._failures = counts(
            "batkol.reply.failures", "{failure}", "Answers that the answerer or the voice failed, by part and reason."
        )
        self._interruptions = counts(
            "batkol.reply.interruptions",
            "{interruption}",
            "Replies that a caller interrupted, by kind; resumed: no words followed, and the reply continued.",
        )
        self._replies = counts("batkol.replies", "{reply}", "Replies whose first sound was sent, by kind.")
        self._refused = counts(
            "batkol.reply.speculation_refused",
            "{attempt}",
            "Speculative attempts that the service did not make, because the budget of the pod was spent.",
        )
        self._hedges = counts(
            "batkol.reply.hedges",
            "{request}",
            "Requests to the second of two hedged answerers, by which of them answered first; refused: not sent.",
        )
        self._failovers = counts(
            "batkol.reply.failovers",
            "{request}",
            "Requests to the answerer behind another, by what was wrong with the first; resting: it was not asked.",
        )

    def begin_variants_at_zero(self, variants: Iterable[Variants]) -> None:
        """Show the series of these variants before they happen."""
        for each in variants:
            for outcome in OUTCOMES:
                for speculative in ("false", "true"):
                    self._attempts.add(0, {"outcome": outcome, "speculative": speculative, **_labels(each)})
            for kind in INTERRUPTIONS:
                self._interruptions.add(0, {"kind": kind, **_labels(each)})

    def begin_requests_at_zero(
        self, *, hedges: Iterable[tuple[str, str]], failovers: Iterable[tuple[str, str]]
    ) -> None:
        """Show the series of hedges (answerer, outcome) and failovers (answerer, reason) before they happen."""
        for answerer, outcome in hedges:
            self._hedges.add(0, {_ANSWERER: answerer, "outcome": outcome})
        for answerer, reason in failovers:
            self._failovers.add(0, {_ANSWERER: answerer, "reason": reason})

    def begin_at_zero(self, *, kinds: Iterable[str], failures: Iterable[tuple[str, str]]) -> None:
        """Show the series of these kinds of replies and of these failures (part, reason) before they happen."""
        self.begin_variants_at_zero((DEFAULT,))
        for kind in kinds:
            self._replies.add(0, {"kind": kind})
        for part, reason in failures:
            self._failures.add(0, {"part": part, "reason": reason})
        self._refused.add(0)

    def attempt(self, outcome: str, *, speculative: bool, variants: Variants = DEFAULT) -> None:
        """An attempt is over: see `OUTCOMES`."""
        self._attempts.add(1, {"outcome": outcome, "speculative": str(speculative).lower(), **_labels(variants)})

    def failed(self, part: str, reason: str) -> None:
        """A part of an attempt failed, before or after its first sound."""
        self._failures.add(1, {"part": part, "reason": reason})

    def interrupted(self, kind: str, variants: Variants = DEFAULT) -> None:
        """An interruption has turned out to be of this kind: see `INTERRUPTIONS`."""
        self._interruptions.add(1, {"kind": kind, **_labels(variants)})

    def hedged(self, answerer: str, outcome: str) -> None:
        """The second of two answerers was asked, or was not, because the budget was spent."""
        self._hedges.add(1, {_ANSWERER: answerer, "outcome": outcome})

    def failed_over(self, answerer: str, reason: str) -> None:
        """The answerer behind another was asked."""
        self._failovers.add(1, {_ANSWERER: answerer, "reason": reason})

    def replied(self, kind: str) -> None:
        """The first sound of a reply was written."""
        self._replies.add(1, {"kind": kind})

    def refused(self) -> None:
        """The budget of speculative attempts was spent."""
        self._refused.add(1)
