"""The espeak voice: any Hebrew or English text, within milliseconds, without a network; it sounds like a machine.

libespeak-ng is GPL-3: an extra of its own, `pip install '.[espeak]'`, and not in the default image.
"""

from __future__ import annotations

import asyncio
import re
import threading
import unicodedata
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Final

import numpy as np

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.supervision.threads import ThreadDiedError
from batkol.voices.espeak_library import WORKER, EspeakError, EspeakSound, load, synthesize
from batkol.voices.resample import Pcm, at_8k
from batkol.voices.voice import VoiceError, VoiceSound

LONGEST_TEXT: Final = 1000
"""Characters of a piece."""
LONGEST_S: Final = 60
"""Seconds of sound of a piece: digits and rare letters are read out at length."""
PAUSE_MS: Final = 150
"""Silence before each piece but the first: espeak itself pauses only inside a text."""

LEVEL: Final = 32768 * 10 ** (-20 / 20)
"""The RMS amplitude of the speech without its pauses: -20 dBov, as loud as recorded announcements are."""

_HIGHEST: Final = 31_000
_WINDOW: Final = 160  # 20 ms
_PAUSE_POWER: Final = 1 / 300  # of the loudest window: 25 dB below it is a pause
_QUIET: Final = 200  # amplitude below which the ends count as silence; speech peaks near 30,000
_LEAD_MS, _TAIL_MS = 5, 20  # of silence that stay at the ends
_HEBREW: Final = re.compile(r"[\u0590-\u05ff\ufb1d-\ufb4f]")
_LATIN: Final = re.compile(r"[A-Za-z]")
_SPOKEN: Final = re.compile(r"\w")
_TOKEN: Final = re.compile(r"\S+")


class EspeakVoice:
    """One thread of the process does the work for all, one piece after the other.

    `language` decides for text without Hebrew or Latin letters, such as digits; `words_a_minute` is the speed;
    `patience_s` the time that a piece may take, the wait for the pieces before it included. Raises `ConfigurationError`
    with the remedy where the library is missing.
    """

    name = "espeak"

    def __init__(self, *, language: str = "he-IL", words_a_minute: int = 160, patience_s: float = 3.0) -> None:
        load()
        self._language = language.partition("-")[0].lower()
        self._words_a_minute = words_a_minute
        self._patience_s = patience_s

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        """See `Voice`. Each piece is one `VoiceSound`, with the end of each word as `str.split` has them."""
        number = 0
        async for text in pieces:
            yield await self._sound(text, number)
            number += 1

    async def aclose(self) -> None:
        """See `Voice`. The thread stays for the others, and keeps no process from ending."""

    async def _sound(self, text: str, number: int) -> VoiceSound:
        if len(text) > LONGEST_TEXT:
            message = f"espeak: a piece has more than {LONGEST_TEXT} characters"
            raise VoiceError(message, reason="too_long", retryable=False)
        given_up = threading.Event()
        if WORKER.dead:
            WORKER.revive()
        try:
            async with asyncio.timeout(self._patience_s):
                sound = await WORKER.run(self._synthesize, text, number, given_up)
        except TimeoutError as error:
            message = f"espeak gave no sound within {self._patience_s:g} s"
            raise VoiceError(message, reason="deadline", retryable=True) from error
        except ThreadDiedError as error:
            raise VoiceError(f"espeak: {error}", reason="died", retryable=True) from error
        except EspeakError as error:
            raise VoiceError(f"espeak: {error}", reason="refused", retryable=False) from error
        finally:
            given_up.set()
        return sound

    def _synthesize(self, text: str, number: int, given_up: threading.Event) -> VoiceSound:
        plain = "".join(" " if unicodedata.category(each) == "Cc" else each for each in text)
        found = synthesize(
            plain,
            self._voice(plain),
            words_a_minute=self._words_a_minute,
            longest_s=LONGEST_S,
            given_up=given_up.is_set,
        )
        sound = phone_sound(found, text, number) if found else VoiceSound(b"", number, last=True)
        if not sound.mulaw and found and _SPOKEN.search(plain):
            raise EspeakError("no sound came of a text with words")
        return sound

    def _voice(self, text: str) -> str:
        """Return espeak's name of the language. Its Hebrew reads Latin letters; its English spells Hebrew ones."""
        if _HEBREW.search(text):
            return "he"
        return "en" if self._language == "he" and _LATIN.search(text) else self._language


def phone_sound(spoken: EspeakSound, text: str, number: int) -> VoiceSound:
    """Return what is sent: trimmed, at 8 kHz, with the places of the words' ends."""
    ends = word_ends(spoken, text)
    loud = np.flatnonzero(np.abs(spoken.pcm.astype(np.int32)) > _QUIET)
    if not len(loud):
        return VoiceSound(b"", number, last=True, word_ends=(0,) * len(ends))
    ms = spoken.rate // 1000
    begin = max(0, int(loud[0]) - _LEAD_MS * ms)
    end = min(len(spoken.pcm), int(loud[-1]) + 1 + _TAIL_MS * ms)
    pause = mulaw.silence(PAUSE_MS * SAMPLES_PER_MS if number else 0)
    sound = pause + mulaw.encode(levelled(at_8k(spoken.pcm[begin:end], spoken.rate)))
    places = (len(pause) + -(-(max(0, place - begin)) * SAMPLE_RATE // spoken.rate) for place in ends)
    return VoiceSound(sound, number, last=True, word_ends=tuple(min(place, len(sound)) for place in places))


def levelled(pcm: Pcm) -> Pcm:
    """Bring speech at 8 kHz to `LEVEL`, without clipping: espeak's own level differs by 13 dB from text to text."""
    whole = np.pad(pcm.astype(np.float64), (0, -len(pcm) % _WINDOW))
    power = np.square(whole.reshape(-1, _WINDOW)).mean(axis=1)
    active = np.sqrt(power[power >= power.max() * _PAUSE_POWER].mean())
    gain = min(LEVEL / active, _HIGHEST / np.abs(pcm.astype(np.int32)).max())
    louder: Pcm = np.round(pcm * gain).astype(np.int16)
    return louder


def word_ends(spoken: EspeakSound, text: str) -> Sequence[int]:
    """Return where each word of the text (as `str.split` has them) ends, in espeak's samples.

    A word ends where the next one begins, less the silence before that. One that is not spoken ends with the one
    before it.
    """
    tokens = [token.start() for token in _TOKEN.finditer(text)]
    begins: list[int | None] = [None] * len(tokens)
    for word in reversed(spoken.words):
        begins[bisect_right(tokens, word.character) - 1] = word.sample
    ends: list[int] = [0] * len(tokens)
    following, last = len(spoken.pcm), 0
    for number, begin in reversed(list(enumerate(begins))):
        if begin is not None:
            ends[number], following = _loud_end(spoken.pcm, begin, following), begin
    for number, end in enumerate(ends):
        ends[number] = last = max(last, end)
    return ends


def _loud_end(pcm: Pcm, begin: int, end: int) -> int:
    """Return the end of the sound between two places, less the silence at its end."""
    loud = np.flatnonzero(np.abs(pcm[begin:end].astype(np.int32)) > _QUIET)
    return begin + int(loud[-1]) + 1 if len(loud) else begin
