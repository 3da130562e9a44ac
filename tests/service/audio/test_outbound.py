"""Any order of playing, clearing, waiting and echoing, against a peer that plays at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio.outbound import BEGINNING, FRAME, GATHERS_S, LONGEST, MESSAGE, Clear, Outbound
from batkol.audio.path import Path
from support.properties import few_by_day

LEAD = 3920  # no whole number of frames
OURS = "ours-"

steps = st.one_of(
    st.tuples(st.just("play"), st.integers(0, 6000)),
    st.tuples(st.just("wait"), st.integers(0, 1500)),
    st.tuples(st.just("late"), st.integers(0, 600)),
    st.tuples(st.just("flush"), st.just(0)),
    st.tuples(st.just("mark"), st.just(0)),
    st.tuples(st.just("clear"), st.just(0)),
)


@dataclass
class World:
    """A peer without a path, which plays what it gets at once, and what it must have got."""

    outbound: Outbound = field(default_factory=lambda: Outbound(Path(OURS), lead=LEAD))
    now: float = 100.0
    ends_at: float = -math.inf
    begun_at: float = -math.inf  # when sound was queued in silence
    sound: dict[int, int] = field(default_factory=dict)  # position -> sample
    written: bytearray = field(default_factory=bytearray)
    marks: list[str] = field(default_factory=list)
    messages: list[int] = field(default_factory=list)
    base: tuple[int, int] = (0, 0)  # at the last clear: position, and what the ear had heard
    heard: int = 0  # before the last clear
    number: int = 0

    def play(self, samples: int) -> None:
        self.number += 1
        if self.now >= self.ends_at and self.outbound.queued_to == self.outbound.written:
            self.begun_at = self.now
        end = self.outbound.append(bytes([self.number % 200]) * samples, self.now)
        self.sound |= dict.fromkeys(range(end - samples, end), self.number % 200)

    def clear(self) -> int:
        before, written = self.outbound.position(self.now), self.outbound.written
        heard = self.outbound.clear(self.now)
        assert before <= heard <= written
        assert self.outbound.queued_to == self.outbound.written == written
        self.sound = {position: sample for position, sample in self.sound.items() if position < written}
        assert isinstance(self.outbound.next(self.now), Clear)
        self.ends_at = min(self.ends_at, self.now)
        return heard

    def write(self) -> None:
        while (item := self.outbound.next(self.now)) is not None:
            match item:
                case str():
                    if not item.startswith(OURS):
                        self.marks.append(item)
                case bytes():
                    self.take(item)
                case Clear():
                    raise AssertionError("a clear that is not the first")

    def take(self, sound: bytes) -> None:
        assert sound
        assert len(sound) % FRAME == 0
        self.outbound.sent(self.now)
        self.messages.append(len(sound))
        self.written += sound
        self.ends_at = max(self.now, self.ends_at) + len(sound) / 8000
        assert (self.ends_at - self.now) * 8000 <= LEAD + FRAME

    def wait(self, milliseconds: int) -> None:
        """Let time pass, with the deadlines kept."""
        until = self.now + milliseconds / 1000
        self.write()
        while (deadline := self.outbound.deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            waiting = self.outbound.queued_to - self.outbound.written
            gathers = waiting < BEGINNING and self.now <= self.begun_at + GATHERS_S + 1e-6
            assert self.ends_at >= self.now - 1e-6 or waiting < FRAME or gathers
            self.write()
        self.now = until

    def stall(self, milliseconds: int) -> None:
        self.now += milliseconds / 1000
        self.write()


def run(world: World, script: list[tuple[str, int]]) -> None:
    shown = 0
    for what, size in script:
        match what:
            case "play":
                world.play(size)
            case "wait":
                world.wait(size)
            case "late":
                world.stall(size)
            case "flush":
                world.outbound.flush()
            case "mark":
                world.outbound.mark(f"m{len(world.marks)}")
            case "clear":
                world.clear()
        position = world.outbound.position(world.now)
        assert shown <= position <= world.outbound.written <= world.outbound.queued_to
        shown = position


@few_by_day(150)
@given(st.lists(steps, max_size=25))
def test_all_sound_is_written_once_or_cleared_in_whole_frames_and_at_most_the_lead_ahead(
    script: list[tuple[str, int]],
) -> None:
    world = World()
    run(world, script)
    world.wait(60_000)

    assert len(world.written) == world.outbound.written == world.outbound.queued_to
    assert list(world.written) == [world.sound.get(position, 0xFF) for position in range(world.outbound.written)]
    assert world.outbound.deadline is None
    assert world.outbound.position(world.now) <= world.outbound.written


@few_by_day(150)
@given(st.lists(steps, max_size=25))
def test_nothing_is_written_before_the_deadline_and_something_at_it(script: list[tuple[str, int]]) -> None:
    world = World()
    run(world, script)
    world.write()
    deadline = world.outbound.deadline
    if deadline is not None:
        assert deadline > world.now
        assert world.outbound.next(deadline - 0.002) is None
        assert world.outbound.next(deadline) is not None


def test_the_first_message_is_the_lead_and_the_next_ones_are_a_quarter_of_a_second() -> None:
    world = World()
    world.play(16_000)
    world.wait(2000)

    assert world.messages == [3840, *[MESSAGE] * 6, 640]


def test_sound_goes_on_without_a_gap_and_without_drift() -> None:
    world = World()
    world.play(800_000)
    world.wait(99_000)

    assert world.ends_at == pytest.approx(100.0 + len(world.written) / 8000)


def test_a_loop_that_stood_still_catches_up_with_one_message() -> None:
    world = World()
    world.play(80_000)
    world.wait(1000)
    world.messages.clear()
    world.stall(230)

    assert len(world.messages) == 1
    assert world.messages[0] >= 230 * 8 - FRAME


def test_a_line_that_ran_dry_begins_again_with_a_whole_lead() -> None:
    world = World()
    world.play(80_000)
    world.wait(1000)
    world.messages.clear()
    world.stall(900)

    assert world.messages == [3840]


def test_an_incomplete_frame_waits_for_the_rest_of_it() -> None:
    world = World()
    world.play(1000)
    world.wait(60)
    world.play(280)
    world.wait(1000)

    assert bytes(world.written) == b"\x01" * 1000 + b"\x02" * 280


def test_an_incomplete_frame_is_filled_before_the_line_runs_dry() -> None:
    world = World()
    world.play(1000)
    world.wait(2000)

    assert bytes(world.written) == b"\x01" * 1000 + b"\xff" * 120
    assert world.ends_at == pytest.approx(100.14)


def test_sound_that_begins_in_small_pieces_has_no_silence_in_it() -> None:
    """As a voice sends it: 32 ms, and 29 ms more after 10 ms. The first 20 ms alone would be over before the next."""
    world = World()
    for samples in (256, 234, 489, 489, 979):
        world.play(samples)
        world.wait(10)
    world.outbound.flush()
    world.wait(1000)

    assert bytes(world.written).rstrip(b"\xff") == bytes(
        sample for number, count in enumerate((256, 234, 489, 489, 979), 1) for sample in [number] * count
    )
    assert world.ends_at == pytest.approx(100.01 + len(world.written) / 8000)


def test_the_beginning_of_sound_waits_for_more_for_40_ms() -> None:
    world = World()
    world.play(320)
    world.wait(38)
    early = len(world.written)
    world.wait(3)

    assert (early, len(world.written)) == (0, 320)


def test_a_frame_that_is_not_whole_waits_for_the_rest_though_little_sound_is_before_it() -> None:
    world = World()
    world.play(BEGINNING + 100)
    world.wait(30)
    world.play(60)
    world.wait(1000)

    assert bytes(world.written) == b"\x01" * (BEGINNING + 100) + b"\x02" * 60


def test_a_flush_fills_and_writes_at_once() -> None:
    world = World()
    world.play(100)
    world.write()
    before = len(world.written)
    world.outbound.flush()
    world.write()

    assert (before, bytes(world.written)) == (0, b"\x01" * 100 + b"\xff" * 60)
    assert world.outbound.append(b"\x02" * 160, world.now) == 320


def test_a_mark_is_written_when_the_sound_before_it_is_and_no_later() -> None:
    world = World()
    world.play(1600)
    world.outbound.mark("after 200 ms")
    world.play(16_000)
    world.write()

    assert (world.messages[0], world.marks) == (1600, ["after 200 ms"])


def test_the_ear_is_at_the_clock_and_a_clear_says_where() -> None:
    world = World()
    world.play(80_000)
    world.wait(1234)
    heard = world.clear()

    assert heard == pytest.approx(1234 * 8, abs=8)
    assert world.outbound.position(world.now + 5) == heard


def test_what_is_played_after_a_clear_has_later_positions_and_the_ear_skips_what_it_did_not_hear() -> None:
    world = World()
    world.play(80_000)
    world.wait(500)
    heard, written = world.clear(), world.outbound.written
    world.play(1600)
    world.wait(100)

    assert heard < written == world.outbound.queued_to - 1600
    assert world.outbound.position(world.now) == pytest.approx(written + 800, abs=8)
    assert world.outbound.was_thrown_away(written)
    assert not world.outbound.was_thrown_away(heard)
    assert not world.outbound.was_thrown_away(written + 1)


def test_sound_that_is_cleared_while_it_is_written_is_not_heard() -> None:
    outbound = Outbound(Path(OURS), lead=LEAD)
    outbound.append(b"\x01" * 8000, 10.0)
    assert outbound.next(10.0) == f"{OURS}1"
    assert outbound.next(10.0) == b"\x01" * 3840
    heard = outbound.clear(10.2)  # the socket takes nothing for 0.2 s
    outbound.sent(10.3)

    assert (heard, outbound.written, outbound.position(11.0)) == (0, 3840, 0)
    assert isinstance(outbound.next(10.3), Clear)
    assert outbound.next(10.3) is None


def test_the_peers_buffer_is_not_heard_at_a_clear_and_the_way_there_is() -> None:
    """A `clear` takes the same way as the sound: what is on the way is played before the `clear` arrives."""
    outbound = Outbound(path := Path(OURS), lead=LEAD)
    path.echo(path.probe_silence(1.0), 1.4)
    path.echo(path.probe_sound(1.0), 1.51)
    outbound.append(b"\x01" * 80_000, 10.0)
    for at in (10.0, 10.0, 10.0, *(10.1 + 0.1 * number for number in range(9))):
        outbound.next(at)
        outbound.sent(at)

    assert outbound.position(10.9) == pytest.approx((0.9 - 0.2 - 0.1) * 8000, abs=8)
    assert outbound.clear(10.9) == pytest.approx((0.9 - 0.1) * 8000, abs=8)


def test_a_position_that_was_told_stands_when_the_path_turns_out_to_be_longer() -> None:
    outbound = Outbound(path := Path(OURS), lead=LEAD)
    outbound.append(b"\x01" * 2720, 10.0)
    silence, sound = outbound.next(10.0), outbound.next(10.0)
    outbound.sent(10.0)
    behind = outbound.next(10.0)
    told = outbound.position(10.3)
    assert isinstance(silence, str)
    assert isinstance(behind, str)
    path.echo(silence, 10.2)
    path.echo(behind, 10.8)

    assert sound
    assert told == 2400
    assert path.buffer_s == pytest.approx(0.25)
    assert outbound.position(10.31) == outbound.clear(10.32) == told


def test_sound_that_comes_late_is_heard_without_a_gap_if_the_peer_had_buffered_as_much() -> None:
    outbound = Outbound(path := Path(OURS), lead=LEAD)
    path.echo(path.probe_silence(1.0), 1.0)
    path.echo(path.probe_sound(1.0), 1.21)
    outbound.append(b"\x01" * 800, 10.0)
    outbound.next(10.0)
    outbound.next(10.0)
    outbound.sent(10.0)
    outbound.append(b"\x01" * 1600, 10.2)  # the first sound would be over without the buffer
    outbound.next(10.2)
    assert outbound.next(10.2) == b"\x01" * 1600
    outbound.sent(10.2)

    assert outbound.clear(10.4) == pytest.approx(1600, abs=1)  # played from 10.2 on


def test_marks_that_a_clear_brings_back_measure_nothing() -> None:
    outbound = Outbound(path := Path(OURS), lead=LEAD)
    outbound.append(b"\x01" * 80_000, 10.0)
    marks = []
    while (item := outbound.next(10.0)) is not None:
        outbound.sent(10.0)
        marks += [item] if isinstance(item, str) else []
    outbound.clear(10.2)
    for name in marks:
        path.echo(name, 10.8)

    assert len(marks) == 2
    assert (path.there_s, path.buffer_s) == (0.0, 0.0)


def test_only_the_first_sound_after_silence_is_measured() -> None:
    outbound = Outbound(Path(OURS), lead=LEAD)
    found: list[str] = []
    for number in range(100):
        outbound.append(b"\x01" * 160, now := 10.0 + number * 0.03)  # each one late
        while (item := outbound.next(now)) is not None:
            if isinstance(item, str):
                found.append(item)
            else:
                outbound.sent(now)

    assert len(found) == 2


def test_marks_that_wait_come_back_behind_the_clear() -> None:
    outbound = Outbound(Path(OURS), lead=LEAD)
    outbound.append(b"\x01" * 80_000, 10.0)
    outbound.mark("one")
    outbound.clear(10.0)
    outbound.mark("two")
    outbound.append(b"\x02" * BEGINNING, 10.0)
    written = []
    while (item := outbound.next(10.0)) is not None:
        written.append("sound" if isinstance(item, bytes) else "clear" if isinstance(item, Clear) else item)
        outbound.sent(10.0)

    assert written == ["clear", "one", "two", "ours-1", "sound", "ours-2"]


def test_ten_minutes_may_wait_and_what_the_peer_has_counts() -> None:
    outbound = Outbound(Path(OURS), lead=LEAD)
    outbound.append(bytes(LONGEST), 10.0)
    outbound.next(10.0)
    outbound.next(10.0)
    outbound.sent(10.0)

    assert (outbound.written, outbound.queued_to) == (3840, LONGEST)
    assert outbound.room(10.0) == 0
    assert outbound.room(10.1) == pytest.approx(800, abs=1)
    outbound.clear(10.1)
    assert outbound.room(10.1) == LONGEST
    assert outbound.append(bytes(160), 10.1) == 3840 + 160
