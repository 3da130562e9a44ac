"""Soniox and Google's streams behind one another: a fault, flag, tuning or drain; one goes on where the other was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec

from batkol.app.patience import Patience
from batkol.simulators.google.faults import Fault, Kind, Moment, Surface
from batkol.simulators.soniox.faults import SonioxFault, SonioxFaultKind
from reliability import rows_soniox
from reliability.ground import GOOGLE, SONIOX, choose, order
from reliability.rows_crossed import drained, ended, flipped
from reliability.rows_ends import MID_S, TALKS
from reliability.rows_limit import LIMIT, PAUSING, ROTATING
from reliability.rows_operations import SENTENCES
from reliability.rows_soniox import UNPAUSING_BRIEFLY, befallen, refused
from reliability.scenario import FIRST, SECOND, Scenario, Seen, Step, Talk, sentences

CHANGED: Final = "another recognizer hears the call"
TO_GOOGLE: Final = f"{CHANGED} recognizer={GOOGLE} before={SONIOX}"
TO_SONIOX: Final = f"{CHANGED} recognizer={SONIOX} before={GOOGLE}"
CHOSEN: Final = "reason=chosen"
NO_RECOGNIZER: Final = "'soniox-v9/none' is no recognizer of this service"

SHUT: Final = SonioxFault(kind=SonioxFaultKind.REFUSE)
"""Soniox refuses every handshake."""

ALL_OF_GOOGLE: Final = tuple(Fault(kind=Kind.END, surface=surface) for surface in Surface)

RESTED: Final = (
    Talk(utterances=sentences(FIRST, 4, 3, 3), gap_ms=16_500),
    Talk(utterances=sentences(SECOND, 3, 4, 3), gap_ms=16_500, starts_s=0.6),
)
"""Between a fault in their first sentence and their third one, a recognizer that was left has rested for its 30 s."""


def _row(name: str, what: str, first: str = SONIOX, **fields: Any) -> Scenario:
    order = (first, GOOGLE if first == SONIOX else SONIOX)
    settings = {"stt_recognizer": first, "stt_recognizers_order": order, **fields.pop("settings", {})}
    given = {"group": "recognizers", "talks": TALKS, "soniox": (), **fields}
    return Scenario(name=name, what=what, settings=settings, **given)


def _to_google(name: str, what: str, *faults: SonioxFault, errors: bool = False, **fields: Any) -> Scenario:
    """Return a row in which Google's streams take over from Soniox."""
    seen = Seen(says=(TO_GOOGLE,), streams=(4, 12), errors=errors)
    return _row(name, f"{what}; Google's streams take over", soniox=faults, seen=seen, **fields)


def _to_soniox(name: str, what: str, *faults: Fault, errors: bool = False, **fields: Any) -> Scenario:
    """Return a row in which Soniox takes over from Google's streams."""
    seen = Seen(says=(TO_SONIOX,), streams=(4, 12), errors=errors)
    return _row(name, f"{what}; Soniox takes over", GOOGLE, faults=faults, seen=seen, **fields)


def _ends(code: str) -> Fault:
    return Fault(kind=Kind.END, code=code, when=Moment.AUDIO, seconds=MID_S)


_UNPAUSING: Final = (
    Talk(utterances=sentences(FIRST, 14)),
    Talk(utterances=sentences(SECOND, 14), starts_s=0.6),
)
_HANG: Final[dict[str, Any]] = {"brief": {"talks": UNPAUSING_BRIEFLY, "patience": Patience(stall=1.2, close=1.0)}}

FAULTS: Final = (
    _to_google("soniox-401-google", "401 in mid-word and for every session", refused(401, sessions=()), errors=True),
    _to_google("soniox-429-google", "429 in mid-word and for every session", refused(429, sessions=())),
    _to_google("soniox-refused-google", "Every handshake is refused with 503", SHUT),
    _to_google(
        "soniox-hang-google",
        "No token comes any more, in mid-word, from any session",
        befallen(SonioxFaultKind.STALL, sessions=()),
        **_HANG,
    ),
    _to_google(
        "soniox-hang-google-no-pause",
        "The same while nobody pauses",
        befallen(SonioxFaultKind.STALL, sessions=()),
        talks=_UNPAUSING,
        **_HANG,
    ),
    _to_google(
        "soniox-half-open-google",
        "The other end of every socket is gone, in mid-word",
        befallen(SonioxFaultKind.HALF_OPEN, sessions=()),
        talks=_UNPAUSING,
        brief={"talks": _UNPAUSING},  # two sessions are found dead before Google's streams are asked
    ),
    _to_soniox(
        "google-denied-soniox",
        "Google: PERMISSION_DENIED in mid-word and for every stream",
        _ends("PERMISSION_DENIED"),
        errors=True,
    ),
    _to_soniox("google-quota-soniox", "Google: RESOURCE_EXHAUSTED in mid-word", _ends("RESOURCE_EXHAUSTED")),
    _to_soniox("google-refused-soniox", "Google: UNAVAILABLE whenever a stream opens", Fault(kind=Kind.END)),
    _to_soniox(
        "google-hang-soniox-no-pause",
        "Google's streams stall in mid-word, all of them, while nobody pauses",
        Fault(kind=Kind.STALL, when=Moment.AUDIO, seconds=MID_S),
        talks=_UNPAUSING,
        **_HANG,
    ),
)

