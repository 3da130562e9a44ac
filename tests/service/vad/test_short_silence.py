"""A hang-over that is shorter than usual: no utterance ends in a word that the engine misses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from batkol.audio import mulaw
from batkol.audio.segmenter import CERTAIN_MS, SegmenterSettings, SpeechEnded
from batkol.vad.engine import EngineName
from batkol.vad.factory import create
from batkol.voices.marked.voice import random_utterances, script
from support.vad.level_engine import LevelEngine
from support.vad.rounds import in_rounds

SHORT = SegmenterSettings(silence_ms=200)
WINDOW = 256
SOUND = mulaw.encode(np.full(20 * WINDOW, 4000, np.int16))


def ends(engine: EngineName | LevelEngine, audio: bytes) -> list[SpeechEnded]:
    detector = create(engine) if isinstance(engine, EngineName) else engine
    events, _ = in_rounds(detector, audio, SHORT)
    return [event for event in events if isinstance(event, SpeechEnded)]


@pytest.mark.parametrize("seed", [1000, 1001, 1002, 1003])
def test_an_utterance_ends_after_its_last_word_and_not_in_one_that_silero_misses(seed: int) -> None:
    said = script(random_utterances(seed, 12, (4, 6)), pause_ms=60)
    over = [before.end for before, after in pairwise(said.utterances)] + [said.utterances[-1].end]

    found = ends(EngineName.SILERO, said.mulaw)

    assert len(found) == len(over) == 12
    assert all(0 < event.decided_at - end < 400 * 8 for event, end in zip(found, over, strict=True))


def under(level: int, ms: int) -> bytes:
    """Return noise that the engine takes for silence."""
    return mulaw.encode(np.random.default_rng(1).integers(-level, level + 1, ms * 8).astype(np.int16))


@pytest.mark.parametrize(
    ("after", "silence_ms"),
    [(mulaw.silence(8000), 224), (under(300, 1000), 224), (under(900, 1000), CERTAIN_MS)],
    ids=["quiet", "soft noise", "loud noise"],
)
def test_in_noise_that_is_as_loud_as_a_soft_word_the_end_is_waited_for_as_long_as_by_default(
    after: bytes, silence_ms: int
) -> None:
    (ended,) = ends(LevelEngine(), SOUND + after)

    assert (ended.at, ended.decided_at) == (20 * WINDOW, 20 * WINDOW + silence_ms * 8)
