"""Faults of Google as data: the streams they hit, the moment, and the kind.

Fault(kind=Kind.END, when=Moment.AUDIO, seconds=2.5)                      every stream dies 2.5 s into its audio
Fault(kind=Kind.END, code="RESOURCE_EXHAUSTED", lasts_s=5)                nothing opens for 5 s
Fault(kind=Kind.END, refusal="BILLING_DISABLED")                         Google's refusal, with its details
Fault(kind=Kind.STALL, when=Moment.ELAPSED, seconds=3, streams=(2,))      the second stream falls silent
Fault(kind=Kind.SLOW_FINALS, latency_s=4, call="CA0123")                  one call's finals come late
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import grpc

from batkol.simulators.double_faults import DoubleFault, Number, Seconds, Times
from batkol.simulators.google.refusals import REFUSALS, USUAL
from batkol.simulators.google.rules import MODEL_NOT_SUPPORTED, STREAM_LIMIT, RefusalError


class Kind(StrEnum):
    """Kinds of faults."""

    END = "end"  # the request ends with `code` and `text`: refused, reset, over the quota
    STALL = "stall"  # the socket stays open, and nothing comes any more, not even after a half-close
    SILENCE = "silence"  # all is well, but nothing is ever recognised
    SLOW_FINALS = "slow_finals"  # finals (and unary responses) take `latency_s`, the last one after a half-close too
    REPEATED_FINALS = "repeated_finals"  # every final comes `repeats` times more
    MERGED_FINALS = "merged_finals"  # a final spans `utterances` of them
    HELD_FINALS = "held_finals"  # interims go on, but nothing except a half-close brings a final
    UNDATED_FINALS = "undated_finals"  # finals come without `result_end_time`, and if `bare` without word times
    STATUS = "status"  # `code` and `text` come inside a response, as its `error`, and the stream then ends with OK


class Moment(StrEnum):
    """Moments at which a fault begins."""

    OPEN = "open"
    FIRST_AUDIO = "first_audio"
    ELAPSED = "elapsed"  # `seconds` after the stream opened
    AUDIO = "audio"  # once `seconds` of audio have come
    HALF_CLOSE = "half_close"


class Surface(StrEnum):
    """The two methods that a fault may concern."""

    STREAMING = "streaming"
    UNARY = "unary"


_TEXTS: Final = {
    "OUT_OF_RANGE": STREAM_LIMIT,
    "INVALID_ARGUMENT": MODEL_NOT_SUPPORTED,
    "UNAVAILABLE": "The service is currently unavailable.",
    "INTERNAL": "Received RST_STREAM with error code 2",
    "UNKNOWN": "Stream removed",
    "ABORTED": "Stream timed out after receiving no more client requests.",
    "CANCELLED": "The operation was cancelled.",
    "DEADLINE_EXCEEDED": "Deadline Exceeded",
}


class Fault(DoubleFault, frozen=True, kw_only=True):
    """One thing that goes wrong, and for whom. Without `streams` and `call` it befalls everybody."""

    kind: Kind
    surface: Surface = Surface.STREAMING
    when: Moment = Moment.OPEN
    seconds: Seconds = 0.0
    """For `when`: after how many seconds, of time or of audio."""

    streams: tuple[Number, ...] = ()
    """The double's first, second, … stream (or unary request) since its start or last reset."""
    call: str | None = None
    """The call named in the request's metadata."""
    times: Times | None = None
    """Number of streams that the fault hits before it is over."""
    lasts_s: Seconds | None = None
    """Seconds after its injection in which the fault hits streams."""
    running: bool = False
    """Whether the fault also hits open streams; their `seconds` then count from the injection."""

    code: str = "UNAVAILABLE"
    text: str = ""
    """Empty: Google's text for that code."""
    refusal: str = ""
    """Google's word for a refusal, such as `BILLING_DISABLED`: its code, text and details go before those above."""
    latency_s: Seconds = 0.0
    repeats: Times = 1
    utterances: Times = 2
    bare: bool = False
    """Whether undated finals have no word times either."""

    def __post_init__(self) -> None:
        """See `DoubleFault`; and the values of its own fields."""
        super().__post_init__()
        if self.code not in grpc.StatusCode.__members__ or self.code == "OK":
            raise ValueError(f"{self.code!r} is no gRPC status to fail with; use one such as UNAVAILABLE")
        if self.refusal and self.refusal not in REFUSALS:
            raise ValueError(f"{self.refusal!r} is no refusal of Google's; use one of {', '.join(REFUSALS)}")

    @property
    def error(self) -> RefusalError:
        """The end of the request: status, text and details."""
        word = self.refusal or ("" if self.text else USUAL.get(self.code, ""))
        if word:
            refusal = REFUSALS[word]
            return RefusalError(refusal.code, refusal.text, word)
        return RefusalError(grpc.StatusCode[self.code], self.text or _TEXTS.get(self.code, ""))


def befalls(fault: Fault, surface: Surface, number: int, call: str | None) -> bool:
    """Return whether the fault is for this stream."""
    if fault.surface is not surface or (fault.streams and number not in fault.streams):
        return False
    return fault.call is None or fault.call == call
