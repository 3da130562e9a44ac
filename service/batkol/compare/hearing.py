"""One recognizer's hearing of one sound: the text, and when it came. Times are in milliseconds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.compare.known_speech import KnownSpeech
from batkol.compare.normalisation import words
from batkol.compare.shown_text import ShownState, ShownText
from batkol.errors import UpstreamError
from batkol.speech.results import Transcript

_BEGUN: Final = 100 * SAMPLES_PER_MS
"""Samples of a span that an interim of it reaches into: results are dated to 100 ms."""

REACHES: Final = 300 * SAMPLES_PER_MS
"""Samples before the end of speech from which a final has the last word: a detector hears some 100 ms after it."""


LAST_WORD_MS: Final = 3000.0
"""Milliseconds before the end of speech from which the text shown is compared with what was said: an hour of speech has
thousands of texts, and each takes as long to compare as it is long."""


class Arrival(NamedTuple):
    """A transcript, and when it came: milliseconds since the sound began."""

    at_ms: float
    heard: Transcript


class _Shown(NamedTuple):
    at_ms: float
    state: ShownState


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
    said = " ".join(str(error).split())
    return f"{said.removesuffix('.')}. {error.remedy}".strip()


def measure(
    speech: KnownSpeech, arrivals: Sequence[Arrival], unasked: int | None = None
) -> tuple[str, Latencies, bool]:
    """Return the text of what arrived, its latencies, and whether it is unfinished.

    `unasked`: the number of arrivals before the session was closed, None for all; a final behind them was made by
    that. The clock cannot tell: a loop's own may stand still from the last final to the close.
    """
    shown, states = ShownText(), list[_Shown]()
    for arrival in arrivals:
        shown.take(arrival.heard)
        states.append(_Shown(arrival.at_ms, shown.state))
    end_ms = speech.end / SAMPLES_PER_MS
    latencies = Latencies(
        first_interims=_first_interims(speech, arrivals),
        finals=_finals(speech, arrivals[:unasked]),
        right=_right(states, _normal(speech.said), end_ms),
        settled=_settled(states, end_ms),
    )
    return shown.text, latencies, shown.unfinished


def of_answers(speech: KnownSpeech, text: str, finals: Sequence[float]) -> Latencies:
    """Return the latencies of a text that single requests gave, which is shown when the last of them is answered."""
    last = finals[-1] if finals and _normal(text) else None
    return Latencies(finals=tuple(finals), settled=last, right=last if _normal(text) == _normal(speech.said) else None)


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


def _right(states: Sequence[_Shown], said: Sequence[str], end_ms: float) -> float | None:
    """Return when all that was said was shown first: not long before its last word was spoken."""
    if not said:
        return None
    begin = max(0, bisect_left(states, end_ms - LAST_WORD_MS, key=lambda shown: shown.at_ms) - 1)
    return next((each.at_ms - end_ms for each in states[begin:] if _normal(each.state.text) == said), None)


def _settled(states: Sequence[_Shown], end_ms: float) -> float | None:
    text = states[-1].state.text if states else ""
    last = _normal(text)
    if not last:
        return None
    settled = states[-1].at_ms
    for each in reversed(states):
        if (shown := each.state.text) != text and _normal(shown) != last:
            break
        settled = each.at_ms
    return settled - end_ms


def _normal(text: str) -> list[str]:
    return [word.normal for word in words(text)]
