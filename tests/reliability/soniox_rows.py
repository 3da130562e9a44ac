"""The fault matrix with Soniox as the recognizer that streams, and Google's single requests behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from batkol.simulators.soniox.faults import SonioxFault, SonioxFaultKind, SonioxMoment
from reliability.rows_ends import MID_S, QUIET_S, TALKS
from reliability.scenario import Scenario, Seen
from reliability.trial import Result

FIRST_TWO: Final = (1, 2)


def _row(name: str, what: str, *faults: SonioxFault, **seen: Any) -> Scenario:
    return Scenario(name=name, what=what, group="soniox", talks=TALKS, soniox=faults, seen=Seen(**seen))


def _across(name: str, what: str, *faults: SonioxFault, **seen: Any) -> Scenario:
    """Return a row in which Google's streams take over."""
    row = _row(name, what, *faults, **{"streams": (4, 12), "says": ("another recognizer hears the call",), **seen})
    return replace(row, settings={"stt_recognizers_order": ("soniox/stt-rt-v5", "google-v1/default")})


def _fault(kind: SonioxFaultKind, **fields: Any) -> SonioxFault:
    return SonioxFault(**{"kind": kind, "when": SonioxMoment.AUDIO, "seconds": MID_S, "sessions": FIRST_TWO, **fields})


def _error(code: int, **fields: Any) -> SonioxFault:
    return _fault(SonioxFaultKind.ERROR, code=code, **fields)


ROWS: Final = (
    _row("soniox", "Nothing goes wrong", sources=frozenset({"final", "interim"}), streams=(2, 2), quiet=True),
    _row("soniox-restart", "503, `Cannot continue request`, in mid-word", _error(503), streams=(4, 6)),
    _row(
        "soniox-restart-between",
        "The same in the silence between two sentences",
        _error(503, seconds=QUIET_S),
        streams=(4, 6),
    ),
    _row(
        "soniox-restart-finalize",
        "The same when the final is asked for",
        _error(503, when=SonioxMoment.FINALIZE),
        streams=(4, 6),
    ),
    _row(
        "soniox-half-open",
        "The other end of the socket is gone, and it stays open",
        _fault(SonioxFaultKind.HALF_OPEN),
        says=("half_open|no ping",),
        streams=(4, 6),
    ),
    _row("soniox-hang", "No token comes any more; pings are answered", _fault(SonioxFaultKind.STALL), streams=(3, 8)),
    _row("soniox-drop", "The connection breaks in mid-word", _fault(SonioxFaultKind.DROP), streams=(4, 6)),
    _row(
        "soniox-silent",
        "A session hears nothing",
        _fault(SonioxFaultKind.SILENCE, when=SonioxMoment.START),
        streams=(2, 12),
    ),
    _row(
        "soniox-held-finals",
        "No `finalize` is answered",
        _fault(SonioxFaultKind.HELD_FINALS, when=SonioxMoment.START, sessions=()),
    ),
    _row(
        "soniox-refused",
        "The handshake is refused with 503, for 3 s",
        _fault(SonioxFaultKind.REFUSE, when=SonioxMoment.OPEN, seconds=0, sessions=(), lasts_s=3.0),
        streams=(3, 24),
    ),
    *(
        _row(
            f"soniox-{code}",
            f"{code} in mid-word, and for every session after it",
            _error(code, sessions=()),
            says=(reason,),
            streams=(2, 10),
            errors=code != 429,
        )
        for code, reason in ((401, "unauthenticated"), (402, "payment_required"), (429, "quota"))
    ),
    _row(
        "soniox-408",
        "408, for want of audio, in the silence between two sentences",
        _error(408, seconds=QUIET_S),
        streams=(3, 6),
    ),
    _row("soniox-413", "413, the longest session there is, in mid-word", _error(413), streams=(4, 6)),
    _across(
        "soniox-401-google",
        "401 in mid-word and for every session; Google's streams take over",
        _error(401, sessions=()),
        errors=True,
    ),
    _across(
        "soniox-hang-google",
        "No token comes any more, in mid-word; Google's streams take over",
        _fault(SonioxFaultKind.STALL, sessions=()),
        says=(),  # in the short form the call is over before that
        streams=(2, 12),
    ),
    _across(
        "soniox-429-google",
        "429 in mid-word and for every session; Google's streams take over",
        _error(429, sessions=()),
    ),
    _across(
        "soniox-refused-google",
        "Every handshake is refused with 503; Google's streams take over",
        _fault(SonioxFaultKind.REFUSE, when=SonioxMoment.OPEN, seconds=0, sessions=()),
    ),
)

BY_DAY: Final = frozenset({"soniox-half-open", "soniox-401-google"})


def line(result: Result) -> str:
    """Return a row of the table in docs/soniox.md."""
    late = "–" if result.latency_p50_ms is None else f"{result.latency_p50_ms:.0f} / {result.latency_p95_ms:.0f}"
    sources = ", ".join(f"{name} {count}" for name, count in sorted(result.sources.items()))
    cells = (
        f"`{result.name}`",
        result.what,
        str(result.record.sent),
        str(result.record),
        str(result.streams),
        late,
        sources,
    )
    return f"| {' | '.join(cells)} |"
