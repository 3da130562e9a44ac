"""Records of the double of Google's text to speech: one a session. Times are `time.monotonic()`."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import msgspec

_SESSIONS: Final = 4096  # records kept; the oldest go first


class SaidText(msgspec.Struct, frozen=True):
    """A text that came, and when."""

    text: str
    at: float


class SessionRecord(msgspec.Struct):
    """One session."""

    number: int
    opened_at: float
    peer: str = ""
    voice: str = ""
    language: str = ""
    texts: list[SaidText] = msgspec.field(default_factory=list)
    half_closed_at: float | None = None
    first_sound_at: float | None = None
    ended_at: float | None = None
    ending: str = ""
    """OK, the status it was ended with, or CANCELLED if the client left."""
    messages: int = 0
    """Messages with sound that were sent."""
    sound_s: float = 0.0

    def sent(self, size: int, now: float) -> None:
        """Count a message with sound."""
        self.messages += 1
        self.sound_s += size / 8000
        if self.first_sound_at is None:
            self.first_sound_at = now


class GoogleVoiceStats:
    """Records since the start or the last reset."""

    def __init__(self) -> None:
        self.records: deque[SessionRecord] = deque(maxlen=_SESSIONS)
        self.sessions = 0
        self.under_way = 0
        self.most_under_way = 0
        self.listings = 0
        """Requests for the list of voices."""

    def opened(self, peer: str, now: float) -> SessionRecord:
        """Begin a record and number it."""
        self.sessions += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        record = SessionRecord(self.sessions, now, peer)
        self.records.append(record)
        return record

    def ended(self, record: SessionRecord, ending: str, now: float) -> None:
        """Close a record, before the client can know of the end. Only the first time counts."""
        if record.ended_at is None:
            self.under_way -= 1
            record.ended_at, record.ending = now, ending

    def opened_since(self, moment: float) -> int:
        """Return how many sessions opened after a moment."""
        return sum(record.opened_at > moment for record in self.records)

    def summary(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return {
            "sessions": self.sessions,
            "under_way": self.under_way,
            "most_under_way": self.most_under_way,
            "listings": self.listings,
            "records": msgspec.to_builtins(list(self.records)),
        }
