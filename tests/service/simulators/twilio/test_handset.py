"""What is said goes out in order and whole; WAV files are read or refused with advice."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.audio import mulaw
from batkol.simulators.twilio.handset import FRAME, Handset, read_wav


async def test_sounds_follow_one_another_without_a_break() -> None:
    handset = Handset()
    first, second = handset.say(b"a" * 200), handset.say(b"b" * 50)

    assert handset.next_frame(0, 1.0) == b"a" * 160
    assert not first.done()
    assert handset.next_frame(160, 1.02) == b"a" * 40 + b"b" * 50 + b"\xff" * 70
    assert handset.next_frame(320, 1.04) is None
    assert handset.silent
    assert (first.result().begins, first.result().ends) == (0, 200)
    assert (second.result().begins, second.result().ends) == (200, 250)
    assert (first.result().begun_at, first.result().ended_at) == (1.0, 1.02)


async def test_hanging_up_gives_up_what_was_not_said() -> None:
    handset = Handset()
    said = handset.say(b"a" * 200)
    handset.put_down()
    assert said.cancelled()
    assert handset.say(b"b").cancelled()
    assert handset.next_frame(0, 0.0) is None


async def test_a_cancelled_future_does_not_take_the_sound_back() -> None:
    handset = Handset()
    handset.say(b"a" * 100).cancel()
    assert handset.next_frame(0, 0.0) == b"a" * 100 + b"\xff" * 60


async def test_saying_nothing_is_done_at_once() -> None:
    assert Handset().say(b"").done()


@given(st.lists(st.integers(1, 1000), max_size=8))
async def test_what_goes_out_is_what_was_said(lengths: list[int]) -> None:
    handset = Handset()
    sounds = [bytes([number]) * length for number, length in enumerate(lengths)]
    done = [handset.say(sound) for sound in sounds]
    out = bytearray()
    while (frame := handset.next_frame(len(out), 0.0)) is not None:
        assert len(frame) == FRAME
        out += frame
    assert out.rstrip(b"\xff") == b"".join(sounds)
    for sound, future in zip(sounds, done, strict=True):
        assert out[future.result().begins : future.result().ends] == sound


def write_wav(path: Path, *, rate: int = 8000, channels: int = 1, width: int = 2, content: bytes = b"\0\0" * 4) -> None:
    with wave.open(str(path), "wb") as file:
        file.setframerate(rate)
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.writeframes(content)


def test_reads_16_bit_pcm(tmp_path: Path) -> None:
    pcm = np.array([0, 1000, -1000, 32767, -32768], dtype=np.int16)
    write_wav(tmp_path / "a.wav", content=pcm.tobytes())
    assert read_wav(tmp_path / "a.wav") == mulaw.encode(pcm)


def test_reads_mulaw_past_other_chunks(tmp_path: Path) -> None:
    form = (7).to_bytes(2, "little") + b"\x01\x00" + (8000).to_bytes(4, "little") * 2 + b"\x01\x00\x08\x00\x00\x00"
    chunks = [(b"fmt ", form), (b"LIST", b"odd"), (b"data", b"\x01\x02\x03")]
    body = b"".join(name + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2) for name, data in chunks)
    (tmp_path / "a.wav").write_bytes(b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WAVE" + body)
    assert read_wav(tmp_path / "a.wav") == b"\x01\x02\x03"


@pytest.mark.parametrize("changes", [{"rate": 16000}, {"channels": 2}, {"width": 1}])
def test_another_form_is_refused_with_the_command_that_converts_it(tmp_path: Path, changes: dict[str, int]) -> None:
    write_wav(tmp_path / "a.wav", **changes)  # type: ignore[arg-type]  # the names are of numbers
    with pytest.raises(ValueError, match=r"sox .*a\.wav -r 8000 -c 1"):
        read_wav(tmp_path / "a.wav")


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"ID3" * 20])
def test_what_is_no_wav_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(ValueError, match="not a WAV file"):
        read_wav(tmp_path / "a.wav")
