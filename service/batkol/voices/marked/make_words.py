"""Make the voice's words: `python -m batkol.voices.marked.make_words` writes `words/words.npz`.

Run once; the result is committed, so no other machine needs espeak-ng (1.51 was used) or sox. For each word:

1. `espeak-ng -v he+f4 -s 160 -p 40` speaks it. Of the variants tried, the one that Silero at 8 kHz takes for speech
   with the fewest and shortest doubts.
2. sox resamples to 8 kHz and keeps 120–2600 Hz (linear phase): above that the signature has the band to itself.
3. The silence at both ends is cut off and the peak set to 10,000.

The file holds `words` (the texts), `lengths` (samples of each) and `speech` (int16, one word after the other).
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

VOCABULARY: Final = (
    *("שלום", "תודה", "בבקשה", "מחר", "היום", "בוקר", "ערב", "כן", "לא", "אני", "רוצה", "לקבוע", "פגישה", "תור"),
    *("רופא", "חשבון", "מספר", "טלפון", "כתובת", "עזרה", "מתי", "איפה", "מה", "כמה", "למה", "מי"),
)
PEAK: Final = 10_000
_SPEAK: Final = ("espeak-ng", "-v", "he+f4", "-s", "160", "-p", "40", "--stdout")
_SHAPE: Final = (
    *("sox", "-t", "wav", "-", "-t", "raw", "-r", "8000", "-e", "signed", "-b", "16", "-c", "1", "-"),
    *("sinc", "120-2600", "gain", "-n", "-10"),
)
_QUIET: Final = 150  # mean amplitude over 10 ms below which the ends count as silence


def synthesize(word: str) -> npt.NDArray[np.int16]:
    """Speak one word. Raises `subprocess.CalledProcessError` if espeak-ng or sox does not."""
    wav = subprocess.run((*_SPEAK, word), check=True, capture_output=True).stdout  # noqa: S603 - fixed arguments
    raw = subprocess.run(_SHAPE, input=wav, check=True, capture_output=True).stdout  # noqa: S603 - fixed arguments
    speech = np.frombuffer(raw, dtype="<i2").astype(np.float64)
    loud = np.flatnonzero(np.convolve(np.abs(speech), np.ones(80) / 80, "same") > _QUIET)
    speech = speech[loud[0] : loud[-1]]
    scaled: npt.NDArray[np.int16] = np.round(speech * (PEAK / np.abs(speech).max())).astype(np.int16)
    return scaled


def main() -> None:
    """Write the asset beside this module."""
    spoken = [synthesize(word) for word in VOCABULARY]
    np.savez_compressed(
        Path(__file__).with_name("words") / "words.npz",
        words=np.array(VOCABULARY),
        lengths=np.array([len(s) for s in spoken], dtype=np.int32),
        speech=np.concatenate(spoken),
    )


if __name__ == "__main__":
    main()
