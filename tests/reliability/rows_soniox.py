"""Soniox as the one recognizer that streams, and Google's single requests behind it: its faults, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from batkol.app.patience import Patience
from batkol.simulators.soniox.faults import SonioxFault, SonioxFaultKind, SonioxMoment
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from reliability.rows_ends import MID_S, QUIET_S, TALKS
from reliability.scenario import FIRST, SECOND, Scenario, Seen, Talk, sentences

FIRST_TWO: Final = (1, 2)


UNPAUSING_BRIEFLY: Final = (
    Talk(utterances=sentences(FIRST, 7)),
    Talk(utterances=sentences(SECOND, 7), starts_s=0.3),
)
"""In the short form, where a session hangs: nobody pauses until that was found out."""


UNTIDY: Final = SonioxDoubleSettings(untidy=True, revised=0.3)


def _row(name: str, what: str, *faults: SonioxFault, brief: Mapping[str, Any] | None = None, **seen: Any) -> Scenario:
    return Scenario(
        name=name, what=what, group="soniox", talks=TALKS, soniox=faults, seen=Seen(**seen), brief=brief or {}
    )


def befallen(kind: SonioxFaultKind, **fields: Any) -> SonioxFault:
    return SonioxFault(**{"kind": kind, "when": SonioxMoment.AUDIO, "seconds": MID_S, "sessions": FIRST_TWO, **fields})


def refused(code: int, **fields: Any) -> SonioxFault:
    return befallen(SonioxFaultKind.ERROR, code=code, **fields)


ROWS: Final = (
    _row("soniox", "Nothing goes wrong", sources=frozenset({"final", "interim"}), streams=(2, 2), quiet=True),
    _row("soniox-restart", "503, `Cannot continue request`, in mid-word", refused(503), streams=(4, 6)),
    _row(
        "soniox-restart-between",
        "The same in the silence between two sentences",
        refused(503, seconds=QUIET_S),
        streams=(4, 6),
    ),
    _row(
        "soniox-restart-finalize",
        "The same when the final is asked for",
        refused(503, when=SonioxMoment.FINALIZE),
        streams=(4, 6),
    ),
    _row(
        "soniox-half-open",
        "The other end of the socket is gone, and it stays open",
        befallen(SonioxFaultKind.HALF_OPEN),
        says=("half_open|no ping",),
        streams=(4, 6),
    ),
    _row(
        "soniox-hang",
        "No token comes any more; pings are answered",
        befallen(SonioxFaultKind.STALL),
        says=("reason=stalled",),
        streams=(3, 8),
        brief={"talks": UNPAUSING_BRIEFLY, "patience": Patience(stall=1.2, close=1.0)},
    ),
    _row("soniox-drop", "The connection breaks in mid-word", befallen(SonioxFaultKind.DROP), streams=(4, 6)),
    _row(
        "soniox-silent",
        "A session hears nothing",
        befallen(SonioxFaultKind.SILENCE, when=SonioxMoment.START),
        streams=(2, 12),
    ),
    _row(
        "soniox-held-finals",
        "No `finalize` is answered",
        befallen(SonioxFaultKind.HELD_FINALS, when=SonioxMoment.START, sessions=()),
    ),
    _row(
        "soniox-refused",
        "The handshake is refused with 503, for 3 s",
        befallen(SonioxFaultKind.REFUSE, when=SonioxMoment.OPEN, seconds=0, sessions=(), lasts_s=3.0),
        streams=(3, 24),
    ),
    *(
        _row(
            f"soniox-{code}",
            f"{code} in mid-word, and for every session after it",
            refused(code, sessions=()),
            says=(reason,),
            streams=(2, 10),
            errors=code != 429,
        )
        for code, reason in ((401, "unauthenticated"), (402, "payment_required"), (429, "quota"))
    ),
    _row(
        "soniox-408",
        "408, for want of audio, in the silence between two sentences",
        refused(408, seconds=QUIET_S),
        streams=(3, 6),
    ),
    replace(
        _row("soniox-untidy", "Tokens that were shown change, times go back or are missing", streams=(2, 2)),
        soniox_double=UNTIDY,
    ),
    replace(
        _row("soniox-untidy-restart", "The same, and 503 in mid-word", refused(503), streams=(4, 6)),
        soniox_double=UNTIDY,
    ),
    _row("soniox-413", "413, the longest session there is, in mid-word", refused(413), streams=(4, 6)),
)
