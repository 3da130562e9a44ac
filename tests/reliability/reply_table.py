"""The failure table of replies as Markdown, and its place in a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reliability.reply_rows import GROUPS
from reliability.reply_trial import ReplyResult

BEGIN: Final = "<!-- reply failures: begin (make faults ARGS='--replies=only --write') -->"
END: Final = "<!-- reply failures: end -->"

_HEAD: Final = (
    "row",
    "what happens",
    "the caller hears",
    "and after the second question",
    "first sound / answer, s",
    "second answer, s",
    "the model was asked",
    "the log said first",
)
_LONGEST: Final = 110  # characters of a line of the log


def markdown(results: Sequence[ReplyResult]) -> str:
    """Return one table a group, and a line with the totals."""
    parts = [totals(results)]
    for group, title in GROUPS.items():
        rows = [result for result in results if result.group == group]
        if rows:
            parts += ["", f"### {title}", "", _row(_HEAD), _row(["---"] * len(_HEAD)), *map(_of, rows)]
    return "\n".join(parts)


def totals(results: Sequence[ReplyResult]) -> str:
    """Say it in a sentence."""
    right = sum(not result.problems for result in results)
    late = sum(bool(result.late) for result in results)
    return f"{right} of {len(results)} rows as they must be; in {late} something was heard later than it must."


def line(result: ReplyResult) -> str:
    """Return a result as one line of a terminal."""
    mark = "FAIL" if result.problems else "late" if result.late else "ok  "
    return (
        f"{mark} {result.name:31} first {_s(result.first_s):>5} answer {_s(result.answer_s):>5} "
        f"then {_s(result.then_s):>5}  {' '.join(result.heard)} | {' '.join(result.then_heard)}"
    )


def details(result: ReplyResult) -> list[str]:
    """Return why a row is not as it must be."""
    return [line(result), *result.problems, *result.late, *(f"log: {said}" for said in result.warnings)]


def _of(result: ReplyResult) -> str:
    cells = (
        f"`{result.name}`",
        result.what,
        " ".join(result.heard) + (" ✗" if result.problems else ""),
        " ".join(result.then_heard) or "–",
        f"{_s(result.first_s)} / {_s(result.answer_s)}",
        _s(result.then_s),
        str(result.asked),
        _code(result.warnings[0]) if result.warnings else "",
    )
    return _row(cells)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _s(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.2f}"


def _code(text: str) -> str:
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return f"`{short.replace('|', chr(92) + '|').replace('`', chr(39))}`"
