"""Faults of Soniox as data: the sessions they hit, the moment, and the kind.

SonioxFault(kind=SonioxFaultKind.ERROR, code=503, when=SonioxMoment.AUDIO, seconds=2.5)   every session ends in mid-word
SonioxFault(kind=SonioxFaultKind.HALF_OPEN, when=SonioxMoment.AUDIO, seconds=3, sessions=(1,))   the first one is dead
SonioxFault(kind=SonioxFaultKind.REFUSE, code=503, lasts_s=5)                             no socket opens for 5 s
SonioxFault(kind=SonioxFaultKind.WRONG_TIMES, times_ms=1e9, totals_ms=None)               one message cannot be right
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import UNSET, UnsetType

from batkol.simulators.double_faults import DoubleFault, ErrorStatus, Number, Seconds, Times
from batkol.simulators.soniox.rules import SonioxRefusalError


class SonioxFaultKind(StrEnum):
    """Kinds of faults."""

    REFUSE = "refuse"  # the handshake is answered with the HTTP status `code`, as a proxy does
    ERROR = "error"  # an error message with `code`, `type` and `text`, and then the socket is closed
    DROP = "drop"  # the connection breaks, without a close frame
    STALL = "stall"  # no token, no answer any more; pings are answered
    HALF_OPEN = "half_open"  # the socket stays open, and its other end is gone: nothing is read, no ping is answered
    SILENCE = "silence"  # all is well, but nothing is ever recognised
    SLOW_FINALS = "slow_finals"  # finalize and the end of the audio are answered after `latency_s`
    HELD_FINALS = "held_finals"  # finalize is not answered; tokens become final by their age, or at the end
    WRONG_TIMES = "wrong_times"  # the next message with a final token has `times_ms` and `totals_ms`


class SonioxMoment(StrEnum):
    """Moments at which a fault begins."""

    OPEN = "open"  # the socket is open
    START = "start"  # the start message has come
    FIRST_AUDIO = "first_audio"
    ELAPSED = "elapsed"  # `seconds` after the socket opened
    AUDIO = "audio"  # once `seconds` of audio have come
    FINALIZE = "finalize"
    FINISH = "finish"  # the end of the audio has come


class SonioxFault(DoubleFault, frozen=True, kw_only=True):
    """One thing that goes wrong, and for whom. Without `sessions` it befalls everybody."""

    kind: SonioxFaultKind
    when: SonioxMoment = SonioxMoment.OPEN
    seconds: Seconds = 0.0
    """For `when`: after how many seconds, of time or of audio."""
    sessions: tuple[Number, ...] = ()
    """The double's first, second, … socket since its start or last reset."""
    times: Times | None = None
    """Number of sockets that the fault hits before it is over."""
    lasts_s: Seconds | None = None
    """Seconds after its injection in which the fault hits sockets."""
    running: bool = False
    """Whether the fault also hits open sockets; their `seconds` then count from the injection."""

    code: ErrorStatus = 503
    type: str = ""
    """Empty: Soniox's type for that code."""
    text: str = ""
    """Empty: Soniox's text for that code."""
    latency_s: Seconds = 0.0
    times_ms: float | UnsetType | None = UNSET
    """The start and end that every token of the message has, or null; absent: its own."""
    totals_ms: float | UnsetType | None = UNSET
    """The totals of the message, of what was heard and of what is final, or null; absent: the true ones."""

    def __post_init__(self) -> None:
        """See `DoubleFault`; and a handshake is refused when the socket opens, or never."""
        super().__post_init__()
        if self.kind is SonioxFaultKind.REFUSE and (self.when is not SonioxMoment.OPEN or self.running):
            raise ValueError("a handshake is refused when the socket opens: use `when` open, and not `running`")

    @property
    def error(self) -> SonioxRefusalError:
        """The end of the session."""
        return SonioxRefusalError(self.code, self.text, self.type)

    def befalls(self, session: int) -> bool:
        """Whether it is for this session."""
        return not self.sessions or session in self.sessions
