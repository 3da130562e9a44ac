"""A simulated call as the dispatcher meets it: a caller's sentences, a VAD, and a recognizer that is late.

Every word of a call is another one, so that a word in the wrong utterance, lost or doubled, shows. Everything random
comes from hypothesis; nothing here knows how the dispatcher works.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from hypothesis import strategies as st

from batkol.speech.results import Transcript, Word
from batkol.speech.utterance import Mode

MS = 8  # samples
SECOND = 8000
PRE_ROLL = 300 * MS
ONSET = 96 * MS  # of speech before the VAD is sure
HANG_OVER = 480 * MS  # of silence before the VAD is sure

_WORDS = st.lists(st.tuples(st.sampled_from([160, 300, 600]), st.sampled_from([40, 200])), min_size=1, max_size=5)  # ms
_OFF = st.sampled_from([-60, 0, 60])  # ms: VAD and recognizer are never exact


@dataclass(frozen=True)
class Sentence:
    """What the caller says in one breath, and what the VAD makes of it (nothing, if it is not `seen`)."""

    words: tuple[Word, ...]
    seen: bool
    mode: Mode
    speech_at: int
    end: int

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


class Begins(NamedTuple):
    sentence: Sentence
    begin: int


class FallsSilent(NamedTuple):
    sentence: Sentence
    heard_to: int


class At(NamedTuple):
    """`event` reaches the service at `now`, in seconds."""

    now: float
    event: Begins | FallsSilent | Transcript


@dataclass(frozen=True)
class Conversation:
    """`timed`: finals have word times. `answers` (s): how long a single request for a sentence takes."""

    sentences: tuple[Sentence, ...]
    script: tuple[At, ...]
    timed: bool
    complete: bool  # the recognizer lived to the end of the call
    answers: float

    @property
    def ends(self) -> float:
        return max((at.now for at in self.script), default=0.0)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """Any call: pauses from 0.6 s, latencies up to 3 s, some speech the VAD misses, a stream that may die."""
    timed, complete = draw(st.booleans()), draw(st.integers(0, 4)) > 0
    sentences = _sentences(draw, may_miss=timed)
    results = _results(draw, sentences, timed=timed)
    if not complete:
        results = results[: draw(st.integers(0, len(results)))]
    script = sorted([*_vad(sentences), *results], key=lambda at: at.now)
    return Conversation(tuple(sentences), tuple(script), timed, complete, draw(st.sampled_from([0.05, 0.4, 2.5])))


def _sentences(draw: st.DrawFn, *, may_miss: bool) -> list[Sentence]:
    sentences: list[Sentence] = []
    at = told = 0
    for _ in range(draw(st.integers(1, 4))):
        seen = not may_miss or draw(st.integers(0, 5)) > 0
        alone = not seen or not (sentences and sentences[-1].seen)
        at += draw(st.integers(4200, 6000) if alone else st.integers(600, 4000)) * MS
        words = []
        for length, gap in draw(_WORDS):
            words.append(Word(f"w{told}", at, at + length * MS))
            told, at = told + 1, words[-1].end + gap * MS
        at = words[-1].end
        early, late = draw(_OFF) * MS, draw(_OFF) * MS
        mode = Mode.STREAMING if draw(st.integers(0, 4)) else Mode.SINGLE
        sentences.append(Sentence(tuple(words), seen, mode, words[0].start - early, at + late))
    return sentences


def _vad(sentences: list[Sentence]) -> list[At]:
    events: list[At] = []
    before = 0
    for sentence in sentences:
        if sentence.seen:
            begin = max(before, sentence.speech_at - PRE_ROLL)
            events.append(At((sentence.speech_at + ONSET) / SECOND, Begins(sentence, begin)))
            silent_at = max(sentence.end, sentence.speech_at + ONSET) + HANG_OVER
            events.append(At(silent_at / SECOND, FallsSilent(sentence, silent_at)))
            before = sentence.end
    return events


def _results(draw: st.DrawFn, sentences: list[Sentence], *, timed: bool) -> list[At]:
    """Interims and finals, cut between words. Without word times each sentence's end is heard before the next."""
    results: list[At] = []
    pending: list[Word] = []
    watermark, arrives = 0, 0.0
    words = [word for sentence in sentences for word in sentence.words]
    ends = {sentence.words[-1] for sentence in sentences}
    for word in words:
        pending.append(word)
        kinds = ["final", "interim"] if word in ends and not timed else ["nothing", "interim", "interim", "final"]
        kind = "final" if word is words[-1] else draw(st.sampled_from(kinds))
        if kind == "nothing":
            continue
        heard_to = word.end + (draw(st.integers(50, 250)) * MS if word in ends else 20 * MS)
        arrives = max(arrives, heard_to / SECOND + draw(st.sampled_from([0.1, 0.3, 0.7, 1.2, 3.0])))
        results.append(At(arrives, _heard(draw, pending, (watermark, heard_to), final=kind == "final", timed=timed)))
        if kind == "final":
            pending, watermark = [], heard_to
    return results


def _heard(draw: st.DrawFn, words: list[Word], span: tuple[int, int], *, final: bool, timed: bool) -> Transcript:
    """A final is right, its word times within 60 ms; an interim may not know its last word yet."""
    known = words if final or not timed or draw(st.booleans()) else words[:-1] or words
    times = _times(draw, known, span[0]) if final and timed else ()
    return Transcript(" ".join(word.text for word in known), *span, final=final, words=times)


def _times(draw: st.DrawFn, words: list[Word], settled: int) -> tuple[Word, ...]:
    """As Google gives them: a word starts where the one before it ended, the first one perhaps where that final did."""
    off = draw(_OFF) * MS
    at = min(settled, words[0].start + off) if draw(st.booleans()) else words[0].start + off
    told = []
    for word in words:
        told.append(Word(word.text, at, max(at, word.end + off)))
        at = told[-1].end
    return tuple(told)
