"""The fault matrix as a Markdown table, and its place in a document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

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
_LONGEST: Final = 110  # characters of a line of the log


def markdown(results: Sequence[Result]) -> str:
    """Return one table a group, and a line with the totals."""
    parts = [totals(results)]
    for group, title in GROUPS.items():
        rows = [result for result in results if result.group == group]
        if rows:
            parts += ["", f"### {title}", "", _row(_HEAD), _row(["---"] * len(_HEAD)), *map(_of, rows)]
    return "\n".join(parts)


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


def write(document: Path, table: str, *, begin: str = BEGIN, end: str = END) -> None:
    """Put the table between the markers. Raises `ValueError` if they are not there."""
    before, found, rest = document.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{document} has no place for the table: the lines {begin} and {end} are missing")
    document.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}")


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


def _of(result: Result) -> str:
    record, first = result.record, result.first
    cells = (
        f"`{result.name}`",
        result.what,
        str(record.sent),
        f"{record.lost} / {record.doubled} / {record.misattributed}" + ("" if result.right else " ✗"),
        f"{first.lost} / {first.doubled}",
        str(result.streams),
        _latency(result),
        ", ".join(f"{source} {count}" for source, count in sorted(result.sources.items())),
        str(result.fallbacks),
        _code(result.warnings[0]) if result.warnings else "",
        "; ".join(_code(said) for said in result.status),
    )
    return _row(cells)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return f"`{short.replace('|', chr(92) + '|').replace('`', chr(39))}`"


def _latency(result: Result) -> str:
    if result.latency_p50_ms is None or result.latency_p95_ms is None:
        return "–"
    return f"{result.latency_p50_ms:.0f} / {result.latency_p95_ms:.0f}"
