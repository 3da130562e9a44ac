"""Recorder of a call's events: it journals each before any subscriber gets it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from batkol.events.events import CallEnded, CallStarted, Event
from batkol.events.identity import Identity
from batkol.events.outgoing import outgoing
from batkol.store.journal import Journal
from batkol.store.journal.confirmed import Confirmed
from batkol.store.journal.record import LONGEST_NAME, Who, bounded
from batkol.store.journal.records import KEPT, OF_REPLIES, OfStream, encode, record_of, status_record
from batkol.store.journal.reply_records import ReplyRecords
from batkol.twilio.call_status import FinalStatus


class _Stream(NamedTuple):
    who: Who
    replies: ReplyRecords

    def record_of(self, event: Event, trace_id: str | None) -> OfStream | None:
        if type(event) in OF_REPLIES:
            return self.replies.record_of(event, self.who)
        return record_of(event, self.who, trace_id)


class JournalRecorder:
    """`batkol.events.recorder.Recorder`, on the event loop: microseconds, and no waiting."""

    def __init__(self, journal: Journal, pod: str, confirmed: Confirmed, *, hands_on: bool = False) -> None:
        """Keep records; with `hands_on` each has its event as well, for the outbox."""
        self._journal = journal
        self._hands_on = hands_on
        self._confirmed = confirmed
        self._pod = pod
        self._live: dict[str, _Stream] = {}  # by stream SID

    def keep(self, identity: Identity, event: Event, trace_id: str | None = None) -> None:
        """Keep what the store keeps of this event. What finds no room is counted by the journal, and logged."""
        if type(event) not in KEPT or identity.is_rehearsal:  # most are partials
            return
        stream = self._live.get(identity.stream_sid)
        if stream is None:
            stream = _Stream(self._who(identity, event.at), ReplyRecords())
            if type(event) is CallStarted:
                self._live[identity.stream_sid] = stream
        record = stream.record_of(event, trace_id)
        if record is not None:
            if self._hands_on:
                record = msgspec.structs.replace(record, event=outgoing(event))
            self._journal.append(encode(record))
        if type(event) is CallEnded:
            self._live.pop(identity.stream_sid, None)

    def keep_status(self, status: FinalStatus, at: float) -> None:
        """Record Twilio's status of an ended call: Twilio does not send it again."""
        self._journal.append(encode(status_record(status, at)))

    def _who(self, identity: Identity, at: float) -> Who:
        def name(value: str) -> str:
            return bounded(value, LONGEST_NAME)

        return Who(
            call_sid=name(identity.call_sid),
            stream_sid=name(identity.stream_sid),
            account_sid=name(identity.account_sid),
            agent=name(identity.agent),
            caller=name(identity.from_),
            called=name(identity.to),
            direction=name(identity.direction),
            pod=name(self._pod),
            started_at=at,
            after_erasure=self._confirmed.erasure,
            stream=identity.stream,
        )