AT_LIMITS: Final = _row(
    "google-limit-soniox",
    "Google's streams meet their limit, and none can be opened from before that on; Soniox takes over",
    GOOGLE,
    talks=PAUSING,
    double=LIMIT,
    settings=ROTATING,
    faults=tuple(Fault(kind=Kind.END, streams=(number,)) for number in range(3, 60)),
    seen=Seen(streams=(4, 24)),
)

_SHORT_SENTENCES: Final = tuple(
    replace(talk, utterances=tuple(words[:2] for words in talk.utterances)) for talk in SENTENCES
)

FLAG: Final = (
    _row(
        "soniox-flag-google",
        "The flag names Google in mid-word, and Soniox again in mid-word of the next sentence",
        talks=SENTENCES,
        steps=(
            Step(choose(GOOGLE), at_s=SENTENCES[0].word_s(1)),
            Step(choose(SONIOX), at_s=SENTENCES[0].word_s(7)),
        ),
        seen=Seen(then=(f"{TO_GOOGLE} {CHOSEN}", f"{TO_SONIOX} {CHOSEN}"), streams=(6, 8), quiet=True),
        brief={
            "talks": _SHORT_SENTENCES,
            "steps": (Step(choose(GOOGLE), at_s=0.8), Step(choose(SONIOX), at_s=4.2)),
        },
    ),
    _row(
        "soniox-flag-refused",
        "The flag names Google in mid-word, whose streams are refused: Soniox goes on",
        talks=SENTENCES,
        faults=(Fault(kind=Kind.END),),
        steps=(Step(choose(GOOGLE), at_s=SENTENCES[0].word_s(1)),),
        seen=Seen(streams=(3, 12)),
    ),
    _row(
        "soniox-flag-restart",
        "The flag names Google, and in the same word Soniox ends the session with 503",
        talks=SENTENCES,
        soniox=(refused(503),),
        steps=(Step(choose(GOOGLE), at_s=MID_S - 0.1),),
        seen=Seen(says=(f"{TO_GOOGLE} {CHOSEN}",), streams=(4, 10)),
    ),
    _row(
        "soniox-flag-hang",
        "The flag names Google while Soniox's sessions hang",
        talks=SENTENCES,
        soniox=(befallen(SonioxFaultKind.STALL, sessions=()),),
        steps=(Step(choose(GOOGLE), at_s=MID_S + 0.3),),
        seen=Seen(says=(TO_GOOGLE,), streams=(4, 10)),
    ),
)

