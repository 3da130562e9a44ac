"""Recorder of a call's events: it journals each before any subscriber gets it."""

from __future__ import annotations

from batkol.events.events import CallEnded, CallStarted, Event
from batkol.events.identity import Identity
from batkol.store.journal import Journal
from batkol.store.journal.confirmed import Confirmed
from batkol.store.journal.records import KEPT, LONGEST_NAME, Who, bounded, encode, record_of, status_record
from batkol.twilio.call_status import FinalStatus


class JournalRecorder:
    """`batkol.events.recorder.Recorder`, on the event loop: microseconds, and no waiting."""

    def __init__(self, journal: Journal, pod: str, confirmed: Confirmed) -> None:
        self._journal = journal
        self._confirmed = confirmed
        self._pod = pod
        self._live: dict[str, Who] = {}  # by stream SID

    def keep(self, identity: Identity, event: Event, trace_id: str | None = None) -> None:
        """Keep what the store keeps of this event. What finds no room is counted by the journal, and logged."""
        if type(event) not in KEPT:  # most are partials
            return
        who = self._live.get(identity.stream_sid)
        if who is None:
            who = self._who(identity, event.at)
            if type(event) is CallStarted:
                self._live[identity.stream_sid] = who
        record = record_of(event, who, trace_id)
        if record is not None:
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
        )
