"""Google answers late, twice, for two sentences at once; refuses for quota, for pace, for what is asked or who asks."""

from __future__ import annotations

from typing import Any, Final

from batkol.app.patience import Patience
from batkol.simulators.google.faults import Fault, Kind, Moment, Surface
from batkol.simulators.google.settings import DoubleSettings
from reliability.rows_ends import MID_S, TALKS, dies
from reliability.rows_limit import BRIEF_LIMIT, BRIEF_ROTATING
from reliability.scenario import FIRST, SECOND, THIRD, Scenario, Seen, Talk, sentences

NO_QUOTA: Final = "RESOURCE_EXHAUSTED"
TIGHT: Final = DoubleSettings(pacing_factor=1.3, pacing_burst_s=1.2, pacing_status=NO_QUOTA)
THREE: Final = (
    Talk(utterances=sentences(FIRST, 3, 3)),
    Talk(utterances=sentences(SECOND, 3, 3), starts_s=0.4),
    Talk(utterances=(THIRD[:3], THIRD[3:6]), starts_s=0.8),
)
LOCKED_OUT: Final = Seen(
    streams=(1, 4),
    unary=(1, 8),
    sources=frozenset({"whisper"}),
    says=("unauthenticated",),
    whispered=True,
    errors=True,
)
"""Nobody at Google knows us any more: nothing is asked again and again, and Whisper has every word."""

REFUSED_ONCE: Final = Seen(streams=(2, 2), says=("quota",))
"""Each call asks once, and stays away from streaming: a further attempt would feed the storm."""


def answers(**fields: Any) -> Scenario:
    """Return a row about what Google says."""
    return Scenario(**{"group": "answers", "talks": TALKS, **fields})


def refuses(**fields: Any) -> Scenario:
    """Return a row about what Google refuses."""
    return Scenario(**{"group": "refusals", "talks": TALKS, **fields})


def both(code: str, text: str = "") -> tuple[Fault, ...]:
    """Streams and single requests are refused, always."""
    return tuple(Fault(kind=Kind.END, code=code, text=text, surface=surface) for surface in Surface)


