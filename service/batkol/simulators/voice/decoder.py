"""Decoder of the word between two chirps; it returns the word, or that the word is damaged.

A word is intact when its length is that of a word of the vocabulary to the sample, each of its symbols is that word's,
and no part of it is missing. In clean audio one bad symbol damages the word; in noise, single symbols may fail.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.voices.marked.signature import CHIRP, HIGH_HZ, LOW_HZ, SYMBOL, code, falling, length, rising
from batkol.voices.marked.voice import WORDS, symbols

SLACK: Final = 8
"""Samples by which the two chirps may lie apart more or less than they should: noise moves them by one or two."""
LONGEST: Final = max(length(symbols(word)) for word in WORDS)
SHORTEST: Final = min(length(symbols(word)) for word in WORDS)

_CLEAN: Final = 0.97  # purity of a word's better symbols from which every one must be right
_PURE: Final = 0.6  # with one of two tones wrong, purity is a half
_STRONG: Final = 0.35  # of the usual power: 8 ms of a symbol's 20 are gone below this
_FAILING: Final = 0.25  # share of symbols that noise may spoil, no two of them neighbours
_LIKELY: Final = 0.8
_GLANCE: Final = 2  # symbols that a guess needs

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def _tones() -> npt.NDArray[np.complex64]:
    hz = np.array((*LOW_HZ, *HIGH_HZ))
    return np.exp(-2j * np.pi * np.outer(np.arange(SYMBOL), hz) / SAMPLE_RATE).astype(np.complex64)


_TONES: Final = np.concatenate((_tones().real, _tones().imag), axis=1)
_RISE: Final = np.conj(rising()).astype(np.complex64)
_FALL: Final = np.conj(falling()).astype(np.complex64)


@cache
def _mask(word: str) -> Mask:
    spelled = np.array(code(word, symbols(word)))
    mask = np.zeros((len(spelled), 8), dtype=np.bool_)
    mask[np.arange(len(spelled)), spelled[:, 0]] = True
    mask[np.arange(len(spelled)), spelled[:, 1] + 4] = True
    return mask


@cache
def _by_symbols() -> dict[int, tuple[str, ...]]:
    counts = {symbols(word) for word in WORDS}
    return {count: tuple(word for word in WORDS if symbols(word) == count) for count in counts}


def _strengths(body: Floats) -> Floats:
    parts = body.reshape(-1, SYMBOL) @ _TONES
    strengths: Floats = parts[:, :8] ** 2 + parts[:, 8:] ** 2
    return strengths


def _chirp_power(samples: Floats, template: npt.NDArray[np.complex64]) -> Floats:
    parts = (samples * template).reshape(-1, SYMBOL).sum(axis=1)
    power: Floats = parts.real**2 + parts.imag**2
    return power


def locate(around: Floats, *, rise: bool) -> int:
    """Return where in `around` the chirp begins, to the sample."""
    template = _RISE if rise else _FALL
    match = np.correlate(around.astype(np.complex64), np.conj(template), "valid")
    return int(np.argmax(match.real**2 + match.imag**2))


def read(whole: Floats) -> str | None:
    """Return the word that these samples are, from the first of its rising chirp to the last of its falling one.

    The length may be wrong by `SLACK`. None if they are not one whole word of the vocabulary.
    """
    count = round((len(whole) - 2 * CHIRP) / SYMBOL)
    if abs(len(whole) - length(count)) > SLACK or count not in _by_symbols():
        return None
    strengths = _strengths(whole[CHIRP : CHIRP + count * SYMBOL])
    word = max(_by_symbols()[count], key=lambda word: _score(strengths, word))
    power = (strengths * _mask(word)).sum(axis=1)
    purity = power / (strengths.sum(axis=1) + 1e-9)
    return word if _intact(power, purity, whole) else None


def _intact(power: Floats, purity: Floats, whole: Floats) -> bool:
    power = np.concatenate((_chirp_power(whole[:CHIRP], _RISE), power, _chirp_power(whole[-CHIRP:], _FALL)))
    usual, pure = _better(power), _better(purity)
    if pure > _CLEAN:
        return bool((power > _STRONG * usual).all() and (purity > _PURE).all())
    bad = power < _STRONG / 2 * usual
    bad[3:-3] |= purity < pure / 2
    return bool(bad.mean() < _FAILING and not (bad[1:] & bad[:-1]).any())


def _better(values: Floats) -> float:
    """Return the 90th percentile: what is usual where it is not missing. (`np.percentile` takes 40 times as long.)"""
    return float(np.sort(values)[len(values) * 9 // 10])


def guess(begun: Floats) -> str | None:
    """Return the likeliest word that begins like this (from its rising chirp on), or None while nothing is likely."""
    count = min((len(begun) - CHIRP) // SYMBOL, _book().shape[1])
    if count < _GLANCE:
        return None
    strengths = _strengths(begun[CHIRP : CHIRP + count * SYMBOL])
    scores = _book()[:, :count].reshape(len(WORDS), -1) @ strengths.ravel()
    best = int(scores.argmax())
    return WORDS[best] if scores[best] > _LIKELY * (float(strengths.sum()) + 1e-9) else None


@cache
def _book() -> Floats:
    book = np.zeros((len(WORDS), max(symbols(word) for word in WORDS), 8), dtype=np.float32)
    for page, word in zip(book, WORDS, strict=True):
        page[: symbols(word)] = _mask(word)
    return book


def _score(strengths: Floats, word: str) -> float:
    return float((strengths * _mask(word)).sum())


def two_toned(samples: Floats) -> bool:
    """Return whether two tones of the signature stand alone in these samples: a fragment of a word."""
    starts = range(0, len(samples) - SYMBOL + 1, SYMBOL // 4)
    if not starts:
        return False
    frames = np.stack([samples[start : start + SYMBOL] for start in starts])
    parts = frames @ _TONES
    strengths = parts[:, :8] ** 2 + parts[:, 8:] ** 2
    best = strengths[:, :4].max(axis=1) + strengths[:, 4:].max(axis=1)
    return bool((best > _PURE * _in_band(frames)).any())


def _in_band(frames: Floats) -> Floats:
    spectrum = np.fft.rfft(frames, axis=1)[:, 56:76]  # 2,800 to 3,750 Hz in steps of 50
    power: Floats = (spectrum.real**2 + spectrum.imag**2).sum(axis=1).astype(np.float32)
    return power
