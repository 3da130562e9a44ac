"""The table of a rehearsal, and its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from batkol.gonogo.checks import Check


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
