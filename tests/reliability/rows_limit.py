"""Google's stream limit, met in every way a caller can. Scaled: 305, 240 and 285 s are 6, 3 and 4.5."""

from __future__ import annotations

from typing import Any, Final

from batkol.app.patience import Patience
from batkol.simulators.google.faults import Fault, Kind, Moment
from batkol.simulators.google.settings import DoubleSettings
from reliability.ground import inject
from reliability.scenario import FIRST, SECOND, Scenario, Seen, Step, Talk, sentences

LIMIT: Final = DoubleSettings(stream_limit_s=6.0)
ROTATING: Final[dict[str, Any]] = {"stt_rotate_after_s": 3.0, "stt_rotate_by_s": 4.5}

PAUSING: Final = (
    Talk(utterances=sentences(FIRST, 4, 4, 4, 4)),
    Talk(utterances=sentences(SECOND, 3, 5, 3, 5), starts_s=0.6),
)
UNPAUSING: Final = (
    Talk(utterances=sentences(FIRST, 24)),
    Talk(utterances=sentences(SECOND, 24), starts_s=0.5),
)
ONCE: Final = (
    Talk(utterances=sentences(FIRST, 4, 4, 4)),
    Talk(utterances=sentences(SECOND, 3, 5, 3), starts_s=0.6),
)
SEAMED: Final = (
    Talk(utterances=sentences(FIRST, 11, 3, 3)),
    Talk(utterances=sentences(SECOND, 11, 3, 3), starts_s=0.5),
)
"""Their first sentences go on beyond the forced rotation, and end soon after it."""

NEXT: Final = (3, 4)
"""The streams that take over first: the double counts from 1, and two calls have opened one each."""

BRIEF_LIMIT: Final = DoubleSettings(stream_limit_s=4.2)
BRIEF_ROTATING: Final[dict[str, Any]] = {"stt_rotate_after_s": 1.0, "stt_rotate_by_s": 3.0}
"""The limit in the short form.

A forced seam lies a second before, and the next stream hears three quarters more: with less than 3 s it would hear the
whole call, and no row could miss what the old stream heard.
"""

BRIEF_PAUSING: Final = tuple(Talk(utterances=sentences(v, 2, 3), starts_s=s) for v, s in ((FIRST, 0.0), (SECOND, 0.3)))
BRIEF_ONCE_MORE: Final = tuple(
    Talk(utterances=sentences(v, 2, 3, 2), starts_s=s) for v, s in ((FIRST, 0.0), (SECOND, 0.3))
)
BRIEF_SEAMED: Final = tuple(Talk(utterances=sentences(v, 6, 2), starts_s=s) for v, s in ((FIRST, 0.0), (SECOND, 0.3)))


def limited(**fields: Any) -> Scenario:
    """Return a row of this page."""
    scaled = {"double": BRIEF_LIMIT, "settings": BRIEF_ROTATING}
    talks = {"talks": BRIEF_PAUSING} if fields["talks"] is PAUSING else {}
    brief = {**scaled, **talks, **fields.pop("brief", {})}
    return Scenario(**{"group": "limit", "double": LIMIT, "settings": ROTATING, "brief": brief, **fields})


