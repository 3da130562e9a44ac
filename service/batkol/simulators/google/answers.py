"""Google's responses, built from heard words (google/cloud/speech/v1p1beta1/cloud_speech.proto).

`results` is at most one final followed by interims, consecutive portions of the audio. A transcript that is not the
stream's first begins with a space. Times are offsets from the start of this stream's audio.

Word times are as untidy as Google's own (a published answer of version 1: 3,020 words): in steps of 100 ms; inside a
final each word starts where the one before it ended, so the pause is the next word's; one word in thirty has no
length. Here every short word in the midst of others has none, but never two in a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from google.cloud.speech_v1p1beta1.types import cloud_speech

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.simulators.google.refusals import status_of
from batkol.simulators.google.rules import LANGUAGE, RefusalError
from batkol.voices.marked.voice import SpokenWord

Response: Final = cloud_speech.StreamingRecognizeResponse.pb()
UnaryResponse: Final = cloud_speech.RecognizeResponse.pb()

_CONFIDENCE: Final = 0.92
_STABLE, _UNSTABLE = 0.9, 0.01  # the two values that Google uses
_NANOS: Final = 1_000_000_000 // SAMPLE_RATE
_TEN_MS, _TENTH = 10 * SAMPLES_PER_MS, 100 * SAMPLES_PER_MS
_SHORT, _NO_PAUSE = 300 * SAMPLES_PER_MS, 100 * SAMPLES_PER_MS
_BILLED_S: Final = 15  # requests are rounded up to this many seconds


def add_final(result: Any, words: Sequence[SpokenWord], end: int, *, first: bool, times: Sequence[SpokenWord]) -> None:
    """Fill a raw result, streaming or unary, with the last word on these words; audio up to `end` is settled.

    `times` are the same words as `word_times` gives them, or none.
    """
    _fill(result, _text(words, first=first), max(end // _TEN_MS * _TEN_MS, words[-1].end))
    best = result.alternatives[0]
    best.confidence = _CONFIDENCE
    for word in times:
        info = best.words.add(word=word.text)
        _set(info.start_time, word.start)
        _set(info.end_time, word.end)


def word_times(words: Sequence[SpokenWord], begun: int | None = None) -> list[SpokenWord]:
    """Return the words of one final with Google's times for them.

    The first one starts at `begun`, where the last final's words ended, or else where it was spoken.
    """
    at = _to_grid(words[0].start) if begun is None else begun
    stated: list[SpokenWord] = []
    for number, word in enumerate(words):
        amid = 0 < number < len(words) - 1 and word.start - words[number - 1].end <= _NO_PAUSE
        no_length = amid and word.end - word.start <= _SHORT and stated[-1].start < stated[-1].end
        end = at if no_length else max(_to_grid(word.end), at)
        stated.append(SpokenWord(word.text, at, end))
        at = end
    return stated


def _to_grid(sample: int) -> int:
    return round(sample / _TENTH) * _TENTH


def add_interims(results: Any, words: Sequence[SpokenWord], position: int, stable_until: int, *, first: bool) -> None:
    """Append interims to raw results: the words that end by `stable_until`, then the others, up to `position`."""
    stable = [word for word in words if word.end <= stable_until]
    shaky = words[len(stable) :]
    if stable:
        result = results.add(stability=_STABLE)
        _fill(result, _text(stable, first=first), (stable[-1].end if shaky else position) // _TEN_MS * _TEN_MS)
    if shaky:
        result = results.add(stability=_UNSTABLE)
        _fill(result, _text(shaky, first=first and not stable), position // _TEN_MS * _TEN_MS)


def bill(response: Any, samples: int) -> None:
    """Write the time billed, on the last response."""
    response.total_billed_time.seconds = math.ceil(samples / SAMPLE_RATE / _BILLED_S) * _BILLED_S


def status_inside(error: RefusalError) -> Any:
    """Return a raw response whose `error` is that status: "specifies the error for the operation" (the proto)."""
    response = Response()
    response.error.code, response.error.message = error.code.value[0], error.text
    if error.word:
        response.error.details.extend(status_of(error.word).details)
    return response


def glimpse(word: SpokenWord, whole: int) -> SpokenWord:
    """Return as much of a word's letters as has been spoken of it; `whole` is its length in samples."""
    letters = math.ceil(len(word.text) * min(1.0, (word.end - word.start) / whole))
    return word._replace(text=word.text[: max(1, letters)])


def _text(words: Sequence[SpokenWord], *, first: bool) -> str:
    return ("" if first else " ") + " ".join(word.text for word in words)


def _fill(result: Any, transcript: str, end: int) -> None:
    result.alternatives.add(transcript=transcript)
    result.language_code = LANGUAGE
    _set(result.result_end_time, end)


def _set(duration: Any, samples: int) -> None:
    duration.seconds, rest = divmod(samples, SAMPLE_RATE)
    duration.nanos = rest * _NANOS
