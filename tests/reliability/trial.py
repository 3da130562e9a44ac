"""Runs one scenario against the real service over real sockets, and says what became of every word."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from batkol.events.events import CallEnded, FinalText, RevisedText
from batkol.simulators.soniox.faults import SonioxFaultKind
from reliability.ground import Ground, ground
from reliability.scenario import Scenario
from reliability.score import Score, Written, score
from reliability.watching import LogBook, StatusWatch, logged
from support.service.stack import plain

_PATIENCE_S = 25.0  # beyond the longest call, for what is under way
_EMPTY_S = 8.0  # for Google's side to be empty after the last call


class Counts(msgspec.Struct, frozen=True):
    """Of all calls of a trial together."""

    sent: int = 0
    lost: int = 0
    doubled: int = 0
    misattributed: int = 0
    words: tuple[str, ...] = ()
    """The words behind the numbers."""

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.misattributed)

    def __str__(self) -> str:
        return f"{self.lost}/{self.doubled}/{self.misattributed}"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table."""

    name: str
    group: str
    what: str
    record: Counts
    """The record as late finals corrected it."""
    first: Counts
    """The finals as they first went out."""
    streams: int
    unary: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    sources: dict[str, int]
    fallbacks: int
    warnings: list[str]
    status: list[str]
    problems: list[str]
    """What else is not as it must be."""
    story: list[str] = []
    """What was written down, for whoever has to find out why."""
    log: list[str] = []
    """All of the log, with seconds since the first caller's first sample."""

    @property
    def right(self) -> bool:
        return self.record.clean and not self.problems


async def run(scenario: Scenario, live: Path) -> Result:
    """Run it once. Raises only for what is broken in the harness, or if the service does not even start."""
    with logged() as log:
        async with ground(scenario, live) as at:
            status = StatusWatch(at.up.internal)
            watching = [asyncio.create_task(work) for work in (status.run(), at.listen())]
            problems = await _calls(at)
            problems += await _left_open(at)
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            return _result(at, log, status, problems)


def left_behind() -> list[str]:
    """Return the names of a service's tasks that outlived it. To be asked where no trial is running."""
    names = (task.get_name() for task in asyncio.all_tasks())
    return sorted(name for name in names if name.startswith(("stt.", "call.", "listener", "health", "drain")))


async def _calls(at: Ground) -> list[str]:
    """Hold all calls while the steps are done; return what went wrong with that."""
    problems: list[str] = []
    steps = [asyncio.create_task(at.carry_out(step)) for step in at.scenario.steps]
    try:
        async with asyncio.timeout(at.scenario.length_s + _PATIENCE_S):
            calls = [at.hold(number) for number in range(len(at.phones))]
            problems += [complaint for complaints in await asyncio.gather(*calls) for complaint in complaints]
            await at.up.heard.until(lambda: all(_ended(at, phone.call_sid) for phone in at.phones))
            if at.leaving is not None:
                await at.leaving
    except TimeoutError:
        problems.append("a call did not come to its end")
    undone = [step for step in at.scenario.steps if step not in at.done]
    for task in steps:
        task.cancel()
    for ended in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended
    return [*problems, *(f"the moment never came: {step}" for step in undone)]


async def _left_open(at: Ground) -> list[str]:
    """Everything on Google's side must be over soon after the last call."""
    try:
        async with asyncio.timeout(_EMPTY_S):
            while any(_open(at)):
                await asyncio.sleep(0.05)
    except TimeoutError:
        return ["left open: {} streams and {} requests here, {} streams at Google".format(*_open(at))]
    return []


def _open(at: Ground) -> tuple[int, int, int]:
    channels = at.up.service.channels
    theirs = at.double.stats()["streams_open"] if at.network is None else 0  # a dead network tells Google of no end
    theirs += at.soniox.stats()["sessions_open"] if at.soniox is not None and not _half_open(at) else 0
    return channels.streams, channels.requests, theirs


def _half_open(at: Ground) -> bool:
    """Whether Soniox hears of no end because nobody is there."""
    return any(fault.kind is SonioxFaultKind.HALF_OPEN for fault in at.scenario.soniox or ())


def _ended(at: Ground, call_sid: str) -> CallEnded | None:
    return next(iter(at.up.heard.of(call_sid, CallEnded)), None)


