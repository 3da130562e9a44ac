"""Recordings to try `batkol compare` on: the built-in voice says Hebrew words, and the texts say which.

python examples/compare.py FOLDER [HOW MANY]
"""

from __future__ import annotations

import sys
from pathlib import Path

from batkol.audio import mulaw
from batkol.audio.wav import wav_file
from batkol.voices.marked.voice import random_utterances, script


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python examples/compare.py FOLDER [HOW MANY]")
    folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 12
    folder.mkdir(parents=True, exist_ok=True)
    for number, words in enumerate(random_utterances(1, count, (4, 8))):
        audio = script((words,), lead_ms=300, tail_ms=100)
        sound = mulaw.decode(audio.mulaw).astype("<i2").tobytes()
        (folder / f"{number:02}.wav").write_bytes(wav_file(sound))
        (folder / f"{number:02}.txt").write_text(f"{audio.text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
