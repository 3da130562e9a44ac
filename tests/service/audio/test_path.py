import pytest

from batkol.audio.path import LONGEST_S, Path


def measured(path: Path, *, round_trip: float, buffer: float, sound: float = 0.34, now: float = 10.0) -> None:
    silence, behind = path.probe_silence(now), path.probe_sound(now + sound)
    path.echo(silence, now + round_trip)
    path.echo(behind, now + sound + round_trip + buffer)


def test_the_way_is_half_of_what_the_first_mark_takes_and_the_buffer_is_what_the_second_takes_more() -> None:
    path = Path("ours-")
    measured(path, round_trip=0.3, buffer=0.12)

    assert [path.there_s, path.buffer_s] == pytest.approx([0.15, 0.12 - 0.01])


def test_an_echo_that_waits_for_a_frame_is_no_buffer() -> None:
    path = Path("ours-")
    measured(path, round_trip=0.1, buffer=0.009)

    assert path.buffer_s == 0.0


def test_without_a_measurement_the_path_takes_no_time() -> None:
    path = Path("ours-")
    path.probe_silence(10.0)

    assert (path.there_s, path.buffer_s) == (0.0, 0.0)


def test_one_late_echo_among_five_counts_for_nothing() -> None:
    path = Path("ours-")
    for late in (0.0, 0.0, 2.0, 0.0, 0.0):
        measured(path, round_trip=0.1 + late, buffer=0.0)

    assert path.there_s == pytest.approx(0.05)


def test_a_line_that_changes_is_measured_anew() -> None:
    path = Path("ours-")
    for round_trip in (0.1, 0.1, 0.1, 0.1, 0.1, 0.5, 0.5, 0.5):
        measured(path, round_trip=round_trip, buffer=0.0)

    assert path.there_s == pytest.approx(0.25)


def test_an_echo_before_its_sound_can_have_ended_is_no_measurement() -> None:
    """It was cleared, or nothing was buffered, or the peer makes it up."""
    path = Path("ours-")
    path.echo(path.probe_silence(10.0), 10.1)
    path.echo(path.probe_sound(10.34), 10.2)

    assert path.buffer_s == 0.0
    measured(path, round_trip=0.1, buffer=0.2)
    assert path.buffer_s == pytest.approx(0.2 - 0.01)


def test_a_peer_that_echoes_nonsense_is_not_believed() -> None:
    path = Path("ours-")
    name = path.probe_silence(10.0)
    path.echo("ours-99", 10.1)
    path.echo("someone else's", 10.1)
    path.echo(name, 10.0 + LONGEST_S + 0.1)
    path.echo(name, 10.1)  # again: it counts once

    assert (path.there_s, path.buffer_s) == (0.0, 0.0)


def test_a_buffer_is_never_negative() -> None:
    path = Path("ours-")
    path.echo(path.probe_silence(10.0), 10.5)
    path.echo(path.probe_sound(10.0), 10.1)

    assert path.buffer_s == 0.0


def test_marks_that_are_pending_at_a_clear_measure_nothing() -> None:
    path = Path("ours-")
    name = path.probe_silence(10.0)
    path.void()
    path.echo(name, 10.2)

    assert path.there_s == 0.0
    assert path.owns(name)


def test_a_peer_that_never_answers_costs_no_memory() -> None:
    path = Path("ours-")
    names = [path.probe_silence(10.0 + number) for number in range(100)]

    assert len(path._pending) == 8
    path.echo(names[0], 110.0)
    path.echo(names[-1], 109.2)
    assert path.there_s == pytest.approx(0.1)
