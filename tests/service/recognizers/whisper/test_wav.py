import io
import wave

import numpy as np
import pytest

from batkol.audio import mulaw
from batkol.recognizers.whisper.wav import wav


@pytest.mark.parametrize("samples", [0, 1, 161, 8000])
def test_the_file_is_eight_kilohertz_mono_of_sixteen_bits_with_exactly_these_samples(samples: int) -> None:
    audio = bytes(i % 256 for i in range(samples))

    with wave.open(io.BytesIO(wav(audio))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert file.getnframes() == samples
        heard = np.frombuffer(file.readframes(samples), "<i2")

    assert heard.tolist() == mulaw.decode(audio).tolist()