ROWS: Final = (
    limited(
        name="limit-pauses",
        what="Two limits pass while callers speak in sentences",
        talks=PAUSING,
        seen=Seen(quiet=True, says=("Stream rotated",), streams=(4, 10), unary=(0, 0)),
    ),
    limited(
        name="limit-no-pause",
        what="Two limits pass and nobody ever pauses: rotation is forced in mid-word",
        talks=UNPAUSING,
        seen=Seen(quiet=True, says=("Stream rotated", "forced"), streams=(4, 10), unary=(0, 0)),
    ),
    limited(
        name="limit-silent",
        what="The caller is silent across two limits, then speaks",
        talks=(Talk(utterances=sentences(FIRST, 3, 4), gap_ms=10_500),),
        seen=Seen(quiet=True, says=("Stream rotated",), streams=(3, 6), unary=(0, 0)),
    ),
    limited(
        name="limit-hold",
        what="The caller is on hold, with no media at all, across a limit",
        talks=(
            Talk(utterances=sentences(FIRST, 3, 4), gap_ms=1200, holds=((2600, 6500),)),
            Talk(utterances=sentences(SECOND, 3, 3, 3), starts_s=0.5),
        ),
        brief={
            "talks": (
                Talk(utterances=sentences(FIRST, 2, 2), holds=((1900, 3400),)),
                Talk(utterances=sentences(SECOND, 2, 3, 2), starts_s=0.3),
            ),
            "seen": Seen(says=("Stream rotated",), streams=(3, 14)),
        },
        seen=Seen(quiet=True, says=("Stream rotated",), streams=(3, 8), unary=(0, 0)),
    ),
    limited(
        name="limit-held-finals",
        what="Google gives interims and no final until the half-close",
        talks=PAUSING,
        faults=(Fault(kind=Kind.HELD_FINALS),),
        seen=Seen(streams=(4, 10)),
    ),
    limited(
        name="limit-no-finals",
        what="An interim never becomes final, not even after the half-close",
        talks=ONCE,
        faults=(Fault(kind=Kind.SLOW_FINALS, latency_s=30),),
    ),
    limited(
        name="limit-slow-finals",
        what="Finals come 2.5 s late, across rotations",
        talks=PAUSING,
        faults=(Fault(kind=Kind.SLOW_FINALS, latency_s=2.5),),
        seen=Seen(streams=(4, 12)),
    ),
    limited(
        name="limit-early",
        what="Google ends every stream before rotation is due, in mid-word",
        talks=UNPAUSING,
        double=DoubleSettings(stream_limit_s=2.6),
        seen=Seen(streams=(6, 30)),
    ),
    limited(
        name="rotation-refused",
        what="The next stream cannot be opened for a while (UNAVAILABLE), then it can, before the limit",
        talks=PAUSING,
        steps=(Step(inject(Fault(kind=Kind.END, lasts_s=1.8)), at_s=2.7),),
        brief={"steps": (Step(inject(Fault(kind=Kind.END, lasts_s=1.8)), at_s=0.8),)},
        seen=Seen(streams=(5, 24)),
    ),
    limited(
        name="rotation-refused-long",
        what="The next stream cannot be opened until after the limit",
        talks=PAUSING,
        steps=(Step(inject(Fault(kind=Kind.END, lasts_s=4.5)), at_s=2.7),),
    ),
    limited(
        name="rotation-refused-no-pause",
        what="The same while nobody pauses",
        talks=UNPAUSING,
        steps=(Step(inject(Fault(kind=Kind.END, lasts_s=4.5)), at_s=2.7),),
    ),
    limited(
        name="rotation-deaf",
        what="The next stream opens and answers nothing, its socket open",
        talks=PAUSING,
        faults=(Fault(kind=Kind.STALL, streams=NEXT),),
        brief={"talks": BRIEF_ONCE_MORE, "patience": Patience(stall=1.2, close=1.0)},
    ),
    limited(
        name="rotation-dies",
        what="The next stream dies half a second after it took over",
        talks=UNPAUSING,
        faults=(Fault(kind=Kind.END, when=Moment.ELAPSED, seconds=0.5, streams=NEXT),),
    ),
    limited(
        name="rotation-dies-at-open",
        what="The next stream dies with its first audio",
        talks=PAUSING,
        faults=(Fault(kind=Kind.END, when=Moment.FIRST_AUDIO, streams=NEXT),),
    ),
    limited(
        name="half-close-unavailable",
        what="The old stream dies at its half-close (UNAVAILABLE)",
        talks=UNPAUSING,
        faults=(Fault(kind=Kind.END, when=Moment.HALF_CLOSE, streams=(1, 2)),),
    ),
    limited(
        name="half-close-stall",
        what="The old stream says nothing more after its half-close, and does not end",
        talks=UNPAUSING,
        faults=(Fault(kind=Kind.STALL, when=Moment.HALF_CLOSE, streams=(1, 2)),),
    ),
    limited(
        name="half-close-stall-then-done",
        what="The same, and the sentence is over, its interim promoted, before the old stream is given up",
        talks=SEAMED,
        faults=(Fault(kind=Kind.STALL, when=Moment.HALF_CLOSE, streams=(1, 2)),),
    ),
    limited(
        name="half-close-unavailable-then-done",
        what="The same with UNAVAILABLE at the half-close",
        talks=SEAMED,
        faults=(Fault(kind=Kind.END, when=Moment.HALF_CLOSE, streams=(1, 2)),),
        brief={"talks": BRIEF_SEAMED},
    ),
    limited(
        name="half-close-stall-late-finals",
        what="Finals take 2 s, and every stream that is half-closed before one says nothing more",
        talks=PAUSING,
        faults=(Fault(kind=Kind.SLOW_FINALS, latency_s=2.0), Fault(kind=Kind.STALL, when=Moment.HALF_CLOSE)),
        brief={"patience": Patience(close=1.0)},
    ),
    limited(
        name="half-close-stall-no-pause",
        what="Nobody pauses, and every half-closed stream says nothing more",
        talks=(Talk(utterances=sentences(FIRST, 15)), Talk(utterances=sentences(SECOND, 15), starts_s=0.5)),
        faults=(Fault(kind=Kind.STALL, when=Moment.HALF_CLOSE),),
    ),
    limited(
        name="rotation-quota",
        what="RESOURCE_EXHAUSTED when the next stream opens",
        talks=PAUSING,
        faults=(Fault(kind=Kind.END, code="RESOURCE_EXHAUSTED", streams=NEXT),),
        seen=Seen(streams=(4, 14)),
    ),
)
