"""The recording of the demo's call: both sides in time, or a sentence that says why there is none."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from batkol.audio import mulaw
from batkol.demo import recording
from batkol.errors import ConfigurationError
from batkol.simulators.client.conversation import SpokenSound
from batkol.simulators.twilio.plan import CallReport
from batkol.voices.marked.voice import say


def sides(path: Path) -> tuple[mulaw.Pcm, mulaw.Pcm]:
    with wave.open(str(path)) as opened:
        assert (opened.getnchannels(), opened.getsampwidth(), opened.getframerate()) == (2, 2, 8000)
        both = np.frombuffer(opened.readframes(opened.getnframes()), "<i2").astype(np.int16).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def test_each_side_stands_where_it_was_said_and_heard(tmp_path: Path) -> None:
    question, answer = say(["מה"]).mulaw, say(["תודה"]).mulaw
    report = CallReport("CA1", 0.020, media_start=100.0)
    report.ear.append(answer, 102.5)  # 2.5 s after the call's first sample, on the ear's clock

    seconds = recording.write(tmp_path / "call.wav", report, [SpokenSound(8000, question)])

    left, right = sides(tmp_path / "call.wav")
    assert len(left) == len(right) == round(seconds * 8000) == 20_000 + len(answer)
    assert np.array_equal(left[8000 : 8000 + len(question)], mulaw.decode(question))
    assert np.array_equal(right[20_000:], mulaw.decode(answer))
    assert not left[:8000].any()
    assert not right[:20_000].any()


def test_what_a_clear_took_back_is_not_on_it(tmp_path: Path) -> None:
    report = CallReport("CA1", 0.020, media_start=100.0)
    report.ear.append(bytes(8000), 101.0)
    report.ear.clear(101.25)

    recording.write(tmp_path / "call.wav", report, [])

    _, right = sides(tmp_path / "call.wav")
    assert len(right) == 8000 + 2000


def test_a_call_without_a_sound_is_an_empty_recording(tmp_path: Path) -> None:
    assert recording.write(tmp_path / "call.wav", CallReport("CA1", 0.020), []) == 0.0


def test_a_file_that_cannot_be_written_is_refused_before_the_call(tmp_path: Path) -> None:
    recording.check_writable(tmp_path / "call.wav")
    with pytest.raises(ConfigurationError, match="is a folder"):
        recording.check_writable(tmp_path)
    with pytest.raises(ConfigurationError, match="there is no folder"):
        recording.check_writable(tmp_path / "no" / "call.wav")
    with pytest.raises(ConfigurationError, match="was not written"):
        recording.write(tmp_path / "no" / "call.wav", CallReport("CA1", 0.020), [])
