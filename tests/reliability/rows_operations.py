"""What people do at the worst moment: flip a flag, drain a pod, hang up; and everything at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from batkol.app.patience import Patience
from batkol.calls.drain import PAUSE_S
from batkol.simulators.google.faults import Fault, Kind, Moment
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.twilio.plan import CallEnding
from reliability.ground import flip, inject, leave
from reliability.rows_ends import MID_S, TALKS, dies
from reliability.rows_limit import BRIEF_LIMIT, BRIEF_ROTATING, LIMIT, ROTATING
from reliability.scenario import FIRST, SECOND, Scenario, Seen, Step, Talk, sentences

SENTENCES: Final = (
    Talk(utterances=sentences(FIRST, 3, 3, 3, 3), gap_ms=800),
    Talk(utterances=sentences(SECOND, 3, 3, 3, 3), gap_ms=800, starts_s=0.6),
)
UNPAUSING: Final = (Talk(utterances=sentences(FIRST, 15)), Talk(utterances=sentences(SECOND, 15), starts_s=0.5))
HANGING_UP: Final = (
    Talk(utterances=sentences(FIRST, 4), tail_ms=100),
    Talk(utterances=sentences(SECOND, 4), tail_ms=100, starts_s=0.5),
)
STALLED: Final = (Fault(kind=Kind.STALL, when=Moment.AUDIO, seconds=MID_S, streams=(1, 2)),)
DRAINED: Final = Seen(reason="drained")


LEFT_S: Final = 1.2
SOON: Final[dict[str, Any]] = {"drain_timeout_s": 0.3}
OVER_S: Final = LEFT_S + 0.3 + PAUSE_S
"""When callers who never pause are cut off."""


CUT_OFF: Final = (Talk(utterances=sentences(FIRST, 14)), Talk(utterances=sentences(SECOND, 14), starts_s=0.15))


def flipping(after_streams: int, at_s: float = 0.0) -> tuple[Step, ...]:
    """Off, on and off again, 0.7 s apart, from then on; and on, so that the end is as the beginning."""
    flips = enumerate((False, True, False, True))
    return tuple(Step(flip(on=on), at_s=at_s, streams=after_streams, after_s=0.7 * n) for n, on in flips)


def operated(**fields: Any) -> Scenario:
    """Return a row of this page."""
    return Scenario(**{"group": "operations", "talks": TALKS, **fields})


def rotating(**fields: Any) -> Scenario:
    """Return a row of this page in which streams rotate."""
    return operated(**{"double": LIMIT, "settings": ROTATING, **fields})


ROWS: Final = (
    operated(
        name="flip",
        what="The flag is flipped off, on, off and on while callers speak",
        talks=SENTENCES,
        steps=flipping(0, at_s=1.2),
        seen=Seen(quiet=True),
    ),
    rotating(
        name="flip-rotation",
        what="The same, from the moment a stream is being replaced",
        talks=SENTENCES,
        steps=flipping(3),
    ),
    operated(
        name="flip-replay",
        what="The same, from the moment a stream that died is being replaced",
        talks=SENTENCES,
        faults=dies("UNAVAILABLE", Moment.AUDIO, MID_S),
        steps=flipping(3),
        brief={
            "talks": (
                Talk(utterances=sentences(FIRST, 3, 2, 2), gap_ms=800),
                Talk(utterances=sentences(SECOND, 3, 2, 2), gap_ms=800, starts_s=0.3),
            )
        },
    ),
    operated(
        name="flip-stall",
        what="The same, while a stream stalls",
        talks=SENTENCES,
        faults=STALLED,
        steps=flipping(0, at_s=MID_S + 0.3),
    ),
    operated(
        name="flip-late-finals",
        what="The same, while every final comes 2 s late",
        talks=SENTENCES,
        faults=(Fault(kind=Kind.SLOW_FINALS, latency_s=2.0),),
        steps=flipping(0, at_s=1.2),
    ),
    operated(
        name="drain",
        what="The pod is drained (SIGTERM) in mid-word; the calls go on to their ends",
        settings={"drain_timeout_s": 30.0},
        steps=(Step(leave, at_s=MID_S),),
        seen=Seen(quiet=True),
    ),
    rotating(
        name="drain-rotation",
        what="The pod is drained at the moment a stream is being replaced",
        talks=UNPAUSING,
        settings={**ROTATING, "drain_timeout_s": 30.0},
        steps=(Step(leave, streams=3),),
        seen=Seen(quiet=True),
    ),
    operated(
        name="drain-over",
        what="The drain's time is up in mid-sentence: the caller may finish it, and it is delivered",
        settings={"drain_timeout_s": 1.0},
        talks=(Talk(utterances=sentences(FIRST, 4, 3)), Talk(utterances=sentences(SECOND, 4, 3), starts_s=0.3)),
        steps=(Step(leave, at_s=0.8),),
        seen=DRAINED,
    ),
    operated(
        name="drain-over-no-pause",
        what="The drain's time is up and nobody pauses: what was said by then is delivered",
        settings=SOON,
        talks=CUT_OFF,
        steps=(Step(leave, at_s=LEFT_S),),
        seen=DRAINED,
    ),
    operated(
        name="drain-over-rotation",
        what="Calls are ended by the drain while a stream is being replaced",
        talks=CUT_OFF,
        double=DoubleSettings(stream_limit_s=8.0),
        settings={**SOON, "stt_rotate_after_s": 4.0, "stt_rotate_by_s": OVER_S - 0.1},
        steps=(Step(leave, at_s=LEFT_S),),
        seen=DRAINED,
    ),
    operated(
        name="drain-over-replay",
        what="Calls are ended by the drain while a stream that died is being replaced",
        talks=CUT_OFF,
        faults=dies("UNAVAILABLE", Moment.ELAPSED, OVER_S - 0.1),
        settings=SOON,
        steps=(Step(leave, at_s=LEFT_S),),
        seen=DRAINED,
    ),
    operated(
        name="drain-over-stall",
        what="Calls are ended by the drain while their streams stall",
        talks=CUT_OFF,
        faults=(Fault(kind=Kind.STALL, when=Moment.ELAPSED, seconds=OVER_S - 1.5),),
        settings=SOON,
        brief={
            "faults": (Fault(kind=Kind.STALL, when=Moment.ELAPSED, seconds=LEFT_S),),
            "patience": Patience(pause=1.0, close=1.0),
        },
        steps=(Step(leave, at_s=LEFT_S),),
        seen=DRAINED,
    ),
    rotating(
        name="hang-up-rotation",
        what="The caller is gone in mid-word, without a word, while a stream is being replaced",
        talks=tuple(replace(talk, cut_ms=4720, ending=CallEnding.ABRUPT) for talk in UNPAUSING),
        seen=Seen(reason="dropped"),
    ),
    operated(
        name="hang-up-replay",
        what="The caller hangs up in mid-word while a stream that died is being replaced",
        talks=tuple(replace(talk, cut_ms=3040) for talk in UNPAUSING),
        faults=dies("UNAVAILABLE", Moment.AUDIO, 2.8),
    ),
    operated(
        name="hang-up-late-final",
        what="The caller hangs up with the last word, and its final takes 3 s",
        talks=tuple(replace(talk, tail_ms=40) for talk in HANGING_UP),
        faults=(Fault(kind=Kind.SLOW_FINALS, latency_s=3.0),),
        brief={"faults": (Fault(kind=Kind.SLOW_FINALS, latency_s=1.5),)},
    ),
    operated(
        name="hang-up-opening",
        what="The caller hangs up after 3 s in which no stream could be opened",
        talks=HANGING_UP,
        faults=(Fault(kind=Kind.END),),
    ),
    operated(
        name="hang-up-stall",
        what="The caller hangs up in mid-word while a stream stalls",
        talks=tuple(replace(talk, cut_ms=3000) for talk in UNPAUSING),
        faults=(Fault(kind=Kind.STALL, when=Moment.AUDIO, seconds=1.5),),
    ),
    rotating(
        name="everything",
        what="A rotation, a stall, a refusal, a death and late, double finals in one call",
        talks=(
            Talk(utterances=sentences(FIRST, 8, 3, 8)),
            Talk(utterances=sentences(SECOND, 3, 8, 8), starts_s=0.6),
        ),
        faults=(
            Fault(kind=Kind.SLOW_FINALS, latency_s=1.5),
            Fault(kind=Kind.REPEATED_FINALS),
            Fault(kind=Kind.END, streams=(3,)),
            Fault(kind=Kind.STALL, when=Moment.ELAPSED, seconds=1.0, streams=(4,)),
            Fault(kind=Kind.END, code="INTERNAL", when=Moment.AUDIO, seconds=1.4, streams=(6,)),
        ),
        steps=(Step(inject(Fault(kind=Kind.END, code="UNKNOWN", running=True, times=1)), at_s=7.0),),
        brief={
            "talks": (
                Talk(utterances=sentences(FIRST, 4, 2, 2)),
                Talk(utterances=sentences(SECOND, 2, 4, 2), starts_s=0.3),
            ),
            "double": BRIEF_LIMIT,
            "settings": BRIEF_ROTATING,
            "steps": (Step(inject(Fault(kind=Kind.END, code="UNKNOWN", running=True, times=1)), at_s=4.5),),
            "patience": Patience(stall=1.5, close=1.5),
        },
    ),
)
