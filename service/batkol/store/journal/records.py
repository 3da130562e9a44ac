"""Records that the store keeps: the beginning of a call, its finals, their revisions, its end.

A record names its call and its numbers itself. So the order in which pods deliver does not matter, and a number
can be erased from what has not been delivered yet. Only `CallStatus` names no more than a call SID: Twilio may send it
to a pod that has nothing else of the call.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from batkol.events.events import CallEnded, CallStarted, Event, FinalText, RevisedText, event_id
from batkol.twilio.call_status import FinalStatus

LONGEST_TEXT: Final = 20_000
"""Characters kept of one text. An utterance lasts 55 s at most, which is some 1,500."""

LONGEST_NAME: Final = 480
"""Characters kept of anything else: what Twilio passes in a `<Parameter>`."""

CUT: Final = "…"


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """The stream that a record is about."""

    call_sid: str
    stream_sid: str
    account_sid: str
    agent: str
    caller: str
    called: str
    direction: str
    pod: str
    started_at: float  # Unix seconds: the stream's start
    after_erasure: int = 0
    """Number of the newest erasure that the pod knew of at the stream's start; 0: it knew of none."""

    @property
    def party(self) -> str:
        """The number of the person at the other end."""
        return self.called if self.direction.startswith("outbound") else self.caller


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of a stream's records. `seq` and `at` are the event's: its number in the stream, Unix seconds."""

    who: Who
    seq: int
    at: float

    @property
    def id(self) -> str:
        """The event's id."""
        return event_id(self.who.stream_sid, self.seq)


class CallBegan(Record, frozen=True, tag="call.started"):
    mode: str  # streaming | single


class FinalRecord(Record, frozen=True, tag="final"):
    utterance_id: str
    index: int
    text: str
    source: str
    mode: str
    begin_ms: int
    end_ms: int
    words: int
    partials: int
    first_partial_ms: float | None
    final_ms: float
    trace_id: str | None
    unvoiced: bool = False
    unconfirmed: bool = False


class RevisionRecord(Record, frozen=True, tag="revised"):
    utterance_id: str
    index: int
    text: str
    revised_ms: float
    unconfirmed: bool = False


class CallOver(Record, frozen=True, tag="call.ended"):
    reason: str
    figures: dict[str, Any]


class CallStatus(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="call.status"):
    """The end of a whole call, from Twilio's status callback."""

    call_sid: str
    account_sid: str
    status: str  # one of `batkol.twilio.call_status.FINAL`
    ended_at: float  # Unix seconds, by Twilio's clock; by the pod's where Twilio gave none
    duration_s: int | None  # as Twilio counts it
    at: float  # Unix seconds: when it came


OfStream = CallBegan | FinalRecord | RevisionRecord | CallOver
"""A record of one stream of a call."""

AnyRecord = OfStream | CallStatus

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(AnyRecord)

encode = _ENCODER.encode


def decode(payload: bytes) -> AnyRecord:
    """Read a record. Raises `msgspec.DecodeError` for what is none, or one of a newer version."""
    found: AnyRecord = _DECODER.decode(payload)
    return found


KEPT: Final = frozenset({CallStarted, FinalText, RevisedText, CallEnded})
"""The events that something is kept of."""


def record_of(event: Event, who: Who, trace_id: str | None) -> OfStream | None:
    """Return what is kept of an event, or None."""
    match event:
        case FinalText():
            return _final_record(event, who, trace_id)
        case RevisedText():
            return RevisionRecord(
                who=who,
                seq=event.seq,
                at=event.at,
                utterance_id=event.utterance_id,
                index=event.index,
                text=bounded(event.text, LONGEST_TEXT),
                revised_ms=event.latency_ms,
                unconfirmed=event.unconfirmed,
            )
        case CallStarted():
            return CallBegan(who=who, seq=event.seq, at=event.at, mode="streaming" if event.streaming else "single")
        case CallEnded():
            return CallOver(who=who, seq=event.seq, at=event.at, reason=event.reason, figures=_figures(event))
    return None


def status_record(status: FinalStatus, at: float) -> CallStatus:
    """Return what is kept of a call's last status callback, which came at `at` (Unix seconds)."""
    return CallStatus(
        call_sid=bounded(status.call_sid, LONGEST_NAME),
        account_sid=bounded(status.account_sid, LONGEST_NAME),
        status=status.status,
        ended_at=at if status.ended_at is None else status.ended_at,
        duration_s=status.duration_s,
        at=at,
    )


def _final_record(event: FinalText, who: Who, trace_id: str | None) -> FinalRecord:
    return FinalRecord(
        who=who,
        seq=event.seq,
        at=event.at,
        utterance_id=event.utterance_id,
        index=event.index,
        text=bounded(event.text, LONGEST_TEXT),
        source=event.source,
        mode=event.mode,
        begin_ms=event.begin_ms,
        end_ms=event.end_ms,
        words=event.words,
        partials=event.partials,
        first_partial_ms=event.first_partial_ms,
        final_ms=event.latency_ms,
        trace_id=trace_id,
        unvoiced=event.unvoiced,
        unconfirmed=event.unconfirmed,
    )


_NOT_FIGURES: Final = frozenset({"call_sid", "seq", "at", "id", "reason"})


def _figures(event: CallEnded) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(event).items() if name not in _NOT_FIGURES}


def bounded(text: str, most: int) -> str:
    """Return the text, cut and marked where it is longer, without what Postgres refuses: NUL, half a character."""
    if len(text) > most:
        text = text[: most - len(CUT)] + CUT
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
