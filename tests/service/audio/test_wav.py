import io
import wave

import numpy as np
import pytest

from batkol.audio.wav import mulaw_header, wav_file, wav_header
from batkol.voices.wav_header import MULAW, PCM, SampleForm, find_samples


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44_100, 2)])
@pytest.mark.parametrize("frames", [0, 1, 161, 8000])
def test_a_file_is_to_the_byte_what_python_writes(rate: int, channels: int, frames: int) -> None:
    samples = np.arange(frames * channels, dtype="<i2").tobytes()
    expected = io.BytesIO()
    with wave.open(expected, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)

    assert wav_file(samples, rate, channels=channels) == expected.getvalue()


@pytest.mark.parametrize(
    ("header", "form"),
    [(wav_header(24_000), SampleForm(PCM, 1, 16, 24_000)), (mulaw_header(), SampleForm(MULAW, 1, 8, 8000))],
)
def test_a_stream_says_its_form_and_that_its_length_is_unknown(header: bytes, form: SampleForm) -> None:
    found = find_samples(header)

    assert found is not None
    assert (found.size, found.form, found.length) == (44, form, None)
