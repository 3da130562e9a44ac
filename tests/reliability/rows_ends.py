"""Streams that end, stall or say nothing when nobody planned it, in each phase of their lives."""

from __future__ import annotations

from typing import Any, Final

from batkol.app.patience import Patience
from batkol.simulators.google.faults import Fault, Kind, Moment, Surface
from batkol.simulators.google.settings import DoubleSettings
from reliability.ground import clear, inject
from reliability.scenario import FIRST, SECOND, Scenario, Seen, Step, Talk, sentences

TALKS: Final = (
    Talk(utterances=sentences(FIRST, 4, 3, 3)),
    Talk(utterances=sentences(SECOND, 3, 4, 3), starts_s=0.6),
)
MID_S: Final = TALKS[0].word_s(2)
"""In the third word of the first caller's first sentence; of the second's, in the third or just behind it."""

QUIET_S: Final = TALKS[0].quiet_s(0, 700)
FIRST_TWO: Final = (1, 2)

BRIEF: Final = (
    Talk(utterances=sentences(FIRST, 2, 3, 2)),
    Talk(utterances=sentences(SECOND, 2, 3, 2), starts_s=0.3),
)
"""In the short form, where a fault strikes in the first silence and is found out in the second sentence."""


def ends(**fields: Any) -> Scenario:
    """Return a row of this page."""
    return Scenario(**{"group": "ends", "talks": TALKS, **fields})


def dies(code: str, when: Moment, seconds: float = 0.0, **fields: Any) -> tuple[Fault, ...]:
    """Return the fault that befalls each call's first stream."""
    return (Fault(kind=Kind.END, code=code, when=when, seconds=seconds, **{"streams": FIRST_TWO, **fields}),)


