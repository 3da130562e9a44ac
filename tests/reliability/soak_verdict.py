"""What a soak is held to: one line a demand, with its figure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from reliability.soak_readings import Reading, Slope, slope
from reliability.soak_run import Findings, Line
from reliability.soak_streams import rotations
from reliability.soak_words import Fate, fate, record

SHORTEST_S: Final = 240.0
"""A shorter soak says nothing about memory: buffers and pools of a call fill up for a minute or two."""

LIMIT_KB_PER_MIN: Final = 25.0
"""Growth for each call that counts as a leak. See `leaks`."""


LATE_MS: Final = 1000.0
"""Media that stay away so long are a hold to the service, and what is cut in two by one is no word any more."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One thing that must be so."""

    text: str
    met: bool
    figure: str


def verdict(found: Findings) -> list[Demand]:
    """Everything a soak is held to."""
    demands = [_words(found), _calls(found), *_rotations(found), _gone(found), _log(found)]
    growth = memory(found)
    if growth is not None:
        demands.append(_memory(growth, len(found.lines)))
    return demands


def of_words(line: Line) -> Fate:
    """What became of one call's words."""
    return fate(line.part.words, record(line.watch))


def memory(found: Findings) -> Slope | None:
    """The growth of memory over the second half; None for a soak too short to tell."""
    if found.plan.seconds < SHORTEST_S:
        return None
    began = found.readings[0].at
    late = [reading for reading in found.readings if reading.at - began >= found.plan.seconds / 2 and reading.calls]
    return slope([(reading.at, reading.rss_kb) for reading in late])


def leaks(growth: Slope, calls: int) -> bool:
    """Whether memory surely grows faster than `LIMIT_KB_PER_MIN` a call.

    Only the lower end of the confidence interval convicts: steps of the allocator are no leak. What a call may gather
    is small and bounded (500 utterances of a few hundred bytes for the internal API, a minute of sound); keeping
    every message to Google would be 470 KB a minute and call, every event that goes out over 100.
    """
    return growth.low > LIMIT_KB_PER_MIN * calls


def _words(found: Findings) -> Demand:
    total = sum((of_words(line) for line in found.lines), Fate())
    late_ms = max(line.report.latest for line in found.lines) * 1000
    figure = f"{total.said} said, {total.lost} lost, {total.doubled} doubled, {total.misattributed} misattributed"
    if late_ms >= LATE_MS:
        figure += f" (a caller was {late_ms:.0f} ms late: this machine was too busy for the figure to be trusted)"
    return Demand("no word is lost, doubled or misattributed", total.whole and total.said > 0, figure)


def _calls(found: Findings) -> Demand:
    ended = [line.watch.ended for line in found.lines]
    right = [end is not None and end.reason == "stop" and end.sessions == 1 and not end.reconnects for end in ended]
    clean = [line.report.clean for line in found.lines]
    told = [(0, 0) if end is None else (end.sessions, end.reconnects) for end in ended]
    sessions, reconnects = (", ".join(map(str, each)) for each in zip(*told, strict=True))
    twilio = f"{sum(clean)} of {len(clean)} without a complaint of Twilio's"
    figure = f"sessions {sessions}; reconnects {reconnects}; {twilio}"
    return Demand("every call goes to its end in one session, none reconnects", all(right) and all(clean), figure)


def _rotations(found: Findings) -> list[Demand]:
    plan, window = found.plan, found.plan.window
    each = [rotations(line.streams, window) for line in found.lines]
    counts = ", ".join(str(len(of_call)) for of_call in each)
    enough = all(len(of_call) >= plan.rotations for of_call in each)
    every = [rotation for of_call in each for rotation in of_call]
    if not every and not plan.rotations:
        return []
    demands = [Demand(f"each call's stream is replaced at least {plan.rotations} times", enough, counts)]
    faults = [fault for rotation in every for fault in rotation.faults]
    least = min((rotation.overlap_s for rotation in every), default=0.0)
    figure = (
        "; ".join(f"{fault} × {count}" for fault, count in Counter(faults).items())
        or f"least overlap {least * 1000:.0f} ms"
    )
    between = f"between {window.after_s:g} and {window.by_s:g} s, the new one open before the old one is over"
    demands.append(Demand(between, bool(every) and not faults, figure))
    forced = sum(rotation.forced for rotation in every)
    both = forced > 0 and forced < len(every)
    demands.append(Demand("some forced, some at a good moment", both, f"{forced} forced, {len(every) - forced} not"))
    return demands


def _gone(found: Findings) -> Demand:
    idle, after = found.idle, found.after
    figure = "; ".join((f"before {_held(idle)}", f"after {_held(after)}"))
    return Demand("tasks, streams and descriptors are back where they were", after.is_back_to(idle), figure)


def _held(reading: Reading) -> str:
    return f"{reading.tasks} tasks, {reading.streams} streams, {reading.fds} fds, {reading.threads} threads"


def _log(found: Findings) -> Demand:
    errors = sum(count for (level, _), count in found.complaints.items() if level != "warning")
    return Demand("the log has no error", not errors, f"{errors} errors, {found.complaints.total() - errors} warnings")


def _memory(growth: Slope, calls: int) -> Demand:
    limit = f"memory does not grow by more than {LIMIT_KB_PER_MIN * calls:g} KB/min"
    return Demand(limit, not leaks(growth, calls), str(growth))
