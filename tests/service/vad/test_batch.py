"""One round: the levels of windows come to the segmenter when they count, however the audio comes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio import mulaw
from batkol.audio.level import window_levels
from batkol.audio.quiet import is_loud
from batkol.audio.ring import Ring
from batkol.audio.segmenter import Segmenter, SegmenterSettings, SegmentLasted, SpeechEvent
from batkol.vad.batch import BatchPart, PartLevels, gather, score
from batkol.vad.engine import EngineName, SlotPool
from support.vad.level_engine import LevelEngine
from support.vad.rounds import in_rounds

WINDOW = 256


class MarkedEngine(SlotPool):
    """Takes a window for speech if the code of its first sample is odd, however loud it is."""

    name = EngineName.SILERO
    open = SlotPool.acquire
    close = SlotPool.give_back

    def __init__(self, window: int = WINDOW) -> None:
        super().__init__()
        self.window = window

    def score(self, slots: Sequence[int], sounds: Sequence[bytes]) -> list[list[float]]:
        return [[float(sound[at] & 1) for at in range(0, len(sound), self.window)] for sound in sounds]


class Sound(NamedTuple):
    """So many windows that are speech or not, as loud as a code of mu-law."""

    speech: bool
    code: int
    windows: int


def mulaw_of(sounds: Sequence[Sound], window: int = WINDOW) -> bytes:
    return b"".join(bytes([sound.code & 0xFE | sound.speech]) * window * sound.windows for sound in sounds)


def at_once(audio: bytes, settings: SegmenterSettings) -> list[SpeechEvent]:
    """Return the events of a segmenter that is given every window's level, and has all of the audio."""
    ring, events = Ring(capacity=10 * 8000), list[SpeechEvent]()
    ring.append(audio)
    segmenter = Segmenter(settings, partial(is_loud, ring))
    for number, level in enumerate(window_levels(audio, WINDOW)):
        start = number * WINDOW
        events += segmenter.append_score(float(audio[start] & 1), start, start + WINDOW, level=level)
    return events


def rounds(audio: bytes, settings: SegmenterSettings, pieces: Sequence[int]) -> list[SpeechEvent]:
    return in_rounds(MarkedEngine(), audio, settings, pieces)[0]


sounds = st.lists(
    st.builds(Sound, st.booleans(), st.sampled_from([0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xFF]), st.integers(1, 12)),
    max_size=12,
)
tunings = st.builds(
    SegmenterSettings,
    minimum_speech_ms=st.sampled_from([0, 96, 600]),
    silence_ms=st.sampled_from([32, 200, 480]),
    lasting_ms=st.sampled_from([0, 32, 100, 380]),
)


@given(sounds, tunings, st.lists(st.integers(100, 8000), min_size=1, max_size=4))
def test_in_whatever_pieces_audio_comes_speech_lasts_at_the_same_sample(
    said: list[Sound], settings: SegmenterSettings, pieces: list[int]
) -> None:
    audio = mulaw_of(said)

    assert rounds(audio, settings, pieces) == at_once(audio, settings)


def lasted(events: Sequence[SpeechEvent]) -> list[int]:
    return [event.at for event in events if isinstance(event, SegmentLasted)]


@pytest.mark.parametrize("piece", [160, 512, 4000])
def test_what_rings_on_after_a_sound_does_not_make_it_last(piece: int) -> None:
    """320 ms as loud as a code, and 320 ms that the detector takes for speech: 18 dB below, and 6 dB below."""
    sound, faint, less = Sound(True, 0x90, 10), Sound(True, 0xC0, 10), Sound(True, 0xA0, 10)

    assert lasted(rounds(mulaw_of([sound, faint]), SegmenterSettings(), [piece])) == []
    assert lasted(rounds(mulaw_of([sound, less]), SegmenterSettings(), [piece])) == [12 * WINDOW]


def test_levels_are_measured_only_while_speech_may_begin_to_last() -> None:
    """Not in silence, before it is long enough, after it has lasted, or in the silence after a short sound."""
    short, silence, long = Sound(True, 0x90, 8), Sound(False, 0xFF, 40), Sound(True, 0x90, 200)

    call = mulaw_of([silence, short, silence, long, silence])
    _, measured = in_rounds(MarkedEngine(), call, SegmenterSettings(), [512])

    assert measured == 1


def test_speech_whose_start_takes_longer_than_to_last_is_measured_before_it_is_known() -> None:
    settings = SegmenterSettings(minimum_speech_ms=600)
    audio = mulaw_of([Sound(True, 0x90, 15), Sound(True, 0xC0, 10)])

    assert lasted(rounds(audio, settings, [512])) == lasted(at_once(audio, settings)) == [15 * WINDOW]


def test_no_audio_is_measured_twice() -> None:
    """Loud speech of 10 windows, and faint speech that never lasts: all of it is needed once, then what is new."""
    segmenter = Segmenter(SegmenterSettings())
    for number in range(10):
        segmenter.append_score(1.0, number * WINDOW, (number + 1) * WINDOW)
    assert segmenter.levels_since(10 * WINDOW, 11 * WINDOW) is None
    assert segmenter.levels_since(10 * WINDOW, 12 * WINDOW) == 0

    segmenter.append_level(1.0, 10 * WINDOW)
    assert segmenter.levels_since(10 * WINDOW, 12 * WINDOW) == 10 * WINDOW
    for number in range(10, 12):
        segmenter.append_score(1.0, number * WINDOW, (number + 1) * WINDOW, level=0.01)
    assert segmenter.levels_since(12 * WINDOW, 14 * WINDOW) == 12 * WINDOW


def part_of(audio: bytes, slot: int, unmeasured: bytes | None) -> BatchPart:
    ring = Ring(capacity=8000)
    ring.append(audio)
    return gather(ring, 0, slot=slot, window=WINDOW, last=True)._replace(unmeasured=unmeasured)


def level(amplitude: int) -> float:
    """Return the level of a sound of this amplitude, as mu-law has it."""
    return float(mulaw.decode(tone(amplitude, 1))[0]) ** 2


def tone(amplitude: int, samples: int) -> bytes:
    return mulaw.encode(np.full(samples, amplitude, np.int16))


def test_each_part_of_a_round_has_its_own_levels_and_a_cut_window_that_of_its_sound() -> None:
    cut = part_of(tone(8000, WINDOW + 10), 3, b"")
    unmeasured = part_of(tone(8000, WINDOW), 5, None)
    late = part_of(tone(2000, WINDOW), 4, tone(500, 100) + tone(4000, WINDOW) + tone(1000, WINDOW))

    levels = score(LevelEngine(), [cut, unmeasured, late]).levels

    assert levels.keys() == {3, 4}
    assert levels[3].before == 0.0
    assert levels[3].windows == pytest.approx([level(8000)] * 2)
    assert levels[4] == PartLevels(level(4000), [level(2000)])
    assert score(LevelEngine(), [part_of(b"", 1, b"")]) == ([[]], {})


def test_without_a_window_of_speech_no_level_is_measured() -> None:
    part = part_of(tone(500, 2 * WINDOW), 0, tone(500, WINDOW))._replace(speech_from=0.35)

    assert score(LevelEngine(), [part]) == ([[0.0, 0.0]], {})
