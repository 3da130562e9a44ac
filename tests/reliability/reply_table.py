"""The failure table of replies as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reliability.markdown import code, tables
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


def markdown(results: Sequence[ReplyResult]) -> str:
    """Return one table a group, and a line with the totals."""
    groups = [(title, [_of(result) for result in results if result.group == group]) for group, title in GROUPS.items()]
    return "\n".join([totals(results), *tables(_HEAD, groups)])


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


def _of(result: ReplyResult) -> Sequence[str]:
    return (
        f"`{result.name}`",
        result.what,
        " ".join(result.heard) + (" ✗" if result.problems else ""),
        " ".join(result.then_heard) or "–",
        f"{_s(result.first_s)} / {_s(result.answer_s)}",
        _s(result.then_s),
        str(result.asked),
        code(result.warnings[0]) if result.warnings else "",
    )


def _s(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.2f}"
