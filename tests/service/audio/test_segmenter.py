"""Where speech begins and ends, from one probability a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio.segmenter import (
    Segmenter,
    SegmenterSettings,
    SegmentLasted,
    SegmentQuiet,
    SegmentResumed,
    SpeechEnded,
    SpeechEvent,
    SpeechStarted,
)
from batkol.speech.turn_thresholds import TurnThresholds

WINDOW = 256
SETTINGS = SegmenterSettings()


def boundaries(events: Sequence[SpeechEvent]) -> list[SpeechEvent]:
    """Return the starts and ends."""
    return [event for event in events if isinstance(event, SpeechStarted | SpeechEnded)]


def run(segmenter: Segmenter, probabilities: Sequence[float], *, start: int = 0) -> list[SpeechEvent]:
    return boundaries(run_whole(segmenter, probabilities, start=start))


def run_whole(
    segmenter: Segmenter, probabilities: Sequence[float], *, start: int = 0, levels: Sequence[float] = ()
) -> list[SpeechEvent]:
    events: list[SpeechEvent] = []
    for index, (probability, level) in enumerate(zip_longest(probabilities, levels)):
        at = start + index * WINDOW
        events += segmenter.append_score(probability, at, at + WINDOW, level=level)
    return events


def test_speech_starts_with_pre_roll_and_ends_with_its_last_window() -> None:
    events = run(Segmenter(SETTINGS), [0.0] * 20 + [0.9] * 10 + [0.0] * 20)

    assert events == [
        SpeechStarted(at=20 * WINDOW - 300 * 8, speech_at=20 * WINDOW, decided_at=23 * WINDOW),
        SpeechEnded(at=30 * WINDOW, decided_at=45 * WINDOW),
    ]


def test_a_start_is_known_after_the_minimum_of_speech_and_not_earlier() -> None:
    segmenter = Segmenter(SETTINGS)

    assert run(segmenter, [0.9, 0.9]) == []
    assert not segmenter.speaking
    assert len(run(segmenter, [0.9], start=2 * WINDOW)) == 1
    assert segmenter.speaking


def test_the_pre_roll_does_not_reach_before_the_call() -> None:
    (started,) = run(Segmenter(SETTINGS), [0.0] + [0.9] * 3)

    assert started.at == 0


def test_the_pre_roll_does_not_reach_into_the_segment_before() -> None:
    settings = replace(SETTINGS, silence_ms=64, pre_roll_ms=1000)
    events = run(Segmenter(settings), [0.9] * 5 + [0.0] * 4 + [0.9] * 5)

    assert [event.at for event in events] == [0, 5 * WINDOW, 5 * WINDOW]


def test_a_soft_syllable_above_the_release_threshold_goes_on_and_does_not_begin() -> None:
    assert run(Segmenter(SETTINGS), [0.4] * 50) == []
    assert len(run(Segmenter(SETTINGS), [0.9] * 3 + [0.4] * 50)) == 1


def test_a_pause_shorter_than_the_silence_does_not_end() -> None:
    events = run(Segmenter(SETTINGS), [0.9] * 5 + [0.0] * 14 + [0.9] * 5 + [0.0] * 20)

    assert [event.at for event in events] == [0, 24 * WINDOW]


def test_the_end_of_the_call_ends_what_is_open() -> None:
    segmenter = Segmenter(SETTINGS)
    run(segmenter, [0.9] * 5 + [0.0] * 2)

    assert segmenter.flush(7 * WINDOW) == (SpeechEnded(at=5 * WINDOW, decided_at=7 * WINDOW),)
    assert segmenter.flush(7 * WINDOW) == ()


def test_the_end_of_the_call_forgets_what_was_too_short_to_begin() -> None:
    segmenter = Segmenter(SETTINGS)
    run(segmenter, [0.9] * 2)

    assert segmenter.flush(2 * WINDOW) == ()


def test_audio_that_was_skipped_counts_as_silence() -> None:
    segmenter = Segmenter(SETTINGS)
    run(segmenter, [0.9] * 5)
    events = run(segmenter, [0.9] * 3, start=10_000)

    assert events == [
        SpeechEnded(at=5 * WINDOW, decided_at=10_000),
        SpeechStarted(at=10_000 - 2400, speech_at=10_000, decided_at=10_000 + 3 * WINDOW),
    ]


def test_speech_around_skipped_audio_is_not_added_up() -> None:
    segmenter = Segmenter(SETTINGS)

    assert run(segmenter, [0.9] * 2) + run(segmenter, [0.9] * 2, start=3 * WINDOW) == []


def test_settings_change_in_the_middle_of_speech() -> None:
    segmenter = Segmenter(SETTINGS)
    run(segmenter, [0.9] * 5 + [0.0] * 5)
    segmenter.settings = replace(SETTINGS, silence_ms=100)

    assert run(segmenter, [0.0], start=10 * WINDOW) == [SpeechEnded(at=5 * WINDOW, decided_at=11 * WINDOW)]


@pytest.mark.parametrize(
    ("silence_ms", "loud_until", "ends_at"),
    [
        (200, 0, 12),
        (200, 16, 17),
        (200, 100, 20),
        (480, 100, 20),
        (600, 100, 24),
    ],
    ids=["quiet", "quiet again", "loud for good", "by default", "longer than by default"],
)
def test_a_short_silence_ends_only_where_it_is_quiet_and_a_long_one_anywhere(
    silence_ms: int, loud_until: int, ends_at: int
) -> None:
    segmenter = Segmenter(replace(SETTINGS, silence_ms=silence_ms), lambda until: until <= loud_until * WINDOW)

    events = run(segmenter, [0.9] * 5 + [0.0] * 30)

    assert events[1:] == [SpeechEnded(at=5 * WINDOW, decided_at=ends_at * WINDOW)]


def test_a_word_that_is_missed_in_a_short_silence_is_in_the_utterance() -> None:
    segmenter = Segmenter(replace(SETTINGS, silence_ms=200), lambda until: until < 14 * WINDOW)

    assert boundaries(run_whole(segmenter, [0.9] * 5 + [0.0] * 8 + [0.9] * 5)) == [
        SpeechStarted(at=0, speech_at=0, decided_at=3 * WINDOW)
    ]


def test_booleans_are_decisions() -> None:
    assert len(run(Segmenter(SETTINGS), [True] * 3 + [False] * 20)) == 2


def test_a_short_silence_is_quiet_once_and_speech_goes_on_after_it() -> None:
    events = run_whole(Segmenter(SETTINGS), [0.9] * 5 + [0.0] * 3 + [0.9] * 3 + [0.0])

    assert events == [
        SpeechStarted(at=0, speech_at=0, decided_at=3 * WINDOW),
        SegmentQuiet(at=5 * WINDOW, decided_at=7 * WINDOW),
        SegmentResumed(at=8 * WINDOW, decided_at=9 * WINDOW),
    ]


def test_the_silence_that_ends_speech_is_quiet_first() -> None:
    events = run_whole(Segmenter(SETTINGS), [0.9] * 5 + [0.0] * 20)

    assert events[1:] == [
        SegmentQuiet(at=5 * WINDOW, decided_at=7 * WINDOW),
        SpeechEnded(at=5 * WINDOW, decided_at=20 * WINDOW),
    ]


def test_one_window_of_silence_is_not_quiet() -> None:
    assert len(run_whole(Segmenter(SETTINGS), [0.9] * 4 + [0.0] + [0.9] * 4)) == 1


def test_sound_that_is_too_short_for_speech_is_never_quiet() -> None:
    assert run_whole(Segmenter(SETTINGS), [0.9] * 2 + [0.0] * 30) == []


def test_silence_that_is_quiet_and_over_in_one_window_is_only_the_end() -> None:
    settings = replace(SETTINGS, silence_ms=64)

    assert len(run_whole(Segmenter(settings), [0.9] * 5 + [0.0] * 4)) == 2


def test_windows_that_were_left_out_are_quiet() -> None:
    segmenter = Segmenter(SETTINGS)
    run_whole(segmenter, [0.9] * 5)

    assert run_whole(segmenter, [0.9], start=8 * WINDOW) == [
        SegmentQuiet(at=5 * WINDOW, decided_at=8 * WINDOW),
        SegmentResumed(at=8 * WINDOW, decided_at=9 * WINDOW),
    ]


def test_speech_has_lasted_when_its_windows_reach_380_ms_and_only_once() -> None:
    events = run_whole(Segmenter(SETTINGS), [0.9] * 40)

    assert SETTINGS.lasting_ms == TurnThresholds().interruption_ms == 380
    assert events[1:] == [SegmentLasted(at=12 * WINDOW, decided_at=12 * WINDOW)]  # 384 ms: eleven windows are 352


def test_silence_does_not_make_speech_last_but_speech_after_it_does() -> None:
    segmenter = Segmenter(SETTINGS)

    assert SegmentLasted not in [type(event) for event in run_whole(segmenter, [0.9] * 10 + [0.0] * 10)]
    assert run_whole(segmenter, [0.9], start=20 * WINDOW) == [
        SegmentResumed(at=20 * WINDOW, decided_at=21 * WINDOW),
        SegmentLasted(at=21 * WINDOW, decided_at=21 * WINDOW),
    ]


def db(*levels: float) -> list[float]:
    """Return levels that are so many dB below the loudest sound."""
    return [10 ** (-below / 10) for below in levels]


@pytest.mark.parametrize(
    ("levels", "lasts_at"),
    [
        (db(*[30.0] * 11, 30, 30), 12),
        (db(*[30.0] * 11, 41.9, 30), 12),
        (db(*[30.0] * 11, 42.1, 41.9), 13),
        (db(*[30.0] * 11, 42.1, 42.1), None),
        (db(0, *[30.0] * 12), None),  # the loudest is the first, before the start is known
        (db(*[30.0] * 11, 0, 30), 12),  # the loudest so far
        (db(*[0.0, 30.0, 30.0] * 3, 30, 30, 30, 0), 13),
        ([0.0] * 13, 12),
    ],
)
def test_speech_lasts_to_its_last_window_within_12_db_of_the_loudest_so_far(
    levels: list[float], lasts_at: int | None
) -> None:
    events = run_whole(Segmenter(SETTINGS), [0.9] * 13, levels=levels)

    at = [] if lasts_at is None else [SegmentLasted(at=lasts_at * WINDOW, decided_at=lasts_at * WINDOW)]
    assert events[1:] == at


def test_a_bang_in_a_pause_is_loud_too_and_is_forgotten_with_its_segment() -> None:
    segmenter = Segmenter(SETTINGS)
    bang = run_whole(segmenter, [0.9] * 5 + [0.0] + [0.9] * 10, levels=db(*[30.0] * 5, 0, *[30.0] * 10))
    assert [type(event) for event in bang] == [SpeechStarted]

    after = run_whole(segmenter, [0.0] * 20 + [0.9] * 12, start=16 * WINDOW, levels=db(*[0.0] * 20, *[30.0] * 12))
    assert [type(event) for event in after] == [SegmentQuiet, SpeechEnded, SpeechStarted, SegmentLasted]


def test_a_click_before_speech_does_not_make_speech_quiet() -> None:
    events = run_whole(Segmenter(SETTINGS), [0.9, 0.9, 0.0] + [0.9] * 12, levels=db(0, 0, 0, *[30.0] * 12))

    assert events[1:] == [SegmentLasted(at=15 * WINDOW, decided_at=15 * WINDOW)]


def test_speech_that_begins_long_has_lasted_to_its_last_loud_window() -> None:
    settings = replace(SETTINGS, minimum_speech_ms=600)
    events = run_whole(Segmenter(settings), [0.9] * 19, levels=db(*[30.0] * 15, *[60.0] * 4))

    assert events[1:] == [SegmentLasted(at=15 * WINDOW, decided_at=19 * WINDOW)]


def test_each_segment_lasts_anew() -> None:
    kinds = [type(event) for event in run_whole(Segmenter(SETTINGS), ([0.9] * 20 + [0.0] * 20) * 2)]

    assert kinds == [SpeechStarted, SegmentLasted, SegmentQuiet, SpeechEnded] * 2


def test_speech_that_begins_long_has_lasted_at_once() -> None:
    settings = replace(SETTINGS, minimum_speech_ms=600)

    assert [type(event) for event in run_whole(Segmenter(settings), [0.9] * 19)] == [SpeechStarted, SegmentLasted]


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 1.5},
        {"threshold": 0.3},
        {"release_threshold": 0.0},
        {"minimum_speech_ms": -1},
        {"silence_ms": 0},
        {"pre_roll_ms": -1},
        {"quiet_ms": 0},
        {"lasting_ms": -1},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="speech"):
        SegmenterSettings(**wrong)  # type: ignore[arg-type]  # numbers of either kind, wrong on purpose


settings = st.builds(
    SegmenterSettings,
    threshold=st.floats(0.4, 1),
    release_threshold=st.floats(0.1, 0.4),
    minimum_speech_ms=st.integers(0, 400),
    silence_ms=st.integers(1, 1000),
    pre_roll_ms=st.integers(0, 1000),
    quiet_ms=st.integers(1, 200),
    lasting_ms=st.integers(0, 1000),
)
windows = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0, 0, 0, 0, 100, 9000])), max_size=150)


@given(windows, st.lists(settings, min_size=1, max_size=5))
def test_starts_and_ends_alternate_and_time_never_goes_back(
    script: list[tuple[float, int]], tunings: list[SegmenterSettings]
) -> None:
    """Whatever is heard, skipped or tuned."""
    segmenter = Segmenter(tunings[0])
    events: list[SpeechEvent] = []
    at = 0
    for index, (probability, skipped) in enumerate(script):
        segmenter.settings = tunings[index % len(tunings)]
        at += skipped
        events += segmenter.append_score(probability, at, at + WINDOW)
        at += WINDOW
    events += segmenter.flush(at)

    kinds = [type(event) for event in boundaries(events)]
    assert kinds == [SpeechStarted, SpeechEnded] * (len(kinds) // 2)
    times = [event.at for event in boundaries(events)]
    assert times == sorted(times)
    decisions = [event.decided_at for event in events]
    assert decisions == sorted(decisions)
    assert all(0 <= event.at <= event.decided_at <= at for event in events)
    assert all(event.at <= event.speech_at for event in events if isinstance(event, SpeechStarted))


@given(windows, st.lists(settings, min_size=1, max_size=5))
def test_inside_a_segment_quiet_and_speech_alternate_and_it_lasts_once(
    script: list[tuple[float, int]], tunings: list[SegmenterSettings]
) -> None:
    """Whatever is heard, skipped or tuned; and outside of a segment there is nothing."""
    segmenter = Segmenter(tunings[0])
    speaking = quiet = lasted = False
    at = speech_to = 0
    for index, (probability, skipped) in enumerate(script):
        chosen = segmenter.settings = tunings[index % len(tunings)]
        at += skipped
        for event in segmenter.append_score(probability, at, at + WINDOW):
            match event:
                case SpeechStarted():
                    assert not speaking
                    speaking, quiet, lasted = True, False, False
                    speech_at = event.speech_at
                case SpeechEnded():
                    assert speaking
                    speaking = False
                case SegmentQuiet():
                    assert speaking
                    assert not quiet
                    quiet = True
                    assert event.at == speech_to
                    assert event.decided_at - event.at >= chosen.quiet_ms * 8
                case SegmentResumed():
                    assert (speaking, quiet) == (True, True)
                    quiet = False
                    assert (event.at, event.decided_at) == (at, at + WINDOW)
                case SegmentLasted():
                    assert (speaking, quiet, lasted) == (True, False, False)
                    lasted = True
                    assert event.at == event.decided_at == at + WINDOW
                    assert event.at - speech_at >= chosen.lasting_ms * 8
        if segmenter._sounding:
            speech_to = at + WINDOW
        at += WINDOW
        silent = at - speech_to
        assert not speaking or quiet or silent < chosen.quiet_ms * 8


measured = st.lists(st.tuples(st.sampled_from([0.0, 0.9]), st.sampled_from(db(0, 10, 14, 20, 30))), max_size=60)


@given(measured, settings)
def test_levels_change_nothing_but_that_speech_lasts(
    heard: list[tuple[float, float]], chosen: SegmenterSettings
) -> None:
    probabilities, levels = [probability for probability, _ in heard], [level for _, level in heard]
    with_levels = run_whole(Segmenter(chosen), probabilities, levels=levels)
    without = run_whole(Segmenter(chosen), probabilities)

    def others(events: Sequence[SpeechEvent]) -> list[SpeechEvent]:
        return [event for event in events if not isinstance(event, SegmentLasted)]

    assert others(with_levels) == others(without)
    assert [event for event in with_levels if isinstance(event, SegmentLasted)] == loud_enough(heard, without, chosen)


def loud_enough(
    heard: Sequence[tuple[float, float]], events: Sequence[SpeechEvent], chosen: SegmenterSettings
) -> list[SpeechEvent]:
    """Return when speech lasts in the segments of `events`, by looking at each whole segment."""
    found: list[SpeechEvent] = []
    starts = [event for event in events if isinstance(event, SpeechStarted)]
    ends = [event.at for event in events if isinstance(event, SpeechEnded)] + [len(heard) * WINDOW]
    for started, end in zip(starts, ends, strict=False):
        first = started.speech_at // WINDOW
        for number in range(first, end // WINDOW):
            loud = heard[number][1] >= max(level for _, level in heard[first : number + 1]) * 10**-1.2
            at = (number + 1) * WINDOW
            if heard[number][0] and loud and at - started.speech_at >= chosen.lasting_ms * 8:
                beyond = [end for end in range(first + 1, started.decided_at // WINDOW + 1) if end * WINDOW > at]
                found.append(SegmentLasted(at, at) if not beyond else last_loud(heard, first, started.decided_at))
                break
    return found


def last_loud(heard: Sequence[tuple[float, float]], first: int, known: int) -> SegmentLasted:
    """Return that a segment had lasted when its start was known."""
    levels = [level for _, level in heard[first : known // WINDOW]]
    last = max(number for number, level in enumerate(levels) if level >= max(levels[: number + 1]) * 10**-1.2)
    return SegmentLasted((first + last + 1) * WINDOW, known)


@given(st.lists(st.floats(0, 1), max_size=150), settings)
def test_nothing_waits_past_the_silence(probabilities: list[float], chosen: SegmenterSettings) -> None:
    """An end is known with the window that completes the silence; while a segment is open, no silence is longer."""
    segmenter = Segmenter(chosen)
    silent = 0
    for index, probability in enumerate(probabilities):
        end = (index + 1) * WINDOW
        for event in segmenter.append_score(probability, end - WINDOW, end):
            if isinstance(event, SpeechEnded):
                assert chosen.silence_ms * 8 <= end - event.at < chosen.silence_ms * 8 + WINDOW
        silent = silent + WINDOW if probability < chosen.release_threshold else 0
        assert not segmenter.speaking or silent < chosen.silence_ms * 8


@given(st.lists(st.tuples(st.integers(1, 2), st.integers(1, 40)), max_size=20))
def test_bursts_shorter_than_the_minimum_yield_nothing(bursts: list[tuple[int, int]]) -> None:
    probabilities = [p for loud, quiet in bursts for p in [1.0] * loud + [0.0] * quiet]

    assert run(Segmenter(SETTINGS), probabilities) == []
