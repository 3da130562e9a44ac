"""Order, losses, and audio time that stays true."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.errors import PeerError
from batkol.twilio.messages import (
    Chunk,
    Connected,
    Dtmf,
    Mark,
    MarkName,
    Media,
    MediaFormat,
    Press,
    Start,
    StartDetails,
    Stop,
    StopDetails,
)
from batkol.twilio.stream import MALFORMED_IN_A_ROW, MediaStream
from support.properties import few_by_day

T = TypeVar("T")

STREAM, CALL, ACCOUNT = "MZ1", "CA1", "AC1"
MULAW = MediaFormat("audio/x-mulaw", 8000)
SILENCE = b"\xff"


def start(sid: str = STREAM, form: MediaFormat = MULAW, tracks: tuple[str, ...] = ("inbound",)) -> Start:
    return Start(1, sid, StartDetails(sid, ACCOUNT, CALL, form, tracks, {"token": "t"}))


def media(
    chunk: int,
    timestamp: int,
    payload: bytes = b"\x01" * 160,
    *,
    sequence: int | None = None,
    sid: str = STREAM,
    track: str = "inbound",
) -> Media:
    return Media(chunk + 1 if sequence is None else sequence, sid, Chunk(track, chunk, timestamp, payload))


def begun(longest_gap: int = 240_000) -> MediaStream:
    stream = MediaStream(longest_gap=longest_gap)
    stream.connect(Connected())
    assert stream.start(start())
    return stream


def test_a_stream_from_beginning_to_end() -> None:
    stream = MediaStream()
    assert (stream.sid, stream.details, dict(stream.parameters)) == ("", None, {})

    stream.connect(Connected())
    assert not stream.started
    assert stream.start(start())
    assert stream.started
    assert stream.sid == STREAM
    assert stream.parameters == {"token": "t"}
    assert stream.append(media(1, 0, b"a" * 160)) == b"a" * 160
    assert stream.append(media(2, 20, b"b" * 160)) == b"b" * 160
    assert stream.press(Dtmf(4, STREAM, Press("5"))) == "5"
    assert stream.echo(Mark(5, STREAM, MarkName("greeting"))) == "greeting"
    assert stream.append(media(3, 40, b"c" * 80, sequence=6)) == b"c" * 80
    assert stream.stop(Stop(7, STREAM, StopDetails(ACCOUNT, CALL)))

    assert stream.stopped
    assert stream.position == 400
    counters = stream.counters
    assert counters.frames == 3
    assert (counters.gaps, counters.lost, counters.lost_messages, counters.out_of_order) == (0, 0, 0, 0)


def test_timestamps_that_are_a_little_off_change_nothing() -> None:
    """Twilio's own example has 5 ms for its first two chunks."""
    stream = begun()
    for chunk, timestamp in enumerate((5, 5, 45, 55, 81, 99), start=1):
        assert len(stream.append(media(chunk, timestamp))) == 160
    assert stream.counters.gaps == 0


def test_a_lost_message_becomes_silence_by_the_timestamp() -> None:
    stream = begun()
    stream.append(media(1, 0))
    heard = stream.append(media(5, 80, b"\x02" * 160))

    assert heard == SILENCE * 480 + b"\x02" * 160
    assert stream.position == 800
    assert (stream.counters.lost, stream.counters.gaps, stream.counters.gap_ms) == (3, 1, 60)


def test_lost_messages_without_a_useful_timestamp_are_as_long_as_the_last_one() -> None:
    stream = begun()
    stream.append(media(1, 0))
    assert stream.append(media(4, 0)) == SILENCE * 320 + b"\x01" * 160


def test_a_jump_of_the_timestamp_is_silence_though_no_chunk_is_missing() -> None:
    stream = begun()
    stream.append(media(1, 0))
    assert len(stream.append(media(2, 119))) == 160  # 99 ms ahead: not yet
    assert stream.position == 320
    assert stream.append(media(3, 140)) == SILENCE * 800 + b"\x01" * 160  # 100 ms ahead of 40 ms
    assert stream.counters.lost == 0


def test_an_older_chunk_is_dropped_and_counted() -> None:
    stream = begun()
    stream.append(media(1, 0))
    stream.append(media(2, 20))
    assert stream.append(media(2, 20)) == b""
    assert stream.append(media(1, 0)) == b""
    assert stream.append(media(3, 40)) != b""
    assert stream.counters.repeated == 2
    assert stream.position == 480


