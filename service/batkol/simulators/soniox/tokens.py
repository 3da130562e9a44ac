"""Words as Soniox's tokens: sub-words, a space before each word but a session's first one, times in steps of 20 ms.

The space is part of a word's first token; now and then it is a token of its own, as in Soniox's own examples.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from batkol.simulators.voice.recognizer import GARBLE
from batkol.voices.marked.voice import WORDS, SpokenWord

FIN: Final = "<fin>"
END: Final = "<end>"

_STEP: Final = 20
_SURE, _UNSURE = 0.97, 0.71


class HeardToken(NamedTuple):
    """A piece of a word with the samples that it took, [start, end)."""

    text: str
    start: int
    end: int


class Tokenizer:
    """Cuts one session's words into tokens: the same word at the same place always into the same ones."""

    __slots__ = ("_seed", "_spaced")

    def __init__(self, settings: SonioxDoubleSettings) -> None:
        self._seed = settings.seed
        self._spaced = settings.spaced

    def tokens(self, word: SpokenWord, *, first: bool) -> list[HeardToken]:
        """Return the word's tokens; `first`: nothing comes before it in the session."""
        draw = random.Random(f"{self._seed}/{word.start}")
        apart = draw.random() < self._spaced
        pieces = _pieces(word.text, draw)
        ends = [
            word.start + (word.end - word.start) * len("".join(pieces[: n + 1])) // len(word.text)
            for n in range(len(pieces))
        ]
        starts = [word.start, *ends[:-1]]
        cut = [HeardToken(text, start, end) for text, start, end in zip(pieces, starts, ends, strict=True)]
        if first:
            return cut
        if apart:
            return [HeardToken(" ", word.start, word.start), *cut]
        return [cut[0]._replace(text=f" {cut[0].text}"), *cut[1:]]


def another_word(word: SpokenWord, draw: random.Random) -> SpokenWord:
    """Return a word that was not said, in the place of the one that was."""
    return word._replace(text=draw.choice([text for text in WORDS if text != word.text]))


def as_json(tokens: Iterable[HeardToken], *, final: bool, language: str | None) -> list[dict[str, Any]]:
    """Return tokens as a message has them."""
    return [
        {
            "text": token.text,
            "start_ms": to_ms(token.start),
            "end_ms": to_ms(token.end),
            "confidence": _SURE if final else _UNSURE,
            "is_final": final,
            **({} if language is None else {"language": language}),
        }
        for token in tokens
    ]


def marker(text: str) -> dict[str, Any]:
    """Return the token that says that everything before it is final. It has no time."""
    return {"text": text, "confidence": 1.0, "is_final": True}


def to_ms(sample: int) -> int:
    """Return a time in milliseconds, in Soniox's steps."""
    return round(sample / (_STEP * SAMPLES_PER_MS)) * _STEP


def _pieces(text: str, draw: random.Random) -> list[str]:
    if text == GARBLE:
        return [text]
    pieces, at = [], 0
    while at < len(text):
        left = len(text) - at
        size = left if left <= 3 else draw.choice((2, 3))
        pieces.append(text[at : at + size])
        at += size
    return pieces
