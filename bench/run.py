"""`make bench`: what a call costs, in one run, beside a floor, the naive design and pipecat.

The server under test has core 0 to itself; the load, the recognizer and this program share core 1. CPU is what the
operating system counted for the server's process between the opening and the closing of a window in which all calls
are up and talking, per call and second.

  bench/run.py                               everything, twenty minutes
  bench/run.py --only batkol --calls 50 --seconds 30
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import report
import tracing_cost
from accounting import usage
from cases import PEERS_PYTHON, Case, cases
from double import StreamLog
from findings import Heard, of_batkol, of_peer
from load import Plan, Result
from measured import Measured
from parties import Double, Load, Server, Sink, keep_to_load_core

TRACED_CALLS, TRACED_S, TRACED_ROUNDS = 50, 15.0, 5
OVERLOADED: Final = 0.70
"""Share of its core beyond which the load is no longer trusted to be on time: the run is invalid."""


async def measure(case: Case, *, seconds: float, folder: Path, sink: str) -> Measured:
    """Run one case from nothing to nothing; its traces, if any, go to `sink`."""
    async with Double(folder) as double, Server(case, double.endpoint, folder, sink) as server:
        before = usage(server.pid)
        plan = Plan(
            base_url=server.url,
            calls=case.calls,
            seconds=seconds,
            out=str(folder / "load.json"),
            events=("127.0.0.1", server.internal_port) if case.kind == "batkol" else None,
            ramp_s=max(2.0, case.calls / 20),
            after_s=8.0 if case.kind == "batkol" else 0.0,
        )
        async with Load(plan) as load:
            await load.says("open")
            opened = usage(server.pid)
            others = usage(load.pid), usage(double.pid)
            written = await server.written()
            await load.says("close")
            closed = usage(server.pid)
            others_after = usage(load.pid), usage(double.pid)
            written_after = await server.written()
            changes = await server.change_live() if case.kind == "batkol" else {}
            await load.says("done")
        told = await server.report()
        last = usage(server.pid)
    wall, result, logs = closed.at - opened.at, load.result(), double.logs()
    measured = Measured(
        name=case.name,
        kind=case.kind,
        calls=case.calls,
        ms_per_call_second=1000 * (closed.cpu_s - opened.cpu_s) / (wall * case.calls),
        seconds=wall,
        rss_before=before.rss_bytes,
        rss=closed.rss_bytes,
        rss_after=last.rss_bytes,
        threads=closed.threads,
        load_share=sum(b.cpu_s - a.cpu_s for a, b in zip(others, others_after, strict=True)) / wall,
        changes=changes,
        written=written_after.since(written) if written and written_after else None,
        heard=delivered(case, result, told, logs),
    )
    measured.invalid = measured.load_share > OVERLOADED
    measured.late_ms, measured.duty = 1000 * result.late_s, result.duty
    return measured


def delivered(case: Case, result: Result, told: Mapping[str, Any], logs: list[StreamLog]) -> Heard | None:
    """Return the words that the server delivered; the floor delivers none."""
    if case.kind == "floor":
        return None
    return of_batkol(result, logs) if case.kind == "batkol" else of_peer(result, told, logs)


async def run(given: argparse.Namespace) -> int:
    """Measure what was asked for, and print the report. Returns the exit status."""
    calls = [int(count) for count in given.calls.split(",")]
    wanted = set(given.only.split(",")) if given.only else None
    chosen = [case for case in cases(calls) if wanted is None or case.kind in wanted]
    report.print_heading(given.seconds)
    measured: dict[str, list[Measured]] = {case.slug: [] for case in chosen}
    tracing = None
    with tempfile.TemporaryDirectory(prefix="batkol-bench-") as temporary:
        root = Path(given.keep or temporary)
        async with Sink(root) as sink:
            for turn, case in by_turns(chosen):
                folder = root / f"{case.slug}-{turn}"
                folder.mkdir(parents=True, exist_ok=True)
                one = await measure(case, seconds=given.seconds, folder=folder, sink=sink.endpoint)
                report.print_progress(one)
                measured[case.slug].append(one)
        if any(case.traced for case in chosen):
            tracing = await tracing_cost.difference(TRACED_CALLS, TRACED_S, TRACED_ROUNDS)
    if not PEERS_PYTHON.exists() and (wanted is None or "pipecat" in wanted):
        print("pipecat+silero was not measured: `make bench-peers` installs it in a venv of its own (.venv-peers)")
    found = [Measured.of_turns(turns) for turns in measured.values()]
    report.print_tables(found)
    return report.print_verdict(found, tracing)


def by_turns(chosen: Sequence[Case]) -> Iterator[tuple[int, Case]]:
    """Yield every case once, then those that are measured again, and so on."""
    for turn in range(max((case.turns for case in chosen), default=0)):
        yield from ((turn, case) for case in chosen if turn < case.turns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the measured window")
    parser.add_argument("--calls", default="10,50,100", help="calls at once, of the service and the floor")
    parser.add_argument("--only", default="", help="kinds, comma-separated: floor, naive, batkol, pipecat")
    parser.add_argument("--keep", default="", help="folder for logs and raw results, kept")
    keep_to_load_core()
    sys.exit(asyncio.run(run(parser.parse_args())))


if __name__ == "__main__":
    main()