def test_a_new_numbering_is_followed_after_a_second() -> None:
    """One absurd chunk number must not make the rest of the call inaudible."""
    stream = begun()
    stream.append(media(4_000_000_000, 20))
    heard = [stream.append(media(chunk, 20 * chunk)) for chunk in range(2, 102)]
    assert sum(map(bool, heard)) == 50


def test_late_repeats_between_good_chunks_are_no_new_numbering() -> None:
    stream = begun()
    for chunk in range(1, 200):
        assert stream.append(media(chunk, chunk * 20)) != b""
        assert chunk <= 10 or stream.append(media(chunk - 10, (chunk - 10) * 20)) == b""
    assert stream.counters.frames == 199
    assert stream.counters.repeated == 189
    assert stream.counters.lost == 0


def test_the_silence_of_one_gap_is_capped_and_put_in_once() -> None:
    stream = begun(longest_gap=1600)
    stream.append(media(1, 0))
    assert len(stream.append(media(2, 10_000))) == 1600 + 160
    assert len(stream.append(media(3, 10_020))) == 160
    assert len(stream.append(media(4, 10_140))) == 800 + 160  # the next gap is measured from there
    assert stream.counters.skipped_samples == (10_000 - 20) * 8 - 1600


def test_an_absurd_timestamp_does_not_spoil_the_later_ones() -> None:
    stream = begun(longest_gap=1600)
    stream.append(media(1, 0))
    stream.append(media(2, 4_000_000_000))
    position = stream.position
    assert stream.append(media(3, 40)) == b"\x01" * 160
    assert stream.append(media(4, 1060)) == SILENCE * 1600 + b"\x01" * 160
    assert stream.position == position + 160 + 1600 + 160


def test_a_hold_filled_by_the_clock_is_not_filled_twice() -> None:
    stream = begun()
    stream.append(media(1, 0))
    for _ in range(10):
        assert stream.fill(800) == SILENCE * 800
    assert stream.append(media(2, 1020)) == b"\x01" * 160
    assert stream.counters.filled_samples == 8000
    assert stream.counters.gaps == 0


def test_what_the_clock_did_not_fill_of_a_hold_is_filled_by_the_timestamp() -> None:
    stream = begun()
    stream.append(media(1, 0))
    stream.fill(4000)
    assert stream.append(media(2, 1020)) == SILENCE * 4000 + b"\x01" * 160


def test_lost_messages_that_the_clock_has_filled_are_not_filled_again() -> None:
    stream = begun()
    stream.append(media(1, 0))
    stream.fill(480)
    assert stream.append(media(5, 80)) == b"\x01" * 160
    stream.fill(480)
    assert stream.append(media(9, 80)) == b"\x01" * 160  # the timestamp stands still: by the count of chunks


def test_a_stalled_network_that_catches_up_loses_nothing() -> None:
    """Two seconds were filled, then their sound arrives after all: audio time runs ahead, and falls back in a
    hold.
    """
    stream = begun()
    stream.append(media(1, 0))
    stream.fill(16_000)
    for chunk in range(2, 102):
        assert stream.append(media(chunk, (chunk - 1) * 20)) == b"\x01" * 160
    assert len(stream.append(media(102, 101 * 20 + 1900))) == 160
    assert stream.position == 160 + 16_000 + 101 * 160


def test_nothing_is_filled_after_stop() -> None:
    stream = begun()
    stream.stop(Stop(2, STREAM, StopDetails(ACCOUNT, CALL)))
    assert stream.fill(160) == b""
    assert stream.fill(-1) == b""
    assert stream.append(media(1, 0)) == b""
    assert stream.counters.out_of_order == 1
    assert not stream.start(start())


def test_another_streams_messages_are_ignored() -> None:
    stream = begun()
    assert stream.append(media(1, 0, sid="MZ2")) == b""
    assert stream.press(Dtmf(2, "MZ2", Press("1"))) is None
    assert stream.echo(Mark(2, "MZ2", MarkName("m"))) is None
    assert not stream.stop(Stop(2, "MZ2", StopDetails(ACCOUNT, CALL)))
    assert stream.counters.wrong_stream == 4
    assert not stream.stopped


def test_the_outbound_track_is_not_the_caller() -> None:
    stream = begun()
    assert stream.append(media(1, 0, track="outbound")) == b""
    assert stream.append(media(1, 0, sequence=3)) != b""
    assert stream.counters.other_track == 1


