"""The detectors on human voices, music, a television, mm-hms and coughs: the main rows of docs/vad.md.

The recordings come out of Debian's packages: `make nightly` fetches them, and without them these tests fail.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

from batkol.audio.segmenter import LOUD_DB, SegmenterSettings, SegmentLasted
from batkol.live.tuning import Tuning
from batkol.vad.engine import EngineName, VadEngine
from batkol.vad.factory import create
from batkol.vad.session import endpointing
from support.speech.clip import Clip, Signal, whole
from support.speech.coughs import clicks, coughs
from support.speech.human import UTTERANCES, short_sounds, utterances
from support.speech.hums import mm_hms
from support.speech.murmurs import murmurs
from support.speech.music import PIECES, music, pieces, television
from support.vad.rounds import in_rounds
from support.vad.scenes import Scene, pink, scene, white
from support.vad.segments import compare, segments
from support.vad.short import apart, heard_ms, known_after, reaching

SILERO, WEBRTC = EngineName.SILERO, EngineName.WEBRTC


@cache
def said() -> Scene:
    return scene(utterances(), np.random.default_rng(1), (900, 2000))


def under(what: str, snr: float) -> Scene:
    """Return the utterances with noise, music or a television `snr` dB below them."""
    call = said()
    samples = len(call.sound)
    match what:
        case "quiet":
            return call
        case "white noise":
            return call.in_noise(white, snr)
        case "music":
            return call.beside(music(samples).pcm.astype(float), snr)
    return call.beside(np.resize(television(below_db=0).pcm, samples).astype(float), snr)


class Most(NamedTuple):
    missed: int
    split: int
    merged: int
    false: int


ALL = Most(0, 0, 0, 0)
FEW = Most(2, 2, 2, 2)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("what", "snr", "engine", "most"),
    [
        ("quiet", 0, SILERO, ALL),
        ("quiet", 0, WEBRTC, ALL),
        ("white noise", 20, SILERO, ALL),
        ("white noise", 20, WEBRTC, ALL),
        ("white noise", 10, SILERO, FEW),
        ("music", 20, SILERO, FEW),
        ("music", 10, SILERO, FEW),
        ("music", 5, SILERO, Most(8, 4, 4, 4)),
        ("television", 40, SILERO, Most(2, 2, 8, 2)),
    ],
)
def test_utterances_are_found_one_by_one(what: str, snr: float, engine: EngineName, most: Most) -> None:
    call = under(what, snr)

    found = compare(call.spans, segments(create(engine), call.mulaw), len(call.sound))

    assert found.utterances == UTTERANCES
    assert found.missed <= most.missed
    assert found.split <= most.split
    assert found.merged <= most.merged
    assert found.false <= most.false
    assert np.median(found.start) < 80
    assert 40 < np.median(found.end) < 180


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("what", "snr", "engine"),
    [("television", 20, SILERO), ("television", 20, WEBRTC), ("music", 20, WEBRTC), ("white noise", 10, WEBRTC)],
)
def test_some_sound_behind_the_caller_joins_most_utterances(what: str, snr: float, engine: EngineName) -> None:
    """What docs/vad.md warns of: a reply that waits for the end of speech would not come."""
    call = under(what, snr)

    assert compare(call.spans, segments(create(engine), call.mulaw), len(call.sound)).merged > UTTERANCES / 2


def speech_s(engine: EngineName, clip: Clip) -> float:
    return sum(segment.ms for segment in segments(create(engine), clip.mulaw)) / 1000


@pytest.mark.nightly
@pytest.mark.parametrize("below_db", [0, 10, 26])
def test_silero_takes_music_on_hold_for_silence_and_webrtc_takes_it_for_speech(below_db: float) -> None:
    minutes = [piece.quieter(below_db) for piece in pieces()]

    assert len(minutes) == PIECES
    assert all(speech_s(SILERO, minute) < 3 for minute in minutes)
    assert all(speech_s(WEBRTC, minute) > 30 for minute in minutes)


@pytest.mark.nightly
@pytest.mark.parametrize("engine", EngineName)
def test_a_television_20_db_below_a_caller_is_one_minute_of_speech(engine: EngineName) -> None:
    [segment] = segments(create(engine), television().mulaw)

    assert segment.ms > 58_000


def heard(engine: EngineName, clips: tuple[Clip, ...], *, loud: bool = False, noise: bool = False) -> Signal:
    """Return for how long each clip is heard; with `loud`, up to its last window within 12 dB of its loudest."""
    call = apart(clips)
    if noise:
        call = call.in_noise(pink, 20)
    found = segments(create(engine), call.mulaw)
    return heard_ms(call, [segment.loud(LOUD_DB) for segment in found] if loud else found)


@pytest.mark.nightly
def test_human_sounds_of_350_ms_are_heard_for_half_a_second_and_their_loud_part_for_their_own_time() -> None:
    murmured, spelled = heard(SILERO, murmurs()), heard(SILERO, short_sounds())

    assert len(murmured) >= 95
    assert len(spelled) == len(short_sounds()) >= 50
    assert 10 <= reaching(murmured, 400) <= 40
    assert reaching(murmured, 450) <= 5
    assert reaching(murmured, 550) == reaching(spelled, 550) == 0
    assert reaching(heard(SILERO, murmurs(), loud=True), 380) == 0
    assert reaching(heard(SILERO, short_sounds(), loud=True), 380) == 0
    assert reaching(heard(SILERO, murmurs(), loud=True, noise=True), 380) <= 3
    assert reaching(heard(WEBRTC, murmurs(), loud=True), 380) == 0


def interruptions(engine: VadEngine, sound: bytes) -> int:
    """Return how often speech lasts in a call whose audio comes frame by frame, by the rounds of the service."""
    events, _ = in_rounds(engine, sound, endpointing(Tuning()))
    return sum(isinstance(event, SegmentLasted) for event in events)


@pytest.mark.nightly
def test_no_human_mm_hm_interrupts_the_agent_on_a_quiet_line() -> None:
    call, letters = apart(murmurs(100)), apart(short_sounds())

    assert len(call.spans) == 100
    assert interruptions(create(SILERO), call.mulaw) == interruptions(create(SILERO), letters.mulaw) == 0
    assert interruptions(create(SILERO), call.in_noise(pink, 20).mulaw) <= 3
    assert interruptions(create(WEBRTC), call.mulaw) == 0
    assert interruptions(create(SILERO), apart(utterances()).mulaw) >= UTTERANCES - 6


@pytest.mark.nightly
def test_an_utterance_is_known_to_last_soon_after_it_does() -> None:
    found = segments(create(SILERO), said().mulaw)

    late, never = known_after(said(), found, 450)
    assert never <= 3
    assert 450 < np.median(late) < 520
    assert np.percentile(late, 95) < 680
    loud = [segment.loud(LOUD_DB) for segment in found]
    assert [segment.lasted for segment in found] == [segment.lasts(SegmenterSettings().lasting_ms) for segment in loud]
    late, never = known_after(said(), loud, 380)
    assert never <= 6
    assert 380 < np.median(late) < 440
    assert np.percentile(late, 95) < 600


@pytest.mark.parametrize("engine", EngineName)
def test_the_tables_count_as_the_segmenter_does(engine: EngineName) -> None:
    """Two seconds of voiced sounds one after the other last, and a short one does not."""
    clips = mm_hms(8)
    joined = whole("hums", np.concatenate([clip.pcm for clip in clips]).astype(np.float64))
    call = apart([*clips, joined])
    found = segments(create(engine), call.mulaw)

    lasting_ms = SegmenterSettings().lasting_ms
    assert [segment.lasted for segment in found] == [segment.loud(LOUD_DB).lasts(lasting_ms) for segment in found]
    assert interruptions(create(engine), call.mulaw) == sum(segment.lasted is not None for segment in found)
    assert found[0].lasted is None
    assert found[-1].lasted is not None


HOW_MANY = pytest.mark.parametrize("count", [40, pytest.param(100, marks=pytest.mark.nightly)])


@HOW_MANY
def test_synthetic_mm_hms_are_heard_for_less_than_half_a_second(count: int) -> None:
    by_silero, by_webrtc = heard(SILERO, mm_hms(count)), heard(WEBRTC, mm_hms(count))

    assert len(by_silero) > 0.4 * count
    assert len(by_webrtc) == count
    assert reaching(by_silero, 450) == 0
    assert reaching(by_webrtc, 500) == 0


@HOW_MANY
def test_silero_hardly_hears_a_cough_and_no_click_and_webrtc_hears_both(count: int) -> None:
    assert len(heard(SILERO, coughs(count))) <= 3
    assert len(heard(SILERO, clicks(count))) == 0
    assert reaching(heard(WEBRTC, coughs(count)), 450) == 0
    assert len(heard(WEBRTC, coughs(count))) == count
    assert 0 < heard(WEBRTC, clicks(count)).max() < 200
