"""The fault matrix: `make faults`, or `python tests/reliability/matrix.py --only rotation`.

With `--replies` an agent answers every caller meanwhile, and the failure table of replies follows (`reply_rows`).

Every row is a real service, a real double and real sockets in a process of its own kind: a few processes take one row
after the other. Ends with 1 unless every word of every row is in its place.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))  # `reliability` and `support`, as pytest finds them

from reliability import markdown, reply_matrix, table
from reliability.scenario import Scenario
from reliability.scenarios import ALL, SCENARIOS, WITH_SONIOX, named
from reliability.trial import Result, left_behind, run

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
SONIOX_DOCUMENT = DOCUMENT.with_name("soniox.md")
PAGES = ((DOCUMENT, SCENARIOS), (SONIOX_DOCUMENT, WITH_SONIOX))
"""Where the table of which rows is."""

REPLIES = {"agent_replies": True, "answerer": "echo", "voice": "builtin"}
"""Settings with which an agent answers each caller, who often speaks into the reply: hearing must be the same."""


def trial(name: str, *, replies: bool = False) -> Result:
    """Run a row in this process."""
    row = named(name)
    if replies:
        row = dataclasses.replace(row, settings={**row.settings, **REPLIES})
    with tempfile.TemporaryDirectory() as live:
        return asyncio.run(_alone(row, Path(live)))


async def _alone(scenario: Scenario, live: Path) -> Result:
    result = await run(scenario, live)
    left = [f"left behind: {task}" for task in left_behind()]
    return msgspec.structs.replace(result, problems=[*result.problems, *left])


def results(names: Sequence[str], jobs: int, *, replies: bool = False) -> Iterator[Result]:
    """Run rows in processes of their own; yield what comes, as it comes."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running: list[Future[Result]] = [pool.submit(trial, name, replies=replies) for name in names]
        for done in as_completed(running):
            yield done.result()


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description="Every fault, and what became of every word.")
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="rows whose name contains it")
    parser.add_argument("--times", type=int, default=1, help="run each row so often; the table shows the last one")
    parser.add_argument("--jobs", type=int, default=4, help="processes at once")
    parser.add_argument("--write", action="store_true", help="update the tables whose rows were all run")
    parser.add_argument("--log", action="store_true", help="print the whole log of each row")
    parser.add_argument("--verbose", action="store_true", help="tell the story of every row, not only of wrong ones")
    parser.add_argument(
        "--replies",
        nargs="?",
        const="too",
        choices=["too", "only"],
        help="have an agent answer every caller meanwhile, and run the failure table of replies, or that one only",
    )
    given = parser.parse_args()
    names = [row.name for row in ALL if given.only in row.name and given.replies != "only"]
    replies = reply_matrix.names(given.only) if given.replies else []
    if not names and not replies:
        parser.error(f"no row's name contains {given.only!r}")
    well = reply_matrix.run(replies * given.times, given.jobs, document=DOCUMENT if given.write else None)
    return 0 if _hearing(names, given) and well else 1


def _hearing(names: Sequence[str], given: argparse.Namespace) -> bool:
    """Run the rows about words, tell of them, and return whether all are as they must be."""
    if not names:
        return True
    begun = time.monotonic()
    found: list[Result] = []
    for result in results(names * given.times, given.jobs, replies=bool(given.replies)):
        found.append(result)
        print(table.line(result), flush=True)  # noqa: T201  the command's answer
        if given.verbose or not result.right:
            print(*(f"       {detail}" for detail in table.details(result)), sep="\n", flush=True)  # noqa: T201
        if given.log:
            print(*(f"       {entry}" for entry in result.log), sep="\n", flush=True)  # noqa: T201
    found.sort(key=lambda result: names.index(result.name))
    print(f"{table.totals(found)} {time.monotonic() - begun:.0f} s.")  # noqa: T201
    if given.write and not given.replies:  # the table of words is of callers whom nobody answers
        _write({result.name: result for result in found})
    return all(result.right for result in found)


def _write(last: Mapping[str, Result]) -> None:
    """Update the pages: a table is of one run, so those that lack a row stay as they are."""
    for document, rows in PAGES:
        if all(row.name in last for row in rows):
            text = table.markdown([last[row.name] for row in rows])
            markdown.write(document, text, begin=table.BEGIN, end=table.END)


if __name__ == "__main__":
    sys.exit(main())
