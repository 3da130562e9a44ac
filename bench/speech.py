"""Words of the benchmark's callers, with marks by which its recognizer finds them for next to no CPU.

The words are the synthetic voice's, Hebrew speech that the VAD takes for speech. Before each stands a mark of 17
samples (2 ms, quiet): a pattern, the caller's number and the word's ordinal in the call. Listening is then a search
for the pattern and a comparison byte by byte: stricter than any ear, and cheap enough that a hundred calls leave room
for the load on its core. A word of which one byte is missing, doubled or moved is not heard.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import msgspec

from batkol.audio import mulaw
from batkol.voices.marked import voice

WORD_PAUSE_MS: Final = 60
UTTERANCE_PAUSE_MS: Final = 1000

_PATTERN: Final = bytes([0xFE, 0x7E, 0xFE, 0x7E, 0xF6, 0x76, 0xFA, 0x7A, 0xF2, 0x72, 0xFE, 0x7A])
_NIBBLES: Final = 5
_MARK: Final = len(_PATTERN) + _NIBBLES
_PATTERN_PCM: Final = mulaw.decode_to_bytes(_PATTERN)
_DIGITS: Final = bytes(0xE0 + digit for digit in range(16))  # sixteen quiet levels
_DIGIT_OF: Final = {mulaw.decode_to_bytes(bytes([code])): digit for digit, code in enumerate(_DIGITS)}


class Word(msgspec.Struct, frozen=True):
    """A word and the samples [start, end) it takes, its mark included."""

    text: str
    start: int
    end: int


class Script(msgspec.Struct, frozen=True):
    """All that one caller says. `utterances` are [start, end) in samples and the first word of each."""

    audio: bytes
    words: tuple[Word, ...]
    utterances: tuple[tuple[int, int, int], ...]

    @property
    def duty(self) -> float:
        """Share of the time in which the caller speaks."""
        return sum(end - start for start, end, _ in self.utterances) / max(1, len(self.audio))


@cache
def _sound(word: str) -> bytes:
    return voice.say([word]).mulaw


@cache
def _quiet(ms: int) -> bytes:
    return voice.script((), lead_ms=0, tail_ms=ms).mulaw


@cache
def _pcm(word: str) -> bytes:
    return mulaw.decode_to_bytes(_sound(word))


def _mark(call: int, ordinal: int) -> bytes:
    number = call << 12 | ordinal
    return _PATTERN + bytes(_DIGITS[number >> shift & 15] for shift in range(4 * (_NIBBLES - 1), -1, -4))


def script(call: int, seconds: float) -> Script:
    """Write the script of caller number `call` (0 to 255): utterances of 4 to 6 words, a second apart."""
    drawn = voice.random_utterances(1000 + call, int(seconds) + 1, (4, 6))
    audio = bytearray(_quiet(300 + call * 379 % 2500))
    words: list[Word] = []
    utterances: list[tuple[int, int, int]] = []
    for utterance in drawn:
        begin, first = len(audio), len(words)
        for word in utterance:
            start = len(audio)
            audio += _mark(call, len(words)) + _sound(word)
            words.append(Word(word, start, len(audio)))
            audio += _quiet(WORD_PAUSE_MS)
        utterances.append((begin, words[-1].end, first))
        audio += _quiet(UTTERANCE_PAUSE_MS - WORD_PAUSE_MS)
        if len(audio) >= seconds * mulaw.SAMPLE_RATE:
            break
    return Script(bytes(audio), tuple(words), tuple(utterances))


class HeardWord(NamedTuple):
    """A word that came whole, where in the stream, and which of which caller's it is."""

    text: str
    start: int
    end: int
    call: int
    ordinal: int


class Ear:
    """Hears one stream of LINEAR16."""

    __slots__ = ("_at", "_buffer", "_pending", "received")

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0  # bytes before the buffer
        self._pending: tuple[int, int, int] | None = None  # (byte of its mark, caller, ordinal)
        self.received = 0  # samples

    def feed(self, linear16: bytes) -> list[HeardWord]:
        """Return the words that this completes."""
        self._buffer += linear16
        self.received += len(linear16) // 2
        words = []
        while self._pending is not None or self._find():
            word = self._complete()
            if word is None:
                break
            if word.text:
                words.append(word)
        return words

    def underway(self) -> tuple[str, int] | None:
        """Return the word being spoken and the sample at which it begins."""
        body = self._buffer[2 * _MARK : 2 * _MARK + 64]
        if self._pending is None or len(body) < 64 or (word := _begins_like(body)) is None:
            return None
        return word, self._pending[0] // 2

    @property
    def settled(self) -> int:
        """The sample before which every word has been heard, or never will be."""
        return self._at // 2

    def _find(self) -> bool:
        at = self._buffer.find(_PATTERN_PCM)
        while at % 2:  # -1 is odd as well
            if at < 0:
                self._drop(max(0, len(self._buffer) - len(_PATTERN_PCM)) & ~1)
                return False
            at = self._buffer.find(_PATTERN_PCM, at + 1)
        self._drop(at)
        if len(self._buffer) < 2 * _MARK:
            return False
        number = 0
        for i in range(len(_PATTERN_PCM), 2 * _MARK, 2):
            number = number << 4 | _DIGIT_OF.get(self._buffer[i : i + 2], 0)
        self._pending = (self._at, number >> 12, number & 0xFFF)
        return True

    def _complete(self) -> HeardWord | None:
        """Return the pending word; one without text if it is damaged; None while it goes on."""
        if self._pending is None or len(self._buffer) < 2 * _MARK + 64:
            return None
        text = _begins_like(self._buffer[2 * _MARK : 2 * _MARK + 64]) or ""
        length = 2 * _MARK + len(_pcm(text) if text else b"")
        if len(self._buffer) < length:
            return None
        if text and self._buffer[2 * _MARK : length] != _pcm(text):
            text, length = "", 2 * _MARK
        at, call, ordinal = self._pending
        self._drop(length)
        self._pending = None
        return HeardWord(text, at // 2, (at + length) // 2, call, ordinal)

    def _drop(self, length: int) -> None:
        self._buffer = self._buffer[length:]
        self._at += length


@cache
def _beginnings() -> dict[bytes, str]:
    beginnings = {_pcm(word)[:64]: word for word in voice.WORDS}
    if len(beginnings) != len(voice.WORDS):
        raise AssertionError("two words of the voice begin alike for 4 ms: compare more of them")
    return beginnings


def _begins_like(beginning: bytes) -> str | None:
    return _beginnings().get(beginning)
