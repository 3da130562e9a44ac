"""The report: what was measured, then what it is held to."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from findings import Spread
from measured import Measured

REFERENCE_FLOOR_MS: Final = 1.2
"""The floor, in ms of CPU per call-second, of the machine on which the limits in absolute figures were set."""
LIMIT_MS: Final = 4.0
MOST_FLOORS: Final = LIMIT_MS / REFERENCE_FLOOR_MS
TRACING_MS: Final = 0.4
TENTATIVE_MS: Final = 360
"""From the caller's last sample to the tentative that the final confirms, p95, with interims 150 ms late."""
HELD: Final = ("batkol", "batkol storing")
"""Cases that have limits; the others are only printed."""
OF_NAIVE: Final = 1 / 2
OF_PIPECAT: Final = 1 / 8


def print_heading(seconds: float) -> None:
    """Say what this is measured on."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    print(f"{model.partition(':')[2].strip()}, Python {platform.python_version()}, windows of {seconds:.0f} s")
    print("server alone on core 0; callers, recognizer and this program on core 1\n", flush=True)


def print_progress(one: Measured) -> None:
    """One line as soon as a case is over."""
    print(f"  … {_title(one)}: {one.ms_per_call_second:.2f} ms CPU per call-second{_doubt(one)}", flush=True)


def print_tables(measured: Sequence[Measured]) -> None:
    """Print what was measured."""
    _table(
        "CPU and memory",
        "server|calls|ms/call-s|core 0|floors|RSS MB|MB/call|threads|load+STT|late ms",
        [_cpu(one, measured) for one in measured],
    )
    heard = [one for one in measured if one.heard is not None]
    _table(
        "Words and partials (record: after late finals corrected it)",
        "server|calls|spoken|lost|doubled|lost before correction|partials|expected|finals by source",
        [_words(one) for one in heard],
    )
    _table(
        "Added latency, ms: p50 / p99 (worst)",
        "server|calls|batch sent→at STT|offered→written|STT→event|STT→subscriber",
        [_latency(one) for one in heard],
    )
    _table(
        "What the caller waits for, ms",
        "server|calls|1st partial p50/p95|final p50/p95|cadence p50/p95|tuning|flag|talking",
        [_waits(one) for one in heard if one.kind == "batkol"],
    )
    _table(
        "Early text: tentatives after the caller's last sample, ms (interims 150 ms late)",
        "server|calls|confirmed p50/p95|final p50/p95|utterances|with a tentative|tentatives each|withdrawn|confirmed",
        [_early(one) for one in heard if one.kind == "batkol"],
    )
    print(
        "batch sent→at STT: from the caller's write of a batch's last byte to the recognizer's read of it, two\n"
        "processes and two sockets away. offered→written: the service's own histogram (upper bound of the bucket).\n"
        "STT→event: beyond the debounce. The recognizer sends finals as Google does, a median 0.88 s after speech;\n"
        "the service promotes the newest interim at 0.7 s. expected: what a debounce without delay lets through."
    )


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the verdict. `decides`: whether the exit status depends on it."""

    what: str
    figure: str
    limit: str
    holds: bool
    decides: bool


def print_verdict(measured: Sequence[Measured], tracing_ms: float | None) -> int:
    """Print the limits; return 1 if one of those that do not depend on the machine is missed."""
    checks = [check for one in measured if one.name in HELD for check in _checks(one, measured)]
    checks += _memory(measured) + _tracing(measured, tracing_ms)
    _table(
        "Verdict",
        "|what|measured|limit|",
        [
            (
                "ok" if check.holds else "MISSED",
                check.what,
                check.figure,
                check.limit,
                "" if check.decides else "(figure)",
            )
            for check in checks
        ],
    )
    print(
        "(figure): decides nothing; it depends on the machine. Limits in ms were\n"
        f"set where the floor is {REFERENCE_FLOOR_MS} ms per call-second: {LIMIT_MS} ms are {MOST_FLOORS:.2f} floors, "
        "and those decide."
    )
    for one in measured:
        if one.saturated:
            print(
                f"SATURATED: {_title(one)}: its core was full, so it fell behind; a call costs more than this figure."
            )
        if one.invalid:
            print(
                f"INVALID: {_title(one)}: the load took {one.load_share:.0%} of its core; its latencies mean nothing."
            )
    return 1 if any(check.decides and not check.holds for check in checks) else 0


