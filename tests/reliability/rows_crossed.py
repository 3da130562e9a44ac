"""Each class of fault again, and what an operator does while it is at work: flips the flag, drains the pod.

Made of the rows on the other pages, by functions. A caller of theirs says two sentences more: with the flag off one
is spoken, with the flag on again another; and a drain finds somebody in mid-call.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from batkol.simulators.google.faults import Fault, Moment
from batkol.simulators.soniox.faults import SonioxFault
from reliability import rows_answers, rows_ends, rows_limit, rows_network
from reliability.ground import flip_off_and_on, leave
from reliability.scenario import FIRST, SECOND, Action, Scenario, Step, Talk, sentences

_PAGES: Final = (*rows_limit.ROWS, *rows_ends.ROWS, *rows_network.ROWS, *rows_answers.ROWS)
_ROWS: Final = {row.name: row for row in _PAGES}

CLASSES: Final = (
    "limit-pauses",
    "limit-no-pause",
    "limit-held-finals",
    "limit-no-finals",
    "unavailable-open",
    "unavailable-first-audio",
    "unavailable-mid-utterance",
    "unavailable-between",
    "unavailable-before-final",
    "unavailable-half-close",
    "internal-mid-utterance",
    "cut-mid-utterance",
    "stall-mid-utterance",
    "stall-silence",
    "late-finals",
    "double-finals",
    "merged-finals",
    "no-audio",
    "quota-storm",
    "quota-mid-utterance",
    "invalid",
    "credentials-streams",
    "credentials-all",
    "media-gaps-50ms",
    "media-gap-2s",
    "clock-forward-backward",
)
"""The rows that are crossed."""

_SOON_S: Final = 0.1  # behind the moment at which a fault strikes
_DRAIN_S: Final = 0.8  # both callers are speaking by then, whenever the order came
_AGAIN: Final = (3, 3)  # words of the sentences that are said besides

BRIEF: Final = (
    Talk(utterances=sentences(FIRST, 3, 2, 2)),
    Talk(utterances=sentences(SECOND, 3, 2, 2), starts_s=0.3),
)
"""In the short form: on, off and on again."""

_STALLED: Final = "reason=stalled"
_NOT_WANTED: Final = f"{_STALLED}|Google did not end a half-closed stream in time"


def at_work(row: Scenario, do: Action) -> Step:
    """Return the step that does so when the row's fault has just struck."""
    if "stt_rotate_after_s" in row.settings:
        return Step(do, streams=len(row.talks) + 1)
    return Step(do, at_s=_struck_s(row) + _SOON_S)


def _struck_s(row: Scenario) -> float:
    if row.steps:
        return row.steps[0].at_s
    if not row.faults and not row.soniox:
        talk = row.talks[0]
        holds = ((at + row.double.no_audio_s * 1000, length) for at, length in talk.holds)
        return next(at for at, _ in (*talk.gaps, *talk.jumps, *holds)) / 1000
    faults: list[Fault | SonioxFault] = [*row.faults, *(row.soniox or ())]
    fault = faults[0]
    if str(fault.when) in (Moment.AUDIO, Moment.ELAPSED):  # Soniox's have the same names
        return fault.seconds
    only = fault.streams if isinstance(fault, Fault) else fault.sessions
    once = only or fault.lasts_s  # the calls' first streams, before a word is said
    return 0.0 if once else rows_ends.MID_S


def flipped(row: Scenario) -> Scenario:
    """Off while the fault is at work, and on again as soon as everybody has begun another sentence."""
    row = _longer(row)
    seen = replace(row.seen, flipped=True, quiet=_quiet(row), unary=None, says=_if_unwanted(row.seen.says))
    if seen.streams is not None:  # a flip may close one stream a call, and opens another
        seen = replace(seen, streams=(1, seen.streams[1] + 2 * len(row.talks)))
    brief = {**row.brief, "talks": BRIEF}
    return _crossed(row, "flip", at_work(row, flip_off_and_on), group="flips", seen=seen, brief=brief)


def drained(row: Scenario) -> Scenario:
    """SIGTERM while the fault is at work; the calls go on to their ends."""
    settings = {**row.settings, "drain_timeout_s": 60.0}
    seen = replace(row.seen, quiet=_quiet(row))
    return _crossed(row, "drain", at_work(row, leave), group="drains", settings=settings, seen=seen)


def ended(row: Scenario) -> Scenario:
    """SIGTERM while the fault is at work, and the drain's time is up soon after: the calls are ended in mid-fault."""
    row = _longer(row)
    most = None if row.seen.streams is None else (1, row.seen.streams[1])
    return _crossed(
        row,
        "over",
        at_work(row, leave),
        group="drains",
        what=f"{row.what}; the drain's time is up",
        settings={**row.settings, "drain_timeout_s": _DRAIN_S},
        seen=replace(
            row.seen, reason="drained", quiet=False, streams=most, unary=None, says=_if_unwanted(row.seen.says)
        ),
    )


def _crossed(row: Scenario, suffix: str, step: Step, **fields: Any) -> Scenario:
    name = f"{row.name}+{suffix}"
    return replace(row, name=name, steps=(*row.steps, step), **fields)


def _quiet(row: Scenario) -> bool:
    """Behind a hold a stream has a tenth of a second to answer: else a single request is made, with a warning."""
    return row.seen.quiet and not any(talk.holds for talk in row.talks)


def _if_unwanted(says: tuple[str, ...]) -> tuple[str, ...]:
    """A session that nobody wants any more may stall unnoticed, until it is to end."""
    return tuple(_NOT_WANTED if text == _STALLED else text for text in says)


def _longer(row: Scenario) -> Scenario:
    """Have callers say two sentences more; those who never pause do, once their stream was replaced in mid-word."""
    talks = rows_limit.SEAMED if row.talks is rows_limit.UNPAUSING else row.talks
    return replace(row, talks=tuple(map(_going_on, talks)))


def _going_on(talk: Talk) -> Talk:
    vocabulary = FIRST if talk.utterances[0][0] in FIRST else SECOND
    said = sum(map(len, talk.utterances)) % len(vocabulary)
    return replace(talk, utterances=talk.utterances + sentences(vocabulary[said:] + vocabulary[:said], *_AGAIN))


ROWS: Final = tuple(cross(_ROWS[name]) for cross in (flipped, drained, ended) for name in CLASSES)
