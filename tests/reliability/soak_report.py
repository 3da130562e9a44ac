"""The soak in print: how it goes, what each call went through, and the verdict."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table

from reliability.soak_readings import Reading
from reliability.soak_run import Findings, Line, Plan
from reliability.soak_streams import rotations
from reliability.soak_verdict import Demand, memory, of_words, verdict

_BAR: Final = 72
_FAULTS: Final = 20  # of one call, told of one by one

_console = Console(highlight=False, markup=False, emoji=False, width=None if Console().is_terminal else 150)


def print_heading(plan: Plan) -> None:
    window = plan.window
    _console.print(
        f"{plan.calls} calls of {plan.seconds / 60:g} min; streams are replaced between {window.after_s:g} and "
        f"{window.by_s:g} s, and ended by the double at {window.limit_s:g} s\n"
    )
    _console.print("  time   RSS MB  tasks  streams   fds  threads   words heard")


def print_reading(elapsed_s: float, reading: Reading, heard: int) -> None:
    """One line of the timeline."""
    _console.print(
        f" {_clock(elapsed_s):>5}  {reading.rss_kb / 1024:7.1f}  {reading.tasks:5d}  {reading.streams:7d}"
        f"  {reading.fds:4d}  {reading.threads:7d}  {heard:12d}"
    )


def print_findings(found: Findings) -> int:
    """Print everything; returns the exit status."""
    _print_calls(found)
    _print_streams(found)
    _print_memory(found)
    for (level, text), count in sorted(found.complaints.items()):
        _console.print(f"  log: {level} × {count}: {text}")
    demands = verdict(found)
    _print_verdict(demands)
    return 0 if all(demand.met for demand in demands) else 1


def _print_calls(found: Findings) -> None:
    table = Table("caller", "min", "said", "lost", "doubled", "misattr.", "finals by source", "streams", "late ms")
    for line in found.lines:
        words, ended = of_words(line), line.watch.ended
        sources = dict(sorted(ended.finals.items())) if ended is not None else {}
        table.add_row(
            str(line.part.manner),
            f"{line.report.frames_sent * 0.02 / 60:.1f}",
            *(str(count) for count in (words.said, words.lost, words.doubled, words.misattributed)),
            " ".join(f"{source} {count}" for source, count in sources.items()),
            str(len(line.streams)),
            f"{line.report.latest * 1000:.0f}",
        )
    _console.print()
    _console.print(table)
    _console.print(f"  single requests: {found.singles}\n")
    for number, line in enumerate(found.lines):
        for fault in of_words(line).faults[:_FAULTS]:
            _console.print(f"  caller {number}: {fault}")


def _print_streams(found: Findings) -> None:
    """A bar a call: `┼` where a stream took over at a good moment, `╪` where it was forced, `·` for the hold."""
    for line in found.lines:
        bar = ["─"] * _BAR
        for begin_ms, length_ms in line.part.holds:
            first, last = (_column(found, at / 1000) for at in (begin_ms, begin_ms + length_ms))
            bar[first:last] = "·" * (last - first)
        told = []
        for one in rotations(line.streams, found.plan.window):
            bar[_column(found, one.at - line.report.media_start)] = "╪" if one.forced else "┼"
            told.append(f"{one.old_lived_s:.1f} s{' forced' if one.forced else ''} ({one.overlap_s * 1000:+.0f} ms)")
        _console.print(f"  {_name(line):<16} {''.join(bar)}  {', '.join(told) or 'one stream'}", soft_wrap=True)
    _console.print()


def _print_memory(found: Findings) -> None:
    most = max(reading.rss_kb for reading in found.readings)
    growth = memory(found)
    _console.print(
        f"  memory: {found.idle.rss_kb / 1024:.1f} MB idle, {most / 1024:.1f} at most, "
        f"{found.after.rss_kb / 1024:.1f} after; "
        + ("too short a soak for its slope" if growth is None else f"in the second half {growth}")
    )


def _print_verdict(demands: list[Demand]) -> None:
    _console.print()
    for demand in demands:
        _console.print(f"  {'✔' if demand.met else '✘'} {demand.text}: {demand.figure}", soft_wrap=True)
    _console.print(f"\n  {'PASSED' if all(demand.met for demand in demands) else 'FAILED'}")


def _column(found: Findings, seconds: float) -> int:
    return max(0, min(_BAR - 1, int(seconds / found.plan.seconds * _BAR)))


def _name(line: Line) -> str:
    return str(line.part.manner)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
