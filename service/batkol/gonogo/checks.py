"""Checks of a rehearsal's calls. Each check has its figure; together they are GO or NO-GO.

Pure: observations in, checks out. Limits on clocks are generous, because the caller shares its machine with whatever
else runs there; what the design aims at is printed beside them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import msgspec

from batkol.quantity import quantity
from batkol.simulators.client.call_record import CallRecordRow
from batkol.simulators.client.conversation import Observed
from batkol.simulators.twilio.caller import CallOutcome
from batkol.terminal_text import isolated

FEWEST_GAPS: Final = 5
"""Gaps between partials that a median needs."""
STREAMED: Final = frozenset({"final", "interim"})
"""Sources of a streaming session's finals: Google's own, or the newest interim where that was late."""


class Check(msgspec.Struct, frozen=True):
    """One line of the table."""

    part: str  # of the rehearsal
    name: str
    passed: bool
    figure: str
    wanted: str
    detail: str = ""  # what to know about a failure; lines under the table


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalLimits:
    """The limits that the service must keep."""

    cadence_ms: tuple[float, float] = (150.0, 400.0)
    expect_words: bool = True  # false for a real recognizer: it hears the voice as it may
    real: bool = False  # the vendor's recognizer: its partials come as often as the vendor sends them
    first_reply_ms: float = 3500.0  # from the caller's last sample to the first sound of the answer
    silence_ms: float = 2000.0  # from the caller's first sample to the last sound of the interrupted answer


@dataclass(frozen=True, slots=True)
class LogLines:
    """The log lines of one call that people grep for."""

    started: int
    closed: int


@dataclass(frozen=True, slots=True)
class RehearsedCall:
    """One call of the rehearsal, with what was planned for it."""

    name: str
    observed: Observed
    modes: tuple[str, ...]  # wanted, utterance by utterance
    limits: RehearsalLimits
    lines: LogLines | None = None  # None: there is no log to look at
    streams_left: int | None = None  # at the recognizer, after the call; None: others are calling
    is_recorded: bool = False  # the caller plays a recording, in which a pause may end an utterance
    texts_hidden: bool = False  # the token may not read texts: a final has the number of its words alone
    why_unheard: str = ""  # reason why no word was recognized: sentences

    def check(self, name: str, passed: bool, figure: str, wanted: str, detail: str = "") -> Check:
        return Check(self.name, name, passed, figure, wanted, detail)


def in_effect(part: str, *, streaming: bool, seconds: float | None, detail: str = "") -> Check:
    """Whether the service took a flip of the flag."""
    word = "on" if streaming else "off"
    figure = "no effect" if seconds is None else f"{seconds:.2f} s"
    return Check(part, f"flag {word} takes effect", seconds is not None, figure, "design: ≤ 1 s", detail)


def flag_off(part: RehearsedCall) -> list[Check]:
    """Single requests, exactly as if streaming did not exist."""
    watch = part.observed.watch
    return [
        *_call(part),
        _sessions(part, 0),
        part.check("no partials", watch.partials == 0, str(watch.partials), "0"),
        *_utterances(part),
    ]


def flag_on(part: RehearsedCall) -> list[Check]:
    """One session for the whole call, with partials while the caller speaks."""
    return [*_call(part), _sessions(part, 1), _cadence(part), *_utterances(part), _closed(part)]


def flipped(part: RehearsedCall) -> list[Check]:
    """The flag went off between two utterances."""
    return [*_call(part), _sessions(part, 1), *_utterances(part), _closed(part)]


def as_is(part: RehearsedCall) -> list[Check]:
    """The call as the service hears callers now, streaming or not; all its utterances in one mode."""
    if "streaming" not in part.modes:
        return flag_off(part)
    return flag_on(part)


def _call(part: RehearsedCall) -> Iterable[Check]:
    report, ended = part.observed.report, part.observed.watch.ended
    whole = report.outcome is CallOutcome.COMPLETED and len(part.observed.said) == len(part.modes)
    how = f"by {report.closed_by}, {report.close_code}" if report.closed_by else str(report.outcome)
    seconds = f"{ended.duration_s:.1f} s" if ended else "no call.ended"
    yield part.check(
        "stream open to the end, closed cleanly",
        whole and ended is not None and report.closed_by == "caller" and report.close_code == 1000,
        f"{how}, {seconds}",
        "by caller, 1000",
    )
    counts = Counter(violation.code for violation in report.violations)
    listed = ", ".join(f"{code} ×{count}" for code, count in sorted(counts.items()))
    fallbacks = str(ended.fallbacks) if ended else "no call.ended"
    yield part.check("no recognizer failed", fallbacks == "0", fallbacks, "0")
    warnings = "\n".join(f"Twilio {violation.code}: {violation.text}" for violation in report.violations)
    yield part.check("no warning from Twilio", report.clean, listed or "0 warnings", "0 warnings", warnings)


def _sessions(part: RehearsedCall, wanted: int) -> Check:
    ended = part.observed.watch.ended
    opened = ended.sessions if ended else 0
    right = ended is not None and opened == wanted
    figure = f"{opened} opened"
    if part.lines is not None:
        right = right and part.lines.started == wanted
        figure += f", {part.lines.started} in the log"
    times = {0: "no streaming session", 1: "streaming session opened once"}
    return part.check(times[wanted], right, figure, str(wanted))


def _closed(part: RehearsedCall) -> Check:
    """`call.ended` comes only after the session has closed; the log and the status show it explicitly."""
    right = part.observed.watch.ended is not None
    findings = ["call ended" if right else "call did not end"]
    if part.lines is not None:
        right = right and part.lines.closed == 1
        findings.append(f"{part.lines.closed} in the log")
    if part.streams_left is not None:
        right = right and part.streams_left == 0
        findings.append(f"{part.streams_left} left")
    return part.check("streaming session closed once", right, ", ".join(findings), "1, none left")


def _cadence(part: RehearsedCall) -> Check:
    gaps = [gap for seen in part.observed.watch.utterances.values() for gap in seen.gaps_ms]
    low, high = part.limits.cadence_ms
    if part.limits.real:
        return _any_partials(part, gaps)
    wanted = f"{low:.0f}–{high:.0f} ms (design: 180–250)"
    if len(gaps) < FEWEST_GAPS:
        return part.check("partials while speaking", False, quantity(part.observed.watch.partials, "partial"), wanted)
    middle = median(gaps)
    figure = f"median {middle:.0f} ms of {quantity(len(gaps), 'gap')}"
    return part.check("partials while speaking", low <= middle <= high, figure, wanted)


def _any_partials(part: RehearsedCall, gaps: Sequence[float]) -> Check:
    name, count = "partials while speaking", part.observed.watch.partials
    figure = f"median {median(gaps):.0f} ms of {quantity(len(gaps), 'gap')}" if gaps else quantity(count, "partial")
    return part.check(name, count > 0, figure, "any (design: 180–250 ms)")


def _utterances(part: RehearsedCall) -> Iterable[Check]:
    rows = part.observed.rows
    finals = part.observed.watch.finals
    modes = tuple(mode for row in rows for mode in _modes(row, several=part.is_recorded))
    yield part.check("mode of each utterance", modes == part.modes, _runs(modes), _runs(part.modes))
    sources = Counter(final.source for final in finals)
    fitting = all(_fits(final.source, final.mode) for final in finals)
    enough = all(row.heard if part.is_recorded else len(row.heard) == 1 for row in rows)
    one_each = len(rows) == len(part.modes) and enough
    listed = ", ".join(f"{source} ×{count}" for source, count in sorted(sources.items()))
    late = f"; median {median(final.latency_ms for final in finals):.0f} ms after speech" if finals else ""
    yield part.check("one final per utterance", one_each and fitting, f"{listed or 'none'}{late}", str(len(part.modes)))
    yield _words(part)


def _modes(row: CallRecordRow, *, several: bool) -> Iterable[str]:
    """Return the modes of what was heard of an utterance; of `several` utterances each mode once."""
    modes = [seen.mode for seen in row.heard]
    return dict.fromkeys(modes) if several else modes


def _fits(source: str, mode: str) -> bool:
    return source in STREAMED if mode == "streaming" else source == "single"


def _words(part: RehearsedCall) -> Check:
    rows = part.observed.rows
    total = sum(len(row.said.words) for row in rows)
    if not part.limits.expect_words:
        spoken = sum(row.has_words if part.texts_hidden else bool(row.text) for row in rows)
        passed = spoken == len(rows) > 0
        return part.check("every final has text", passed, f"{spoken}/{len(rows)}", "all", part.why_unheard)
    right = sum(row.right for row in rows)
    perfect = bool(rows) and all(row.perfect for row in rows)
    wrong = [
        f"said: {isolated(' '.join(row.said.words))}\nheard: {isolated(row.text)}" for row in rows if not row.perfect
    ]
    return part.check("words as they were said", perfect, f"{right}/{total}", "all, and no more", "\n".join(wrong))


def _runs(modes: Sequence[str]) -> str:
    """Write `streaming ×2, single ×1`."""
    runs: list[tuple[str, int]] = []
    for mode in modes:
        if runs and runs[-1][0] == mode:
            runs[-1] = (mode, runs[-1][1] + 1)
        else:
            runs.append((mode, 1))
    return ", ".join(f"{mode or '?'} ×{count}" for mode, count in runs) or "none"
