"""The fault matrix as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reliability.markdown import code, tables
from reliability.trial import Result

BEGIN: Final = "<!-- fault matrix: begin (make faults ARGS=--write) -->"
END: Final = "<!-- fault matrix: end -->"

GROUPS: Final = {
    "limit": "Google's stream limit",
    "ends": "Streams that end or stall",
    "network": "The network to Google",
    "media": "What comes from Twilio",
    "answers": "What Google answers",
    "times": "How Google times words: the pause belongs to the word after it",
    "refusals": "What Google refuses",
    "operations": "What operators and callers do meanwhile",
    "flips": "Each class of fault, and the flag flipped off and on again meanwhile",
    "drains": "Each class of fault, and the pod drained (SIGTERM) meanwhile",
}
SONIOX_GROUPS: Final = {
    "soniox": "Soniox alone, and Google's single requests behind it",
    "recognizers": "Soniox and Google's streams, one behind the other",
    "recognizers-flips": "The same, and the flag `streaming-stt` flipped off and on again meanwhile",
    "recognizers-drains": "The same, and the pod drained (SIGTERM) meanwhile",
}
_HEAD: Final = (
    "row",
    "what happens",
    "words",
    "lost / doubled / misattributed",
    "in first finals",
    "streams",
    "final latency p50 / p95, ms",
    "finals from",
    "fallbacks",
    "the log said first",
    "status said",
)


def markdown(results: Sequence[Result]) -> str:
    """Return one table a group, and a line with the totals."""
    titles = {**GROUPS, **SONIOX_GROUPS}.items()
    groups = [(title, [_of(result) for result in results if result.group == group]) for group, title in titles]
    return "\n".join([totals(results), *tables(_HEAD, groups)])


def totals(results: Sequence[Result]) -> str:
    """Say it in a sentence."""
    records = [result.record for result in results]
    sent, lost, doubled, astray = (
        sum(getattr(record, name) for record in records) for name in ("sent", "lost", "doubled", "misattributed")
    )
    right = sum(result.right for result in results)
    return (
        f"{right} of {len(results)} rows as they must be; "
        f"{sent} words said, {lost} lost, {doubled} doubled, {astray} misattributed."
    )


def line(result: Result) -> str:
    """Return a result as one line of a terminal."""
    mark = "ok  " if result.right else "FAIL"
    record, first = result.record, result.first
    sources = " ".join(f"{count}×{source}" for source, count in sorted(result.sources.items()))
    return (
        f"{mark} {result.name:31} {record.sent:3} words {record!s:8} first {first!s:8} "
        f"{result.streams:2} streams {_latency(result):>13} ms  {sources}"
    )


def details(result: Result) -> list[str]:
    """Return why a row is not as it must be."""
    words = " ".join(result.record.words)
    return [
        *([f"words: {words}"] if words else []),
        *result.problems,
        *(f"log: {said}" for said in result.warnings),
        *(f"status: {said}" for said in result.status),
        *result.story,
    ]


def _of(result: Result) -> Sequence[str]:
    record, first = result.record, result.first
    return (
        f"`{result.name}`",
        result.what,
        str(record.sent),
        f"{record.lost} / {record.doubled} / {record.misattributed}" + ("" if result.right else " ✗"),
        f"{first.lost} / {first.doubled}",
        str(result.streams),
        _latency(result),
        ", ".join(f"{source} {count}" for source, count in sorted(result.sources.items())),
        str(result.fallbacks),
        code(result.warnings[0]) if result.warnings else "",
        "; ".join(code(said) for said in result.status),
    )


def _latency(result: Result) -> str:
    if result.latency_p50_ms is None or result.latency_p95_ms is None:
        return "–"
    return f"{result.latency_p50_ms:.0f} / {result.latency_p95_ms:.0f}"
