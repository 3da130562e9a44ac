"""One recognizer's hearing of one sound: the text, and when it came. Times are in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.compare.known_speech import KnownSpeech
from batkol.compare.normalisation import words
from batkol.compare.shown_text import ShownText
from batkol.errors import UpstreamError
from batkol.speech.results import Transcript

_BEGUN: Final = 100 * SAMPLES_PER_MS
"""Samples of a span that an interim of it reaches into: results are dated to 100 ms."""

REACHES: Final = 300 * SAMPLES_PER_MS
"""Samples before the end of speech from which a final has the last word: a detector hears some 100 ms after it."""


class Arrival(NamedTuple):
    """A transcript, and when it came: milliseconds since the sound began."""

    at_ms: float
    heard: Transcript


class Latencies(msgspec.Struct, frozen=True, kw_only=True):
    """Times of one hearing. Those of finals and of texts count from the end of speech; each list has one a span."""

    first_interims: tuple[float, ...] = ()
    """From the beginning of speech to the first text of it."""
    finals: tuple[float, ...] = ()
    """To the final that has the last word, while the call goes on."""
    right: float | None = None
    """To the first moment at which the shown text has exactly the words that were said; None: it never had."""
    settled: float | None = None
    """To the moment from which the shown words do not change any more."""
    forced: float | None = None
    """To the last final after the recognizer was made to finish; None: it was not."""


class Hearing(msgspec.Struct, frozen=True, kw_only=True):
    """`fault` is why the text does not count; None if the recognizer heard the whole sound."""

    text: str = ""
    latencies: Latencies = Latencies()
    heard_s: float = 0.0
    """Seconds of audio that the recognizer was sent, probes among them."""
    unfinished: bool = False
    """Whether the text ends with an interim, for no final came."""
    late_ms: float = 0.0
    """The latest that this machine was with a frame of the sound."""
    fault: str | None = None
    why: str = ""
    """The fault in a sentence, with what to do."""


def sentence(error: UpstreamError) -> str:
    """Return an error with what to do about it."""
    return " ".join(f"{error} {error.remedy}".split())


def measure(
    speech: KnownSpeech, arrivals: Sequence[Arrival], unasked: int | None = None
) -> tuple[str, Latencies, bool]:
    """Return the text of what arrived, its latencies, and whether it is unfinished.

    The first `unasked` arrivals came before the session was closed; None: all of them. A later final was made by that.
    """
    shown, states = ShownText(), list[tuple[float, list[str]]]()
    for arrival in arrivals:
        shown.take(arrival.heard)
        states.append((arrival.at_ms, [word.normal for word in words(shown.text)]))
    end_ms = speech.end / SAMPLES_PER_MS
    said = [word.normal for word in words(speech.said)]
    latencies = Latencies(
        first_interims=_first_interims(speech, arrivals),
        finals=_finals(speech, arrivals[:unasked]),
        right=next((at - end_ms for at, normal in states if said and normal == said), None),
        settled=_settled(states, end_ms),
    )
    return shown.text, latencies, shown.unfinished


def _first_interims(speech: KnownSpeech, arrivals: Sequence[Arrival]) -> tuple[float, ...]:
    firsts = []
    for span in speech.spans:
        begin = span.begin
        begin_ms = begin / SAMPLES_PER_MS
        came = (each for each in arrivals if each.at_ms > begin_ms and each.heard.text.strip())
        first = next((each.at_ms - begin_ms for each in came if each.heard.end > begin + _BEGUN), None)
        firsts += [] if first is None else [first]
    return tuple(firsts)


def _finals(speech: KnownSpeech, arrivals: Sequence[Arrival]) -> tuple[float, ...]:
    times = []
    for span in speech.spans:
        reaching = (each for each in arrivals if each.heard.final and each.heard.end >= span.end - REACHES)
        first = next((each.at_ms - span.end / SAMPLES_PER_MS for each in reaching), None)
        times += [] if first is None else [first]
    return tuple(times)


def _settled(states: Sequence[tuple[float, list[str]]], end_ms: float) -> float | None:
    if not states or not states[-1][1]:
        return None
    settled = states[-1][0]
    for at, normal in reversed(states):
        if normal != states[-1][1]:
            break
        settled = at
    return settled - end_ms