TUNING: Final = (
    _row(
        "soniox-order-google",
        "The tuning names Google first in mid-word, and Soniox again in mid-word of the next sentence",
        talks=SENTENCES,
        steps=(
            Step(order(GOOGLE, SONIOX), at_s=SENTENCES[0].word_s(1)),
            Step(order(SONIOX, GOOGLE), at_s=SENTENCES[0].word_s(4)),
        ),
        seen=Seen(then=(f"{TO_GOOGLE} {CHOSEN}", f"{TO_SONIOX} {CHOSEN}"), streams=(6, 8), quiet=True),
        brief={
            "talks": _SHORT_SENTENCES,
            "steps": (Step(order(GOOGLE, SONIOX), at_s=0.8), Step(order(SONIOX, GOOGLE), at_s=4.2)),
        },
    ),
    _row(
        "soniox-order-alone",
        "The tuning names Google alone in mid-word while nobody pauses, and Soniox alone a second later",
        talks=_UNPAUSING,
        steps=(
            Step(order(GOOGLE), at_s=_UNPAUSING[0].word_s(2)),
            Step(order(SONIOX), at_s=_UNPAUSING[0].word_s(2) + 1.0),
        ),
        seen=Seen(then=(f"{TO_GOOGLE} {CHOSEN}", f"{TO_SONIOX} {CHOSEN}"), streams=(6, 8), quiet=True),
        brief={"talks": UNPAUSING_BRIEFLY},
    ),
    _row(
        "soniox-order-hang",
        "The tuning names Google first in mid-word while Soniox's sessions hang",
        talks=SENTENCES,
        soniox=(befallen(SonioxFaultKind.STALL, sessions=()),),
        steps=(Step(order(GOOGLE, SONIOX), at_s=MID_S + 0.3),),
        seen=Seen(says=(f"{TO_GOOGLE} {CHOSEN}",), streams=(4, 10)),
    ),
    _row(
        "soniox-order-refused",
        "The tuning names Google first in mid-word, whose streams are refused: Soniox goes on",
        talks=SENTENCES,
        faults=(Fault(kind=Kind.END),),
        steps=(Step(order(GOOGLE, SONIOX), at_s=SENTENCES[0].word_s(1)),),
        seen=Seen(streams=(3, 12)),
    ),
    _row(
        "soniox-order-invalid",
        "The tuning names Google first in mid-word; then a recognizer that there is not: the calls stay with Google",
        talks=SENTENCES,
        steps=(
            Step(order(GOOGLE, SONIOX), at_s=SENTENCES[0].word_s(1)),
            Step(order("soniox-v9/none", SONIOX), at_s=SENTENCES[0].word_s(4)),
        ),
        seen=Seen(
            says=(f"{TO_GOOGLE} {CHOSEN}", NO_RECOGNIZER),
            then=(f"{TO_GOOGLE} {CHOSEN}", NO_RECOGNIZER),
            never=(TO_SONIOX,),
            streams=(4, 6),
        ),
        brief={
            "talks": _SHORT_SENTENCES,
            "steps": (Step(order(GOOGLE, SONIOX), at_s=0.8), Step(order("soniox-v9/none", SONIOX), at_s=4.2)),
        },
    ),
)

BOTH: Final = (
    _row(
        "soniox-google-refused",
        "Soniox refuses every handshake and Google every stream: single requests hear the calls",
        soniox=(SHUT,),
        faults=(Fault(kind=Kind.END),),
        seen=Seen(sources=frozenset({"single"}), streams=(4, 24)),
    ),
    _row(
        "soniox-google-ended",
        "Soniox ends in mid-word and Google's streams in theirs, for good: single requests hear the calls",
        soniox=(refused(429, sessions=()),),
        faults=(Fault(kind=Kind.END, when=Moment.FIRST_AUDIO),),
        seen=Seen(says=(TO_GOOGLE,), streams=(4, 24)),
    ),
    _row(
        "soniox-google-whisper",
        "The same, and single requests are refused, too: Whisper hears the calls",
        soniox=(SHUT,),
        faults=ALL_OF_GOOGLE,
        whisper=True,
        seen=Seen(whispered=True, streams=(4, 24)),
    ),
    _row(
        "soniox-google-briefly",
        "Both refuse everything for 3 s",
        talks=SENTENCES,
        soniox=(msgspec.structs.replace(SHUT, lasts_s=3.0),),
        faults=tuple(msgspec.structs.replace(fault, lasts_s=3.0) for fault in ALL_OF_GOOGLE),
        seen=Seen(streams=(3, 24)),
    ),
    _row(
        "soniox-rested",
        "429 in mid-word, once; Google's streams take over, and Soniox hears the call again after 30 s",
        talks=RESTED,
        soniox=(refused(429),),
        seen=Seen(then=(f"{TO_GOOGLE} reason=quota", f"{TO_SONIOX} {CHOSEN}"), streams=(6, 12)),
    ),
)

_AGAIN: Final = (
    *(row for row in rows_soniox.ROWS if row.name in {"soniox-restart", "soniox-half-open", "soniox-hang"}),
    *(row for row in FAULTS if row.name in {"soniox-401-google", "soniox-hang-google", "soniox-refused-google"}),
)


def _crossed(row: Scenario) -> tuple[Scenario, ...]:
    """Return the row with the flag flipped off and on, with a drain, and with a drain whose time is up."""
    unsure = replace(row, seen=replace(row.seen, says=()))  # a session that nobody wants any more fails unnoticed
    crossed = (flipped(unsure), drained(row), ended(unsure))
    return tuple(replace(each, group=f"recognizers-{each.group}") for each in crossed)


ROWS: Final = (*FAULTS, AT_LIMITS, *FLAG, *TUNING, *BOTH, *(each for row in _AGAIN for each in _crossed(row)))