ROWS: Final = (
    ends(
        name="unavailable-open",
        what="UNAVAILABLE when a stream opens, once a call",
        faults=dies("UNAVAILABLE", Moment.OPEN),
        seen=Seen(streams=(4, 6)),
    ),
    ends(
        name="unavailable-open-long",
        what="UNAVAILABLE whenever a stream opens, for 3 s",
        faults=(Fault(kind=Kind.END, lasts_s=3.0),),
        seen=Seen(streams=(3, 24)),
    ),
    ends(
        name="unavailable-first-audio",
        what="UNAVAILABLE at a stream's first audio",
        faults=dies("UNAVAILABLE", Moment.FIRST_AUDIO),
        seen=Seen(streams=(4, 6), says=("unavailable",)),
    ),
    ends(
        name="unavailable-mid-utterance",
        what="UNAVAILABLE in mid-word",
        faults=dies("UNAVAILABLE", Moment.AUDIO, MID_S),
        seen=Seen(streams=(4, 6), says=("unavailable",)),
    ),
    ends(
        name="unavailable-between",
        what="UNAVAILABLE in the silence between two sentences",
        faults=dies("UNAVAILABLE", Moment.ELAPSED, QUIET_S),
        seen=Seen(streams=(4, 6), says=("unavailable",)),
    ),
    ends(
        name="unavailable-before-final",
        what="UNAVAILABLE between the end of a sentence and its final",
        faults=dies("UNAVAILABLE", Moment.AUDIO, TALKS[0].quiet_s(0, 150)),
        seen=Seen(streams=(4, 6), says=("unavailable",)),
    ),
    ends(
        name="unavailable-half-close",
        what="UNAVAILABLE at the half-close, when a caller hangs up in mid-sentence",
        talks=(
            Talk(utterances=sentences(FIRST, 4, 4), tail_ms=60),
            Talk(utterances=sentences(SECOND, 3, 4), tail_ms=60, starts_s=0.6),
        ),
        faults=(Fault(kind=Kind.END, when=Moment.HALF_CLOSE),),
    ),
    ends(
        name="internal-mid-utterance",
        what="INTERNAL, `Received RST_STREAM`, in mid-word",
        faults=dies("INTERNAL", Moment.AUDIO, MID_S),
        seen=Seen(streams=(4, 6), says=("internal",)),
    ),
    ends(
        name="unknown-mid-utterance",
        what="UNKNOWN, `Stream removed`, in mid-word",
        faults=dies("UNKNOWN", Moment.AUDIO, MID_S),
        seen=Seen(streams=(4, 6), says=("unknown",)),
    ),
    ends(
        name="cancelled-mid-utterance",
        what="CANCELLED by Google in mid-word",
        faults=dies("CANCELLED", Moment.AUDIO, MID_S),
        seen=Seen(streams=(4, 6), says=("cancelled",)),
    ),
    ends(
        name="aborted-v2-limit",
        what="ABORTED, `Max duration of 5 minutes reached for stream` (v2's limit), in mid-word",
        faults=dies("ABORTED", Moment.AUDIO, MID_S, text="Max duration of 5 minutes reached for stream."),
        seen=Seen(streams=(4, 6)),
    ),
    ends(
        name="status-inside",
        what="UNAVAILABLE inside a response, after which the stream ends with OK",
        faults=(Fault(kind=Kind.STATUS, when=Moment.AUDIO, seconds=MID_S, streams=FIRST_TWO),),
        seen=Seen(streams=(4, 6)),
    ),
    ends(
        name="deaths-in-a-row",
        what="Three streams of each call die, each after a second of audio",
        faults=(Fault(kind=Kind.END, when=Moment.AUDIO, seconds=1.0, times=6),),
        seen=Seen(streams=(6, 10)),
    ),
    ends(
        name="deaths-for-ever",
        what="Every stream dies in mid-word, for the whole call",
        faults=(Fault(kind=Kind.END, when=Moment.AUDIO, seconds=1.3),),
        seen=Seen(streams=(2, 14)),
    ),
    ends(
        name="going-away",
        what="Google tells the connection to go away (GOAWAY), and ends its streams 1 s later",
        double=DoubleSettings(connection_age_s=2.5, connection_grace_s=1.0),
        brief={"double": DoubleSettings(connection_age_s=1.6, connection_grace_s=0.6)},
        seen=Seen(streams=(4, 16)),
    ),
    ends(
        name="stall-mid-utterance",
        what="The stream stalls in mid-word, its socket open",
        faults=(Fault(kind=Kind.STALL, when=Moment.AUDIO, seconds=MID_S, streams=FIRST_TWO),),
        seen=Seen(streams=(3, 8), says=("reason=stalled",)),
    ),
    ends(
        name="stall-silence",
        what="The stream stalls between two sentences",
        faults=(Fault(kind=Kind.STALL, when=Moment.ELAPSED, seconds=QUIET_S, streams=FIRST_TWO),),
        brief={
            "talks": BRIEF,
            "faults": (
                Fault(kind=Kind.STALL, when=Moment.ELAPSED, seconds=BRIEF[0].quiet_s(0, 700), streams=FIRST_TWO),
            ),
            "patience": Patience(close=1.0),
        },
        seen=Seen(streams=(3, 8), says=("reason=stalled",)),
    ),
    ends(
        name="stall-no-pause",
        what="The stream stalls while the caller goes on for twelve seconds without a pause",
        talks=(Talk(utterances=sentences(FIRST, 20)), Talk(utterances=sentences(SECOND, 20), starts_s=0.6)),
        faults=(Fault(kind=Kind.STALL, when=Moment.AUDIO, seconds=2.0, streams=FIRST_TWO),),
        brief={
            "faults": (Fault(kind=Kind.STALL, when=Moment.AUDIO, seconds=1.3, streams=FIRST_TWO),),
            "patience": Patience(stall=1.2, close=1.0),
        },
        seen=Seen(
            streams=(4, 8), says=("reason=stalled",), then=("reason=stalled", "Final:")
        ),  # found out while they speak
    ),
    ends(
        name="stall-for-ever",
        what="Every stream stalls before its first answer",
        faults=(Fault(kind=Kind.STALL),),
        seen=Seen(streams=(2, 10)),
    ),
    ends(
        name="silence",
        what="A call's streams open and recognise nothing, ever",
        faults=(Fault(kind=Kind.SILENCE),),
        seen=Seen(streams=(2, 10)),
    ),
    ends(
        name="silence-then-well",
        what="Each call's first stream recognises nothing; later ones would",
        faults=(Fault(kind=Kind.SILENCE, streams=FIRST_TWO),),
        seen=Seen(streams=(3, 8)),
    ),
    ends(
        name="outage",
        what="Google ends all streams and refuses everything, single requests too, for 2 s in mid-call",
        steps=(
            Step(
                inject(
                    Fault(kind=Kind.END, running=True),
                    Fault(kind=Kind.END, surface=Surface.UNARY),
                ),
                at_s=MID_S,
            ),
            Step(clear, at_s=MID_S + 2.0),
        ),
    ),
)
