"""The publisher of one call's events: numbered, recorded, then on the bus."""

from __future__ import annotations

from typing import TypedDict

from batkol.clock import REAL, Clock
from batkol.events.bus import Bus
from batkol.events.events import Event
from batkol.events.identity import Identity
from batkol.events.recorder import NoRecorder, Recorder
from batkol.speech.utterance import Utterance


class Header(TypedDict):
    """The fields that every event of a call has."""

    call_sid: str
    stream_sid: str
    seq: int
    at: float


class UtteranceHeader(Header):
    """The fields that every event of an utterance has."""

    utterance_id: str
    index: int


class Publisher:
    """One per call. Each header takes the next number: publish the event that it was made for."""

    def __init__(self, identity: Identity, bus: Bus, recorder: Recorder | None = None, clock: Clock = REAL) -> None:
        self.identity = identity
        self._bus = bus
        self._recorder: Recorder = recorder or NoRecorder()
        self._seq = 0
        self._clock = clock
        self._epoch = clock.wall() - clock.monotonic()

    @property
    def seq(self) -> int:
        """The number of the call's newest event; 0 before the first one."""
        return self._seq

    def header(self) -> Header:
        """Return the header of the call's next event."""
        self._seq += 1
        of = self.identity
        return {"call_sid": of.call_sid, "stream_sid": of.stream_sid, "seq": self._seq, "at": self._now()}

    def utterance_header(self, utterance: Utterance) -> UtteranceHeader:
        """Return the header of the call's next event, which is about that utterance."""
        number = utterance.index
        return {**self.header(), "utterance_id": f"{self.identity.call_sid}-{number}", "index": number}

    def _now(self) -> float:
        """Return Unix seconds, as the clock was when the call began: a clock that jumps makes no word older."""
        return self._epoch + self._clock.monotonic()

    def publish(self, event: Event, *, trace_id: str | None = None) -> None:
        """Record the event, and hand it to the subscribers; never blocks."""
        self._recorder.keep(self.identity, event, trace_id)  # first: what a subscriber saw, a kill does not undo
        self._bus.publish(event, self.identity.agent)
