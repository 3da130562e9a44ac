"""Statistics of the speech double: one record a stream, and totals. Times are `time.monotonic()`."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import msgspec

from batkol.voices.marked.voice import SpokenWord

_STREAMS: Final = 4096  # records kept; the oldest go first
_MOMENTS: Final = 4096  # message and response times kept a stream: the first, 10 min of messages of 150 ms


class HeardWord(msgspec.Struct, frozen=True):
    """A word, its samples in this stream's audio, and when it was heard."""

    text: str
    start: int
    end: int
    at: float


class SentResponse(msgspec.Struct, frozen=True):
    """A response that was sent: its time, whether it has a final, its second of audio, its text."""

    at: float
    final: bool
    end_s: float
    text: str


class StreamRecord(msgspec.Struct):
    """One stream, or one unary request."""

    number: int
    unary: bool
    peer: str
    call: str | None
    opened_at: float
    first_audio_at: float | None = None
    last_audio_at: float | None = None
    half_closed_at: float | None = None
    ended_at: float | None = None
    ending: str = ""
    """OK, the status it was ended with, or CANCELLED if the client left."""
    phrases: list[str] = msgspec.field(default_factory=list)
    """The hints of its configuration."""
    messages: int = 0
    audio_s: float = 0.0
    responses: int = 0
    finals: int = 0
    words: list[HeardWord] = msgspec.field(default_factory=list)
    audio_times: list[tuple[float, float]] = msgspec.field(default_factory=list)
    """With `record`: arrival of each audio message, and the seconds of audio received by then."""
    answers: list[SentResponse] = msgspec.field(default_factory=list)
    """With `record`: each response."""

    def configured(self, config: Any) -> None:
        """Take a raw `RecognitionConfig`."""
        self.phrases = [phrase for context in config.speech_contexts for phrase in context.phrases]

    def received(self, now: float, audio_s: float, *, record: bool) -> None:
        """Count an audio message; `audio_s` is the stream's audio so far."""
        self.messages += 1
        self.audio_s = audio_s
        self.last_audio_at = now
        if self.first_audio_at is None:
            self.first_audio_at = now
        if record and len(self.audio_times) < _MOMENTS:
            self.audio_times.append((now, audio_s))

    def record_words(self, words: list[SpokenWord], now: float) -> None:
        """Take the stream's words so far; those not seen before were heard now."""
        for word in words[len(self.words) :]:
            self.words.append(HeardWord(word.text, word.start, word.end, now))

    def answered(self, response: Any, now: float, *, record: bool) -> None:
        """Count a raw streaming response."""
        final = bool(response.results) and response.results[0].is_final
        self.responses += 1
        self.finals += final
        if record and response.results and len(self.answers) < _MOMENTS:
            end = response.results[-1].result_end_time
            text = "".join(result.alternatives[0].transcript for result in response.results)
            self.answers.append(SentResponse(now, final, end.seconds + end.nanos / 1e9, text))


class Stats:
    """Records of all streams since the start or the last reset."""

    def __init__(self) -> None:
        self.records: deque[StreamRecord] = deque(maxlen=_STREAMS)
        self.streams_opened = 0
        self.streams_ended = 0
        self.streams_most = 0
        self.unary_calls = 0
        self.messages = 0
        self.audio_s = 0.0

    @property
    def streams_open(self) -> int:
        """Streams under way."""
        return self.streams_opened - self.streams_ended

    def opened(self, *, unary: bool, peer: str, call: str | None, now: float) -> StreamRecord:
        """Begin a record and number it, streams and unary requests apart."""
        if unary:
            self.unary_calls += 1
        else:
            self.streams_opened += 1
            self.streams_most = max(self.streams_most, self.streams_open)
        number = self.unary_calls if unary else self.streams_opened
        record = StreamRecord(number, unary, peer, call, now)
        self.records.append(record)
        return record

    def ended(self, record: StreamRecord, ending: str, now: float) -> None:
        """Close a record and add it to the totals."""
        record.ended_at, record.ending = now, ending
        self.messages += record.messages
        self.audio_s += record.audio_s
        self.streams_ended += not record.unary

    def summary(self) -> dict[str, Any]:
        """Return everything as plain JSON types, open streams included in the totals."""
        running = [record for record in self.records if record.ended_at is None]
        return {
            "streams_opened": self.streams_opened,
            "streams_ended": self.streams_ended,
            "streams_open": self.streams_open,
            "streams_most": self.streams_most,
            "unary_calls": self.unary_calls,
            "messages": self.messages + sum(record.messages for record in running),
            "audio_s": self.audio_s + sum(record.audio_s for record in running),
            "streams": msgspec.to_builtins([record for record in self.records if not record.unary]),
            "unary": msgspec.to_builtins([record for record in self.records if record.unary]),
        }