def _checks(one: Measured, measured: Sequence[Measured]) -> list[Check]:
    checks = _costs(one, measured) if one.name == "batkol" else []  # the other stores for a thousand calls more
    heard = one.heard
    if heard is None:
        return checks
    lost = heard.words.lost + heard.words.extra
    checks.append(
        Check(f"{_title(one)}: words lost or doubled", f"{lost} of {heard.words.spoken}", "0", lost == 0, True)
    )
    if one.written is not None:
        checks.append(_at_most(one, "audio offered→written p99", one.written.quantile_ms(0.99), 20))
    checks += [
        _at_most(one, name, spread.p99, limit)
        for name, spread, limit in (
            ("audio sent→at STT p99", heard.audio, 20),
            ("STT→event p99", heard.response_made, 10),
            ("STT→subscriber p99", heard.response_read, 10),
        )
        if spread is not None
    ]
    if (took := heard.tentatives.took) is not None:
        checks.append(_at_most(one, "tentative p95", took.p95, TENTATIVE_MS))
    if heard.cadence is not None:
        median = heard.cadence.p50
        checks.append(
            Check(f"{_title(one)}: cadence of partials", f"{median:.0f} ms", "180–250 ms", 175 <= median <= 250, False)
        )
    checks += [_at_most(one, f"{what} changed → in effect", 1000 * took, 1000) for what, took in one.changes.items()]
    return checks


def _costs(one: Measured, measured: Sequence[Measured]) -> list[Check]:
    cost = one.ms_per_call_second
    checks = [
        Check(f"{_title(one)}: CPU per call-second", f"{cost:.2f} ms", f"{LIMIT_MS:.1f} ms", cost <= LIMIT_MS, False)
    ]
    for name, most in (("floor", MOST_FLOORS), ("naive", OF_NAIVE), ("pipecat+silero", OF_PIPECAT)):
        if (other := _beside(one, name, measured)) is not None:
            ratio = cost / other.ms_per_call_second
            figure = f"{ratio:.3f} × {other.ms_per_call_second:.2f} ms (at {other.calls} calls)"
            checks.append(Check(f"{_title(one)}: against {name}", figure, f"{most:.3f} ×", ratio <= most, True))
    return checks


def _at_most(one: Measured, what: str, figure_ms: float, limit_ms: float) -> Check:
    return Check(f"{_title(one)}: {what}", f"{figure_ms:.1f} ms", f"{limit_ms:.0f} ms", figure_ms <= limit_ms, False)


def _memory(measured: Sequence[Measured]) -> list[Check]:
    mine = sorted((one for one in measured if one.name == "batkol"), key=lambda one: one.calls)
    if len(mine) < 2:
        return []
    few, many = mine[0], mine[-1]
    slope = (many.rss - few.rss) / (many.calls - few.calls) / 2**20
    return [
        Check(f"batkol: memory per call ({few.calls}→{many.calls})", f"{slope:.2f} MB", "0.5 MB", slope <= 0.5, False)
    ]


def _tracing(measured: Sequence[Measured], alone_ms: float | None) -> list[Check]:
    """Check the cost of traces and metrics with a collector: alone, precisely, and as two whole services differ."""
    checks = []
    if alone_ms is not None:
        figure = f"{alone_ms:.2f} ms"
        checks.append(
            Check("tracing and metrics alone, CPU per call-second", figure, "0.40 ms", alone_ms <= TRACING_MS, True)
        )
    without = next((one for one in measured if one.name == "batkol untraced"), None)
    if without is not None and (traced := _beside(without, "batkol", measured)) is not None:
        more = traced.ms_per_call_second - without.ms_per_call_second
        what = f"batkol × {without.calls}: with a collector and without"
        figure = f"{traced.ms_per_call_second:.2f} and {without.ms_per_call_second:.2f} ms"
        checks.append(Check(what, figure, "0.40 ms apart", more <= TRACING_MS, False))
    return checks


