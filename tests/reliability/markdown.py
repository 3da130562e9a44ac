"""Tables in Markdown, and their place in a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

_LONGEST: Final = 110  # characters of a line of the log


def tables(head: Sequence[str], groups: Sequence[tuple[str, Sequence[Sequence[str]]]]) -> Iterator[str]:
    """Return the lines of one table a group, each a title and its rows; none of a group without rows."""
    for title, rows in groups:
        if rows:
            yield from ("", f"### {title}", "", _row(head), _row(["---"] * len(head)), *map(_row, rows))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def code(text: str) -> str:
    """Return the beginning of a line of the log, for a cell."""
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return f"`{short.replace('|', chr(92) + '|').replace('`', chr(39))}`"


def write(document: Path, table: str, *, begin: str, end: str) -> None:
    """Put the table between the markers. Raises `ValueError` if they are not there."""
    before, found, rest = document.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{document} has no place for the table: the lines {begin} and {end} are missing")
    document.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}")
