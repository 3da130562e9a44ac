"""Words at the ear, on a machine that may be busy: sound that comes late cuts a word in two."""

from __future__ import annotations

from collections.abc import Sequence

from batkol.simulators.voice.recognizer import GARBLE


def same(heard: Sequence[str], words: Sequence[str]) -> bool:
    """Whether these words were heard: the fragments of one that sound in two parts stand for it, or for nothing."""
    if not heard:
        return not words
    if heard[0] == GARBLE:
        return same(heard[1:], words) or bool(words and same(heard[1:], words[1:]))
    return bool(words) and heard[0] == words[0] and same(heard[1:], words[1:])