def test_a_lost_message_that_is_not_media_is_counted() -> None:
    stream = begun()
    stream.append(media(1, 0, sequence=2))
    stream.append(media(2, 20, sequence=4))
    assert stream.counters.lost_messages == 1
    assert stream.counters.gaps == 0


def test_a_stream_may_begin_without_connected() -> None:
    stream = MediaStream()
    assert stream.start(start())
    stream.connect(Connected())
    assert stream.counters.out_of_order == 1


def test_media_between_connected_and_start_is_counted() -> None:
    stream = MediaStream()
    stream.connect(Connected())
    assert stream.append(media(1, 0)) == b""
    assert stream.counters.out_of_order == 1
    assert stream.start(start())


def test_a_first_message_of_another_kind_is_no_twilio_stream() -> None:
    with pytest.raises(PeerError) as caught:
        MediaStream().append(media(1, 0))
    assert caught.value.close_code == 1002


def test_start_said_twice_is_counted_and_another_start_ends_the_stream() -> None:
    stream = begun()
    assert not stream.start(start())
    assert stream.counters.repeated == 1
    with pytest.raises(PeerError) as caught:
        stream.start(start(sid="MZ2"))
    assert caught.value.close_code == 1008


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (start(form=MediaFormat("audio/x-l16", 8000)), 1003),
        (start(form=MediaFormat("audio/x-mulaw", 16000)), 1003),
        (start(form=MediaFormat("audio/x-mulaw", 8000, 2)), 1003),
        (start(tracks=("outbound",)), 1008),
        (Start(1, "MZ2", start().start), 1008),
    ],
)
def test_a_start_that_cannot_be_used_ends_the_stream(message: Start, code: int) -> None:
    stream = MediaStream()
    with pytest.raises(PeerError) as caught:
        stream.start(message)
    assert caught.value.close_code == code
    assert not stream.started


def test_bad_messages_are_survived_until_nothing_else_comes() -> None:
    stream = begun()
    for _ in range(MALFORMED_IN_A_ROW):
        stream.violation()
    stream.append(media(1, 0))
    for _ in range(MALFORMED_IN_A_ROW):
        stream.violation()
    with pytest.raises(PeerError) as caught:
        stream.violation()
    assert caught.value.close_code == 1008
    assert stream.counters.malformed == 2 * MALFORMED_IN_A_ROW + 1


@dataclass
class Script:
    """A stream as it was sent, and which of its messages never came."""

    lengths: list[int]  # ms
    lost: list[bool]
    repeats: list[bool]
    pauses: list[int] = field(default_factory=list)  # ms before each chunk; 0 or at least 100


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    count = draw(st.integers(1, 40))

    def one_each(values: st.SearchStrategy[T]) -> list[T]:
        return draw(st.lists(values, min_size=count, max_size=count))

    return Script(
        lengths=one_each(st.integers(1, 60)),
        lost=one_each(st.booleans()),
        repeats=one_each(st.booleans()),
        pauses=one_each(st.sampled_from((0, 0, 0, 100, 250, 4000))),
    )


@few_by_day(25)
@given(scripts())
def test_every_payload_lands_at_its_own_timestamp(script: Script) -> None:
    stream = begun(longest_gap=10**9)
    ring = bytearray()
    expected: list[tuple[int, bytes]] = []
    now = 0
    for number, (length, lost, repeat, pause) in enumerate(
        zip(script.lengths, script.lost, script.repeats, script.pauses, strict=True), start=1
    ):
        now += pause
        payload = bytes([number]) * (length * 8)
        if not lost:
            message = media(number, now, payload)
            ring += stream.append(message)
            assert stream.position == len(ring)
            expected.append((now * 8, payload))
            if repeat:
                assert stream.append(message) == b""
        now += length
    for at, payload in expected:
        assert ring[at : at + len(payload)] == payload
    assert len(ring) == (expected[-1][0] + len(expected[-1][1]) if expected else 0)
    assert ring.count(SILENCE) == stream.counters.gap_samples == len(ring) - sum(len(p) for _, p in expected)


@few_by_day(25)
@given(st.lists(st.tuples(st.integers(0, 2**32), st.integers(0, 2**32), st.binary(max_size=40)), max_size=60))
def test_hostile_numbers_cost_at_most_the_cap(numbers: list[tuple[int, int, bytes]]) -> None:
    stream = begun(longest_gap=800)
    for chunk, timestamp, payload in numbers:
        before = stream.position
        heard = stream.append(media(chunk, timestamp, payload))
        assert stream.position - before == len(heard) <= 800 + len(payload)
        assert heard == b"" or heard.endswith(payload)
