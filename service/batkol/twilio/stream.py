"""One media stream, as a machine: what came in, in which order, and where it belongs in audio time.

It gets each message that `messages.parse` read and returns what to append to the call's ring. Audio time is
the index of a sample since the stream began, and stays true through losses: what did not come is silence. It
reads no clock; during a hold the owner of the clock calls `fill`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS, silence
from batkol.errors import PeerError
from batkol.twilio.messages import Connected, Dtmf, Media, Start, StartDetails, Stop
from batkol.twilio.messages import Mark as MarkMessage

MALFORMED_IN_A_ROW: Final = 100
"""Unreadable messages in a row after which the sender cannot be Twilio."""

_JUMP_MS: Final = 100  # Twilio's own example is off by 15 ms: a smaller step is no hold
_RENUMBERED: Final = 50  # chunks that count on from an older number: one second of them is a new numbering
_INBOUND: Final = "inbound"


@dataclass(slots=True)
class StreamCounters:
    """Counters of a stream; read when the call ends, and by metrics."""

    frames: int = 0  # media messages whose sound was taken
    gaps: int = 0  # stretches of silence put in
    gap_samples: int = 0  # how much silence that was
    skipped_samples: int = 0  # silence beyond the cap, which was left out
    filled_samples: int = 0  # silence by the wall clock, through `fill`
    lost: int = 0  # media messages that never came, by their chunk number
    lost_messages: int = 0  # messages of any kind that never came, by their sequence number
    repeated: int = 0  # media dropped for an older chunk number; a repeated `start`
    malformed: int = 0
    out_of_order: int = 0  # a message at a time when it cannot come
    wrong_stream: int = 0  # another stream's SID
    other_track: int = 0  # sound of a track that is not the caller's

    @property
    def gap_ms(self) -> int:
        return self.gap_samples // SAMPLES_PER_MS


class MediaStream:
    """The stream of one WebSocket: `connected`, `start` once, then media, keys and marks, then `stop`.

    Messages that break this order are counted and left out. `PeerError` is raised only for what cannot be a
    Twilio stream; close the socket with its `close_code`.
    """

    __slots__ = (
        "_connected",
        "_last_length",
        "_last_timestamp",
        "_malformed_run",
        "_next_chunk",
        "_next_sequence",
        "_older_chunk",
        "_older_run",
        "_owed",
        "_skipped",
        "_start",
        "_stopped",
        "counters",
        "longest_gap",
        "position",
    )

    def __init__(self, *, longest_gap: int = 30 * SAMPLE_RATE) -> None:
        self.longest_gap = longest_gap  # samples of silence that one gap may become
        self.counters = StreamCounters()
        self.position = 0  # absolute index of the next sample
        self._connected = False
        self._start: Start | None = None
        self._stopped = False
        self._malformed_run = 0
        self._next_sequence = 0
        self._next_chunk = 1
        self._older_chunk = -1
        self._older_run = 0
        self._last_timestamp = -1  # ms
        self._last_length = 20 * SAMPLES_PER_MS
        self._owed = 0  # samples that `fill` put in since the last media
        self._skipped = 0  # samples by which audio time is behind the timestamps, after a gap beyond the cap

    @property
    def details(self) -> StartDetails | None:
        """The details of `start`, once it has come."""
        return None if self._start is None else self._start.start

    @property
    def sid(self) -> str:
        """The stream's SID, needed for every message to Twilio; empty before `start`."""
        return "" if self._start is None else self._start.stream_sid

    @property
    def parameters(self) -> Mapping[str, str]:
        """The TwiML's `<Parameter>`s; empty before `start`."""
        return {} if self._start is None else self._start.start.custom_parameters

    @property
    def started(self) -> bool:
        return self._start is not None

    @property
    def stopped(self) -> bool:
        return self._stopped

    def connect(self, _message: Connected) -> None:
        """Take `connected`. A later one is counted as out of order."""
        self._malformed_run = 0
        if self._connected or self._start is not None:
            self.counters.out_of_order += 1
        self._connected = True

    def start(self, message: Start) -> bool:
        """Take `start`; true when the stream begins with it, false for a repeat. `connected` need not have
        come.

        Raises `PeerError`: 1003 for sound that is not mu-law at 8000 Hz, 1008 for a second stream on one
        socket, for two SIDs in one message, and for a stream without the caller's track.
        """
        self._malformed_run = 0
        if self._stopped:
            self.counters.out_of_order += 1
            return False
        if self._start is not None:
            if message.start != self._start.start or message.stream_sid != self._start.stream_sid:
                raise PeerError(
                    "Twilio started a second stream on one socket; the service closes the stream.", close_code=1008
                )
            self.counters.repeated += 1
            return False
        _refuse_unusable(message)
        self._start = message
        self._next_sequence = message.sequence_number + 1
        return True

    @property
    def message_samples(self) -> int:
        """Samples in the last message that had any; 20 ms before the first."""
        return self._last_length

    def append(self, message: Media) -> bytes:
        """Take a piece of sound; return the mu-law to append at `position`: silence for what was lost, and
        the piece.

        Empty for what is dropped: before `start`, after `stop`, another stream's, another track's, an older
        chunk. Raises `PeerError` (1002) if it is the first message of all.
        """
        if not self._is_acceptable(message.stream_sid, message.sequence_number):
            return b""
        media = message.media
        if media.track != _INBOUND:
            self.counters.other_track += 1
            return b""
        if media.chunk < self._next_chunk:
            self._append_older(media.chunk)
            return b""
        lost = media.chunk - self._next_chunk
        payload = media.payload
        missing = media.timestamp * SAMPLES_PER_MS - self._skipped - self.position
        if lost or missing >= _JUMP_MS * SAMPLES_PER_MS or self._last_timestamp - media.timestamp >= _JUMP_MS:
            payload = self._gap(lost, missing, media.timestamp) + payload
        self._next_chunk = media.chunk + 1
        self._last_timestamp = media.timestamp
        self._last_length = len(media.payload) or self._last_length
        self._older_run = self._owed = 0
        self.position += len(payload)
        self.counters.frames += 1
        return payload

    def fill(self, samples: int) -> bytes:
        """Let `samples` of audio time pass in silence, as the wall clock did; return it, to append at
        `position`.

        Media that comes later with a timestamp inside what was filled follows it: nothing is filled twice.
        """
        if self._stopped or samples <= 0:
            return b""
        self.position += samples
        self._owed += samples
        self.counters.filled_samples += samples
        return silence(samples)

    def press(self, message: Dtmf) -> str | None:
        """Take a key; return its digit, or None where it does not belong to this stream."""
        return message.dtmf.digit if self._is_acceptable(message.stream_sid, message.sequence_number) else None

    def echo(self, message: MarkMessage) -> str | None:
        """Take a mark that came back; return its name, or None where it does not belong to this stream."""
        return message.mark.name if self._is_acceptable(message.stream_sid, message.sequence_number) else None

    def stop(self, message: Stop) -> bool:
        """Take `stop`; true when this stream ends with it."""
        if not self._is_acceptable(message.stream_sid, message.sequence_number):
            return False
        self._stopped = True
        return True

    def violation(self) -> None:
        """Count a message that could not be read. Raises `PeerError` (1008) when no other kind comes any
        more.
        """
        self.counters.malformed += 1
        self._malformed_run += 1
        if self._malformed_run > MALFORMED_IN_A_ROW:
            raise PeerError(
                f"More than {MALFORMED_IN_A_ROW} messages in a row cannot be read: the peer is not Twilio, and the "
                "service closes the stream. Check which client has the stream's URL.",
                close_code=1008,
            )

    def _is_acceptable(self, stream_sid: str, sequence: int) -> bool:
        self._malformed_run = 0
        if self._start is None or self._stopped:
            self.counters.out_of_order += 1
            if not self._connected and self._start is None:
                raise PeerError(
                    "The first message was neither `connected` nor `start`; the service closes the stream.",
                    close_code=1002,
                )
            return False
        if stream_sid != self._start.stream_sid:
            self.counters.wrong_stream += 1
            return False
        if sequence > self._next_sequence:
            self.counters.lost_messages += sequence - self._next_sequence
        if sequence >= self._next_sequence:
            self._next_sequence = sequence + 1
        return True

    def _append_older(self, chunk: int) -> None:
        """Drop a repeat. A numbering that begins anew is followed, or the call would get no more audio."""
        self.counters.repeated += 1
        self._older_run = self._older_run + 1 if chunk == self._older_chunk + 1 else 1
        self._older_chunk = chunk
        if self._older_run >= _RENUMBERED:
            self._next_chunk = chunk + 1

    def _gap(self, lost: int, missing: int, timestamp: int) -> bytes:
        """Return the silence before a piece of sound that does not follow its predecessor.

        The timestamp gives the length. One that stands still while chunks go missing gives none: the lost
        chunks are taken to be as long as the last one that came. One that runs backwards begins a new count
        of time.
        """
        advanced = timestamp > self._last_timestamp
        if not advanced:
            missing = lost * self._last_length - self._owed
        put = min(max(missing, 0), self.longest_gap)
        self.counters.lost += lost
        if put:
            self.counters.gaps += 1
            self.counters.gap_samples += put
            self.counters.skipped_samples += missing - put
        if advanced:
            self._skipped += max(missing, 0) - put
        elif self._last_timestamp - timestamp >= _JUMP_MS:
            self._skipped = timestamp * SAMPLES_PER_MS - self.position - put
        return silence(put)


def _refuse_unusable(message: Start) -> None:
    details = message.start
    form = details.media_format
    if (form.encoding, form.sample_rate, form.channels) != ("audio/x-mulaw", SAMPLE_RATE, 1):
        raise PeerError("The stream is not mono mu-law at 8000 Hz; the service closes the stream.", close_code=1003)
    if details.stream_sid != message.stream_sid:
        raise PeerError("`start` names two different streams; the service closes the stream.", close_code=1008)
    if _INBOUND not in details.tracks:
        raise PeerError(
            "The stream has no inbound track; the service closes the stream. Check the TwiML.", close_code=1008
        )