ROWS: Final = (
    answers(
        name="late-finals",
        what="Every final comes 3 s late",
        faults=(Fault(kind=Kind.SLOW_FINALS, latency_s=3),),
        seen=Seen(streams=(2, 4)),
    ),
    answers(
        name="double-finals",
        what="Every final comes three times",
        faults=(Fault(kind=Kind.REPEATED_FINALS, repeats=2),),
        seen=Seen(quiet=True, streams=(2, 2)),
    ),
    answers(
        name="merged-finals",
        what="A final spans two sentences",
        faults=(Fault(kind=Kind.MERGED_FINALS, utterances=2),),
        seen=Seen(streams=(2, 4)),
    ),
    answers(
        name="merged-double-finals",
        what="A final spans two sentences, and comes twice",
        faults=(Fault(kind=Kind.MERGED_FINALS, utterances=2), Fault(kind=Kind.REPEATED_FINALS)),
        seen=Seen(streams=(2, 4)),
    ),
    answers(
        name="no-audio",
        what="Google's time-out for want of audio strikes during a hold",
        talks=(
            Talk(utterances=sentences(FIRST, 4, 3, 3), holds=((3000, 3000),)),
            Talk(utterances=sentences(SECOND, 4, 3, 3), starts_s=0.6, holds=((3200, 2500),)),
        ),
        brief={
            "talks": (
                Talk(utterances=sentences(FIRST, 2, 2), holds=((1900, 1500),)),
                Talk(utterances=sentences(SECOND, 2, 2), starts_s=0.3, holds=((1900, 1200),)),
            )
        },
        double=DoubleSettings(no_audio_s=0.7),
        seen=Seen(quiet=True, streams=(4, 6)),
    ),
    refuses(
        name="quota-storm",
        what="RESOURCE_EXHAUSTED whenever a stream opens, for 3 s",
        faults=(Fault(kind=Kind.END, code=NO_QUOTA, lasts_s=3),),
        seen=REFUSED_ONCE,
    ),
    refuses(
        name="quota-mid-utterance",
        what="RESOURCE_EXHAUSTED in mid-word",
        faults=dies(NO_QUOTA, Moment.AUDIO, MID_S),
        seen=REFUSED_ONCE,
    ),
    refuses(
        name="pacing-replay",
        what="UNAVAILABLE in mid-sentence, and Google takes a replay faster than 1.3 times real time for a flood",
        talks=(
            Talk(utterances=sentences(FIRST, 8, 3)),
            Talk(utterances=sentences(SECOND, 8, 3), starts_s=0.6),
        ),
        faults=dies("UNAVAILABLE", Moment.AUDIO, 3.5),
        double=TIGHT,
        settings={"stt_replay_rate": 1.25},
    ),
    refuses(
        name="pacing-refused",
        what="The same, and the replay is too fast: RESOURCE_EXHAUSTED at it",
        talks=(
            Talk(utterances=sentences(FIRST, 8, 3)),
            Talk(utterances=sentences(SECOND, 8, 3), starts_s=0.6),
        ),
        faults=dies("UNAVAILABLE", Moment.AUDIO, 3.5),
        double=TIGHT,
        settings={"stt_replay_rate": 4.0},
        brief={
            "talks": (
                Talk(utterances=sentences(FIRST, 6, 2)),
                Talk(utterances=sentences(SECOND, 6, 2), starts_s=0.3),
            ),
            "faults": dies("UNAVAILABLE", Moment.AUDIO, 3.0),
        },
        seen=Seen(streams=(4, 4), says=("quota",)),
    ),
    refuses(
        name="model",
        what="Google lacks the model for Hebrew; `default` it has",
        double=DoubleSettings(models=("", "default")),
        settings={"gcp_stt_model": "command_and_search"},
        seen=Seen(streams=(3, 6), says=("model",), errors=True),
    ),
    refuses(
        name="invalid",
        what="INVALID_ARGUMENT for streams, whatever is asked",
        faults=(Fault(kind=Kind.END, code="INVALID_ARGUMENT", text="Invalid recognition 'config': bad encoding."),),
        seen=Seen(streams=(1, 4), sources=frozenset({"single"}), says=("invalid_argument",), errors=True),
    ),
    refuses(
        name="credentials-streams",
        what="UNAUTHENTICATED for streams; single requests are answered",
        faults=(Fault(kind=Kind.END, code="UNAUTHENTICATED"),),
        seen=Seen(streams=(1, 4), sources=frozenset({"single"}), says=("unauthenticated",), errors=True),
    ),
    refuses(
        name="credentials-all",
        what="UNAUTHENTICATED for everything; Whisper is the only one left",
        faults=both("UNAUTHENTICATED"),
        whisper=True,
        seen=LOCKED_OUT,
    ),
    refuses(
        name="credentials-revoked",
        what="UNAVAILABLE, `invalid_grant`, for everything (the key was revoked); Whisper is the only one left",
        faults=both("UNAVAILABLE", "Getting metadata from plugin failed with error: ('invalid_grant: Bad Request',)"),
        whisper=True,
        seen=LOCKED_OUT,
    ),
    refuses(
        name="single-fails-too",
        what="UNAVAILABLE for streams and single requests; Whisper is asked",
        faults=both("UNAVAILABLE"),
        whisper=True,
        seen=Seen(sources=frozenset({"whisper"}), whispered=True),
    ),
    refuses(
        name="single-slow",
        what="UNAVAILABLE for streams, and single requests take 3 s",
        faults=(Fault(kind=Kind.END), Fault(kind=Kind.SLOW_FINALS, surface=Surface.UNARY, latency_s=3.0)),
        seen=Seen(sources=frozenset({"single"})),
    ),
    refuses(
        name="single-stalls-too",
        what="UNAVAILABLE for streams, and single requests are never answered; Whisper is asked",
        faults=(Fault(kind=Kind.END), Fault(kind=Kind.STALL, surface=Surface.UNARY)),
        whisper=True,
        talks=(Talk(utterances=sentences(FIRST, 3)), Talk(utterances=sentences(SECOND, 3), starts_s=0.6)),
        brief={"patience": Patience(single=1.0)},
        seen=Seen(sources=frozenset({"whisper"}), whispered=True),
    ),
    refuses(
        name="own-quota",
        what="Three calls, and this process may have one stream (STT_MAX_STREAMS=1)",
        talks=THREE,
        settings={"stt_max_streams": 1},
        seen=Seen(streams=(1, 4), unary=(2, 8)),
    ),
    refuses(
        name="own-quota-rotation",
        what="All streams this process may have are taken, and they are due for rotation",
        talks=(
            Talk(utterances=sentences(FIRST, 4, 4, 4)),
            Talk(utterances=sentences(SECOND, 3, 5, 3), starts_s=0.6),
        ),
        double=DoubleSettings(stream_limit_s=6.0),
        settings={"stt_max_streams": 2, "stt_rotate_after_s": 3.0, "stt_rotate_by_s": 4.5},
        brief={
            "talks": (
                Talk(utterances=sentences(FIRST, 2, 3)),
                Talk(utterances=sentences(SECOND, 3, 2), starts_s=0.3),
            ),
            "double": BRIEF_LIMIT,
            "settings": {"stt_max_streams": 2, **BRIEF_ROTATING},
        },
        seen=Seen(streams=(4, 8)),
    ),
)
