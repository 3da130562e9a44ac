"""Recordings that a caller plays: any usual WAV file, and whether a telephone would carry a word of it."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from batkol.audio import mulaw
from batkol.simulators.client.recording import Recording, RecordingError, read_recording, recording

RATE = 44_100


def stereo_file(path: Path, *, peak: float) -> Path:
    """Write 0.3 s of silence, half a second of a tone, and 0.2 s of silence."""
    tone = peak * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE)
    mono = np.concatenate([np.zeros(int(0.3 * RATE)), tone, np.zeros(int(0.2 * RATE))])
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.repeat(mono * 32767, 2).astype("<i2").tobytes())
    path.write_bytes(content.getvalue())
    return path


def test_a_file_of_any_rate_is_played_at_the_telephone_s_and_its_loud_part_is_known(tmp_path: Path) -> None:
    found = read_recording(stereo_file(tmp_path / "a.wav", peak=0.5))

    assert abs(len(found.mulaw) - 8000) <= 1
    assert abs(found.begins - 2400) <= 160
    assert abs(found.ends - 6400) <= 160
    assert not found.is_faint
    assert found.level == "has -9 dBFS in its loudest 20 ms"


@pytest.mark.parametrize(("peak", "level"), [(0.0, "is silent"), (0.002, "has -57 dBFS in its loudest 20 ms")])
def test_silence_and_a_whisper_are_too_quiet_to_be_speech(peak: float, level: str, tmp_path: Path) -> None:
    found = read_recording(stereo_file(tmp_path / "a.wav", peak=peak))

    assert found.is_faint
    assert found.level == level


def test_a_sound_shorter_than_a_frame_has_no_level() -> None:
    assert recording("a", mulaw.encode(np.zeros(3, np.int16))) == Recording("a", b"\xff" * 3, 0, 3, -100.0)


def test_what_cannot_be_played_is_a_sentence_with_a_command(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"ID3")

    with pytest.raises(RecordingError, match=r"a\.mp3 cannot be played: it is no WAV file.* Convert it: sox"):
        read_recording(tmp_path / "a.mp3")
    with pytest.raises(RecordingError, match=r"none\.wav cannot be read \(No such file"):
        read_recording(tmp_path / "none.wav")
