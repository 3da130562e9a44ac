"""Speak the stored phrases: `python -m batkol.voices.make_stored` writes `stored.npz`, with the extra `[espeak]`.

Run after a change of `stored.TEXTS`; the result is committed.
"""

from __future__ import annotations

import asyncio

import numpy as np

from batkol.voices.espeak import EspeakVoice
from batkol.voices.phrases import PhraseCache
from batkol.voices.stored import FILE, TEXTS


async def spoken() -> dict[str, np.ndarray]:
    """Return the arrays of the file. Raises `VoiceError`."""
    arrays = {}
    for language, phrases in TEXTS.items():
        cache = PhraseCache(EspeakVoice(language=language), language)
        for name, text in phrases.items():
            phrase = await cache.ensure(text)
            arrays[f"{language}.{name}.text"] = np.array(text)
            arrays[f"{language}.{name}.mulaw"] = np.frombuffer(phrase.mulaw, dtype=np.uint8)
            arrays[f"{language}.{name}.word_ends"] = np.array(phrase.word_ends, dtype=np.int32)
    return arrays


def main() -> None:
    """Write the file beside this module."""
    np.savez_compressed(FILE, allow_pickle=False, **asyncio.run(spoken()))


if __name__ == "__main__":
    main()