def _beside(one: Measured, name: str, measured: Sequence[Measured]) -> Measured | None:
    """Return `name` at the same number of calls, else where it was cheapest."""
    others = [other for other in measured if other.name == name]
    same = [other for other in others if other.calls == one.calls]
    return same[0] if same else min(others, key=lambda other: other.ms_per_call_second, default=None)


def _cpu(one: Measured, measured: Sequence[Measured]) -> tuple[str, ...]:
    floor = _beside(one, "floor", measured)
    floors = f"{one.ms_per_call_second / floor.ms_per_call_second:.2f}" if floor else "–"
    return (
        one.name,
        str(one.calls),
        f"{one.ms_per_call_second:.2f}",
        f"{one.ms_per_call_second * one.calls / 1000:.0%}",
        floors,
        f"{one.rss / 2**20:.0f}",
        f"{(one.rss - one.rss_before) / one.calls / 2**20:.2f}",
        str(one.threads),
        f"{one.load_share:.0%}",
        f"{one.late_ms:.0f}",
    )


def _words(one: Measured) -> tuple[str, ...]:
    heard = one.heard
    if heard is None:
        return (one.name,)
    words = heard.words
    sources = ", ".join(f"{source} {count}" for source, count in sorted(heard.finals.items()))
    if heard.revised:
        sources += f", revised {heard.revised}"
    return (
        one.name,
        str(one.calls),
        str(words.spoken),
        str(words.lost),
        str(words.extra),
        str(words.lost_at_first),
        str(heard.partials),
        str(heard.partials_expected),
        sources or "–",
    )


def _latency(one: Measured) -> tuple[str, ...]:
    heard = one.heard
    if heard is None:
        return (one.name,)
    written = one.written
    own = f"{written.quantile_ms(0.5):.0f} / {written.quantile_ms(0.99):.0f}" if written else "–"
    spreads = [_spread(heard.audio), own, _spread(heard.response_made), _spread(heard.response_read)]
    return (one.name, str(one.calls), *spreads)


def _waits(one: Measured) -> tuple[str, ...]:
    heard = one.heard
    if heard is None:
        return (one.name,)
    changes = [f"{1000 * one.changes[what]:.0f}" if what in one.changes else "–" for what in ("tuning", "flag")]
    pairs = [_pair(heard.first_partial), _pair(heard.final), _pair(heard.cadence)]
    return (one.name, str(one.calls), *pairs, *changes, f"{one.duty:.0%}")


def _early(one: Measured) -> tuple[str, ...]:
    if (heard := one.heard) is None:
        return (one.name,)
    early = heard.tentatives
    shares = f"{early.attempts_each:.2f}", f"{early.withdrawn_share:.0%}", str(early.confirmed)
    latencies = _pair(early.took), _pair(heard.final)
    return (one.name, str(one.calls), *latencies, str(early.utterances), str(early.with_one), *shares)


def _spread(spread: Spread | None) -> str:
    return "–" if spread is None else f"{spread.p50:.1f} / {spread.p99:.1f} ({spread.worst:.0f})"


def _pair(spread: Spread | None) -> str:
    return "–" if spread is None else f"{spread.p50:.0f} / {spread.p95:.0f}"


def _title(one: Measured) -> str:
    return f"{one.name} × {one.calls}"


def _doubt(one: Measured) -> str:
    return f"   INVALID: the load took {one.load_share:.0%} of its core" if one.invalid else ""


def _table(title: str, columns: str, rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    head = columns.split("|")
    widths = [max(len(row[i]) if i < len(row) else 0 for row in (head, *rows)) for i in range(len(head))]
    print(f"\n{title}")
    for row in (head, *rows):
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip())