def _result(at: Ground, log: LogBook, status: StatusWatch, problems: list[str]) -> Result:
    scenario, heard = at.scenario, at.up.heard
    calls = [phone.call_sid for phone in at.phones]
    finals = [final for call in calls for final in heard.finals(call)]
    ends = [ended for call in calls if (ended := _ended(at, call)) is not None]
    stats = at.double.stats()
    latencies = sorted(final.latency_ms for final in finals if final.text)
    result = Result(
        name=scenario.name,
        group=scenario.group,
        what=scenario.what,
        record=_counts(at, revised=True),
        first=_counts(at, revised=False),
        streams=at.streams,
        unary=stats["unary_calls"],
        latency_p50_ms=statistics.median(latencies) if latencies else None,
        latency_p95_ms=latencies[int(0.95 * (len(latencies) - 1) + 0.5)] if latencies else None,
        sources=dict(Counter(final.source for final in finals)),
        fallbacks=sum(ended.fallbacks for ended in ends),
        warnings=log.at_least("warning", "error", "critical"),
        status=status.said,
        problems=problems,
        story=list(_story(at)),
        log=log.whole(since=at.phones[0].media_start),
    )
    found = [*_missing(result, scenario, log, ends), *_whisper(at), *_unflipped(at)]
    return msgspec.structs.replace(result, problems=[*problems, *found])


def _counts(at: Ground, *, revised: bool) -> Counts:
    scores = [_score(at, number, revised=revised) for number in range(len(at.phones))]
    lost = [f"−{word}" for each in scores for word in each.lost]
    doubled = [f"+{word}" for each in scores for word in each.doubled]
    astray = [f"↷{word}" for each in scores for word in each.misattributed]
    sent = sum(each.sent for each in scores)
    return Counts(sent, len(lost), len(doubled), len(astray), (*lost, *doubled, *astray))


def _score(at: Ground, number: int, *, revised: bool) -> Score:
    talks = at.scenario.talks
    others = {w for n, talk in enumerate(talks) if n != number for utterance in talk.utterances for w in utterance}
    own = {word for utterance in talks[number].utterances for word in utterance}
    drained = at.scenario.seen.reason == "drained"
    deaf_ms = at.heard_ms.get(at.phones[number].call_sid, 0.0) if drained else None
    return score(talks[number].said(deaf_ms), list(_written(at, number, revised=revised)), others - own)


def _written(at: Ground, number: int, *, revised: bool) -> Iterator[Written]:
    call = at.phones[number].call_sid
    later = {r.index: r.text for r in at.up.heard.of(call, RevisedText)} if revised else {}
    for final in at.up.heard.finals(call):
        yield Written(final.begin_ms, final.end_ms, plain(later.get(final.index, final.text)))


def _missing(result: Result, scenario: Scenario, log: LogBook, ends: list[CallEnded]) -> Iterator[str]:
    """Yield what should have been seen and was not, and the other way round."""
    seen = scenario.seen
    yield from (f"the log never said {text!r}" for text in seen.says if not log.says(text))
    yield from (f"the log said {text!r}" for text in seen.never if log.says(text))
    if sorted(seen.then, key=log.first) != list(seen.then):
        yield f"the log did not say in this order: {', '.join(seen.then)}"
    if seen.quiet:
        answered = scenario.settings.get("agent_replies")  # `reply_rows` judges what the agent says of itself
        others = ("[LOOP]", "[AGENT]") if answered else ("[LOOP]",)
        yield from (f"a warning for nothing: {line}" for line in result.warnings if not line.startswith(others))
    if not seen.errors:
        yield from (f"an error in the log: {line}" for line in log.at_least("error", "critical"))
    if seen.sources is not None and not set(result.sources) <= seen.sources:
        yield f"finals came from {sorted(result.sources)}, not only from {sorted(seen.sources)}"
    for name, count, limits in (
        ("streams", result.streams, seen.streams),
        ("single requests", result.unary, seen.unary),
    ):
        if limits is not None and not limits[0] <= count <= limits[1]:
            yield f"{count} {name}, not {limits[0]} to {limits[1]}"
    yield from (f"a call ended by {ended.reason}" for ended in ends if ended.reason != seen.reason)


def _whisper(at: Ground) -> Iterator[str]:
    wanted = at.scenario.seen.whispered
    asked = bool(at.whisper and at.whisper.answers)
    if wanted is not None and wanted != asked:
        yield f"Whisper was {'' if asked else 'not '}asked"


def _unflipped(at: Ground) -> Iterator[str]:
    """A flag that nobody asked while it was off would prove nothing."""
    for phone in at.phones if at.scenario.seen.flipped else ():
        flags = at.flags(phone)
        if "off" not in flags or "on" not in flags[flags.index("off") :]:
            yield f"the flag was {flags} at the beginning of a call's utterances, never off and then on again"


def _story(at: Ground) -> Iterator[str]:
    """Each utterance with its source, for the eye."""
    for number, phone in enumerate(at.phones):
        later: dict[int, Any] = {r.index: r.text for r in at.up.heard.of(phone.call_sid, RevisedText)}
        for final in at.up.heard.of(phone.call_sid, FinalText):
            revised = f" → {later[final.index]}" if final.index in later else ""
            yield f"{number}.{final.index} {final.begin_ms}–{final.end_ms} {final.source}: {final.text}{revised}"
