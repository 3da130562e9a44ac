"""The report of a rehearsal, for people and for programs: the table, what was heard, and the verdict."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from textwrap import indent

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from batkol.errors import BatkolError
from batkol.gonogo.checks import Check
from batkol.gonogo.heard import HeardText
from batkol.terminal_text import isolated


def table(checks: Sequence[Check]) -> Table:
    """One line a check, with its figure."""
    sheet = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "call", "check", "figure", "wanted"):
        sheet.add_column(heading, overflow="fold")
    part = ""
    for check in checks:
        if part and check.part != part:
            sheet.add_section()
        mark = Text("PASS", "green") if check.passed else Text("FAIL", "bold red")
        shown = "" if check.part == part else check.part
        sheet.add_row(mark, Text(shown), Text(check.name), Text(check.figure), Text(check.wanted, "dim"))
        part = check.part
    return sheet


def is_go(checks: Sequence[Check]) -> bool:
    """Whether everything passed; a rehearsal without checks is none."""
    return bool(checks) and all(check.passed for check in checks)


def show(console: Console, checks: Sequence[Check]) -> None:
    """Print the table and, as the last line, GO or NO-GO."""
    console.print(table(checks))
    for check in checks:
        if check.detail and not check.passed:
            console.print(Text(f"{check.part}, {check.name}:\n{indent(check.detail, '  ')}\n"), soft_wrap=True)
    if is_go(checks):
        console.print(Text("GO", "bold green"))
    else:
        failed = [check for check in checks if not check.passed]
        count = f"{len(failed)} of {len(checks)} checks failed" if failed else "nothing was checked"
        console.print(Text.assemble(("NO-GO", "bold red"), f"  {count}"))


class TextPage:
    """The report for people. `heard`: what was heard is in it."""

    def __init__(self, console: Console, *, heard: bool) -> None:
        self._console = console
        self._heard = heard

    def write_line(self, line: str) -> None:
        """Print what the rehearsal does."""
        self._console.print(f"· {line}", style="dim", highlight=False, markup=False, soft_wrap=True)

    def broke_off(self, checks: Sequence[Check]) -> None:
        """Print what was checked before an error."""
        if checks:
            self._console.print(table(checks))

    def failed(self, error: BatkolError) -> None:
        """Leave the error to the command, which prints it to stderr."""

    def show(self, checks: Sequence[Check], heard: Sequence[HeardText]) -> None:
        """Print the report; its last line is the verdict."""
        for each in heard if self._heard else ():
            detail = f"  ({each.detail})" if each.detail else ""
            self._console.print(Text(f"{each.part}, {each.who}: {isolated(each.shown)}{detail}"), soft_wrap=True)
        show(self._console, checks)


class JsonReport(msgspec.Struct, frozen=True):
    """The report for programs."""

    verdict: str  # `GO`, `NO-GO`, or `NOT REHEARSED`: then `error` says why
    checks: Sequence[Check] = ()
    heard: Sequence[HeardText] = ()
    error: str | None = None


class JsonPage:
    """One JSON object on the console; what the rehearsal does goes to stderr."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._checks: Sequence[Check] = ()

    def write_line(self, line: str) -> None:
        """Print what the rehearsal does."""
        print(f"· {line}", file=sys.stderr, flush=True)  # noqa: T201

    def broke_off(self, checks: Sequence[Check]) -> None:
        """Keep what was checked before an error."""
        self._checks = checks

    def failed(self, error: BatkolError) -> None:
        """Print the report of a rehearsal that was not carried out."""
        self._print(JsonReport("NOT REHEARSED", self._checks, error=str(error)))

    def show(self, checks: Sequence[Check], heard: Sequence[HeardText]) -> None:
        """Print the report."""
        self._print(JsonReport("GO" if is_go(checks) else "NO-GO", checks, heard))

    def _print(self, report: JsonReport) -> None:
        self._console.print(msgspec.json.encode(report).decode(), soft_wrap=True, markup=False, highlight=False)
