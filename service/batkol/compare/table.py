"""The outcome of a comparison for a terminal. No word that was said or heard is in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from batkol.compare.comparison import Comparison, Quantiles, RecognizerOutcome
from batkol.compare.intervals import Interval
from batkol.compare.listening import TAIL_S
from batkol.quantity import quantity

LATE_MS: Final = 100.0
"""Lateness of this machine from which the times of a comparison say something about the machine as well."""

TIMES: Final = (
    ("first text", "first_interims"), ("right text", "right"), ("settled", "settled"), ("final", "finals"),
    ("final, forced", "forced"),
)  # fmt: skip
FROM: Final = "First text: from the beginning of speech, the others from its end; right text, where it was right."
"""The moments from which the times count."""


def show(comparison: Comparison, out: Console) -> None:
    """Print the tables and the verdicts."""
    out.print(_errors(comparison.recognizers))
    out.print(_times(comparison))
    for line in lines(comparison):
        out.print(line, markup=False)


def lines(comparison: Comparison) -> Sequence[str]:
    """Return the verdicts, and what a reader must know of the figures."""
    said = []
    if comparison.ended_early:
        said.append(
            f"The comparison ended early: {len(comparison.compared)} of {quantity(comparison.planned, 'sound')} count. "
            f"{comparison.ended_early}"
        )
    for each in comparison.differences:
        interval = f", interval {points(each.interval)}" if each.interval else ""
        difference = f"{each.difference * 100:+.1f} points of word error rate{interval}"
        said.append(f"{each.sentence} ({each.first} less {each.second}: {difference})")
    faulty = len(comparison.speech) - len(comparison.compared)
    if faulty:
        said.append(f"{faulty} of {len(comparison.speech)} sounds do not count, for a recognizer did not hear them:")
        said += faults(comparison)
    for one in comparison.recognizers:
        if one.unfinished:
            texts = quantity(one.unfinished, "text ends", "texts end")
            said.append(f"{one.name}: {texts} with a partial, for no final came within {TAIL_S:g} s, nor at the end.")
    if comparison.late_ms > LATE_MS:
        said.append(
            f"This machine was up to {comparison.late_ms:.0f} ms late with the sound, so the times are too long: "
            "compare fewer at once (--at-once)."
        )
    return said


def faults(comparison: Comparison) -> Sequence[str]:
    """Return each recognizer's faults, how many, and a sentence about the first one of a kind."""
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for each in comparison.speech:
        for name, hearing in each.hearings.items():
            if hearing.fault is not None:
                number, why = found.get((name, hearing.fault), (0, hearing.why))
                found[name, hearing.fault] = number + 1, why
    return [f"{name}: {quantity(number, 'time')} {reason}. {why}" for (name, reason), (number, why) in found.items()]


def _errors(recognizers: Sequence[RecognizerOutcome]) -> Table:
    table = Table(title="Errors, of the words that were said")
    for name in ("recognizer", "word errors", "interval", "no prefixes", "wrong", "missing", "extra", "characters"):
        table.add_column(name, justify="left" if name == "recognizer" else "right")
    for each in recognizers:
        counts = each.counts
        table.add_row(
            each.name,
            percent(each.word_error_rate),
            percents(each.word_interval),
            percent(each.without_prefixes),
            f"{counts.wrong} ({counts.prefix} prefix)",
            str(counts.missing),
            str(counts.extra),
            percent(each.character_error_rate),
        )
    said = quantity(recognizers[0].counts.words, "word") if recognizers else ""
    table.caption = f"{said}. Intervals: 95 %, by drawing calls again."
    return table


def _times(comparison: Comparison) -> Table:
    table = Table(title="Times in ms, median / 95th percentile, and cost")
    table.add_column("recognizer")
    for title, _ in TIMES:
        table.add_column(title, justify="right")
    table.add_column("was right", justify="right")
    table.add_column("minutes", justify="right")
    table.add_column("cost", justify="right")
    for each in comparison.recognizers:
        times = (quantiles(each.times.get(name)) for _, name in TIMES)
        table.add_row(each.name, *times, was_right(each, comparison), f"{each.heard_minutes:.1f}", cost(each))
    table.caption = FROM
    return table


def percent(share: float) -> str:
    """Return a share as it is shown."""
    return f"{share * 100:.1f} %"


def percents(interval: Interval | None) -> str:
    """Return an interval of shares as it is shown."""
    return "too few" if interval is None else f"{interval.low * 100:.1f} to {interval.high * 100:.1f} %"


def points(interval: Interval | None) -> str:
    """Return an interval of differences as it is shown."""
    return "" if interval is None else f"{interval.low * 100:+.1f} to {interval.high * 100:+.1f}"


def quantiles(times: Quantiles | None) -> str:
    """Return quantiles as they are shown."""
    return "" if times is None else f"{times.p50:.0f} / {times.p95:.0f}"


def was_right(outcome: RecognizerOutcome, comparison: Comparison) -> str:
    """Return in how many sounds the shown text was ever exactly what was said."""
    right = outcome.times.get("right")
    return f"{right.number if right else 0} of {len(comparison.compared)}"


def cost(outcome: RecognizerOutcome) -> str:
    """Return the cost as it is shown: of this comparison, and of an hour of calls."""
    if outcome.price is None or outcome.cost is None:
        return "no list price"
    spent = "under $0.01" if 0 < outcome.cost < 0.01 else f"${outcome.cost:.2f}"
    return f"{spent}, ${outcome.price.per_minute * 60:.2f} an hour"
