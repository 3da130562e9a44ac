"""Records of the Soniox double: one a socket, and totals. Times are `time.monotonic()`."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import msgspec

from batkol.simulators.google.stats import HeardWord
from batkol.voices.marked.voice import SpokenWord

_SESSIONS: Final = 4096  # records kept; the oldest go first
_MOMENTS: Final = 4096  # times of messages kept of a session: the first, 10 min of messages of 150 ms


class SonioxSessionRecord(msgspec.Struct):
    """One socket, with the session on it if there is one."""

    number: int
    opened_at: float
    peer: str = ""
    started_at: float | None = None
    first_audio_at: float | None = None
    last_audio_at: float | None = None
    finished_at: float | None = None
    """Time at which the end of the audio came."""
    ended_at: float | None = None
    ending: str = ""
    """`finished`, the code of the error it was ended with, `left` if the client left, or `broken`."""
    start: dict[str, Any] = msgspec.field(default_factory=dict)
    """The start message."""
    messages: int = 0
    audio_times: list[tuple[float, float]] = msgspec.field(default_factory=list)
    """With `record`: arrival of each message with audio, and the seconds of audio received by then."""
    audio_s: float = 0.0
    finalizes: list[float] = msgspec.field(default_factory=list)
    """Seconds of audio that had come by each finalize."""
    finalizes_at: list[float] = msgspec.field(default_factory=list)
    """Time at which each came."""
    fins_at: list[float] = msgspec.field(default_factory=list)
    """Time at which each answer to one went out."""
    trailing_ms: list[int] = msgspec.field(default_factory=list)
    """The silence that each of these named."""
    keepalives: int = 0
    responses: int = 0
    words: list[HeardWord] = msgspec.field(default_factory=list)

    def received_audio(self, now: float, audio_s: float, *, record: bool) -> None:
        """Count a message with audio; `audio_s` is the session's audio so far. With `record` its time is kept."""
        self.messages += 1
        if record and len(self.audio_times) < _MOMENTS:
            self.audio_times.append((now, audio_s))
        self.audio_s = audio_s
        self.last_audio_at = now
        if self.first_audio_at is None:
            self.first_audio_at = now

    def record_words(self, words: list[SpokenWord], now: float) -> None:
        """Take the session's words so far; those not seen before were heard now."""
        for word in words[len(self.words) :]:
            self.words.append(HeardWord(word.text, word.start, word.end, now))


class SonioxStats:
    """Records of all sockets since the start or the last reset."""

    def __init__(self) -> None:
        self.records: deque[SonioxSessionRecord] = deque(maxlen=_SESSIONS)
        self.sockets_opened = 0
        self.sockets_refused = 0
        self.sessions_started = 0
        self.sessions_open = 0
        self.sessions_most = 0

    def opened(self, peer: str, now: float) -> SonioxSessionRecord:
        """Begin a record, and number it."""
        self.sockets_opened += 1
        record = SonioxSessionRecord(self.sockets_opened, now, peer)
        self.records.append(record)
        return record

    def started(self, record: SonioxSessionRecord, start: dict[str, Any], now: float) -> None:
        """Count a session; its place is taken."""
        record.started_at, record.start = now, start
        self.sessions_started += 1
        self.sessions_open += 1
        self.sessions_most = max(self.sessions_most, self.sessions_open)

    def ended(self, record: SonioxSessionRecord, ending: str, now: float) -> None:
        """Close a record, if it is not closed; the place of its session is free."""
        if record.ended_at is not None:
            return
        record.ended_at, record.ending = now, ending
        self.sessions_open -= record.started_at is not None

    def summary(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return {
            "sockets_opened": self.sockets_opened,
            "sockets_refused": self.sockets_refused,
            "sessions_started": self.sessions_started,
            "sessions_open": self.sessions_open,
            "sessions_most": self.sessions_most,
            "audio_s": sum(record.audio_s for record in self.records),
            "sessions": msgspec.to_builtins(list(self.records)),
        }
