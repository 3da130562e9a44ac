"""The failure table of replies: `make faults ARGS=--replies`, each row in a process of its own kind."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from reliability import markdown, reply_table
from reliability.reply_rows import ROWS, named
from reliability.reply_trial import ReplyResult
from reliability.reply_trial import run as run_trial


def names(only: str = "") -> list[str]:
    """Return the names of the rows that contain a text."""
    return [row.name for row in ROWS if only in row.name]


def trial(name: str) -> ReplyResult:
    """Run a row in this process."""
    with tempfile.TemporaryDirectory() as live:
        return asyncio.run(run_trial(named(name), Path(live) / "live"))


def run(chosen: Sequence[str], jobs: int, *, document: Path | None = None) -> bool:
    """Run rows, tell of them, write the table where there is a document; return whether all are as they must be.

    The clock counts here: what is late is wrong. Jobs at once are half as many as for words, to leave the machine idle.
    """
    if not chosen:
        return True
    found: list[ReplyResult] = []
    with ProcessPoolExecutor(max(1, jobs // 2), mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(trial, name) for name in chosen]):
            result = done.result()
            found.append(result)
            wrong = result.problems or result.late
            print(*(reply_table.details(result) if wrong else [reply_table.line(result)]), sep="\n       ", flush=True)  # noqa: T201
    found.sort(key=lambda result: list(chosen).index(result.name))
    print(reply_table.totals(found), flush=True)  # noqa: T201  the command's answer
    if document is not None:
        last = {result.name: result for result in found}
        text = reply_table.markdown(list(last.values()))
        markdown.write(document, text, begin=reply_table.BEGIN, end=reply_table.END)
    return not any(result.problems or result.late for result in found)
