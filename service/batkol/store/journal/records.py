"""Records that the store keeps: the beginning of a call, its finals, their revisions, the agent's side, its end.

Only `CallStatus` names no more than a call SID: Twilio may send it to a pod that has nothing else of the call.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from batkol.events.events import (
    CallEnded,
    CallStarted,
    Event,
    FinalText,
    ReplyEnded,
    ReplyInterrupted,
    ReplySentence,
    ReplyStarted,
    RevisedText,
    ToolCalled,
)
from batkol.store.journal.record import LONGEST_NAME, LONGEST_TEXT, Record, Who, bounded
from batkol.store.journal.reply_records import OfReplies
from batkol.twilio.call_status import FinalStatus


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
    recognizer: str = ""  # the streaming one that gave the text


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


OfStream = CallBegan | FinalRecord | RevisionRecord | OfReplies | CallOver
"""A record of one stream of a call."""

AnyRecord = OfStream | CallStatus

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(AnyRecord)

encode = _ENCODER.encode


def decode(payload: bytes) -> AnyRecord:
    """Read a record. Raises `msgspec.DecodeError` for what is none, or one of a newer version."""
    found: AnyRecord = _DECODER.decode(payload)
    return found


OF_REPLIES: Final = frozenset({ReplyStarted, ReplySentence, ReplyInterrupted, ReplyEnded, ToolCalled})
"""The events of the agent's side that something is kept of: `batkol.store.journal.reply_records`."""

KEPT: Final = OF_REPLIES | {CallStarted, FinalText, RevisedText, CallEnded}
"""The events that something is kept of."""


def record_of(event: Event, who: Who, trace_id: str | None) -> OfStream | None:
    """Return what is kept of an event that is not in `OF_REPLIES`, or None."""
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
        recognizer=bounded(event.recognizer, LONGEST_NAME),
    )


_NOT_FIGURES: Final = frozenset({"call_sid", "seq", "at", "id", "reason"})


def _figures(event: CallEnded) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(event).items() if name not in _NOT_FIGURES}
