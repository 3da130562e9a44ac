import io
import wave

import numpy as np
import pytest

from batkol.audio.wav import mulaw_header, wav_file, wav_header
from batkol.voices.wav_header import MULAW, PCM, SampleForm, find_samples


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44_100, 2)])
@pytest.mark.parametrize("frames", [0, 1, 161, 8000])
def test_a_file_is_read_back_with_its_rate_its_channels_and_exactly_its_samples(
    rate: int, channels: int, frames: int
) -> None:
    samples = np.arange(frames * channels, dtype="<i2").tobytes()

    with wave.open(io.BytesIO(wav_file(samples, rate, channels=channels))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (rate, channels, 2)
        assert file.getnframes() == frames
        assert file.readframes(frames) == samples


@pytest.mark.parametrize(
    ("header", "form"),
    [(wav_header(24_000), SampleForm(PCM, 1, 16, 24_000)), (mulaw_header(), SampleForm(MULAW, 1, 8, 8000))],
)
def test_a_stream_says_its_form_and_that_its_length_is_unknown(header: bytes, form: SampleForm) -> None:
    found = find_samples(header)

    assert found is not None
    assert (found.size, found.form, found.length) == (44, form, None)
