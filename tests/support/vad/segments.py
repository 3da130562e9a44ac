"""Segments of speech that a detector finds in a call, with the service's own segmenter, held against the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from batkol.audio import mulaw
from batkol.audio.level import window_levels
from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.audio.segmenter import Segmenter, SegmenterSettings, SegmentLasted, SpeechEnded, SpeechStarted
from batkol.vad.engine import VadEngine
from support.speech.clip import Signal
from support.vad.scenes import Span


class SpeechWindow(NamedTuple):
    """A window of speech: the sample at which it ends, and its RMS."""

    end: int
    level: float


@dataclass(slots=True)
class Segment:
    """Speech from its first window to its last, in samples; without pre-roll and hang-over."""

    start: int
    end: int = 0
    windows: list[SpeechWindow] = field(default_factory=list)
    """Its windows of speech."""
    lasted: int | None = None
    """The sample at which the segmenter reported that speech has lasted."""

    @property
    def ms(self) -> float:
        return (self.end - self.start) / SAMPLES_PER_MS

    def lasts(self, ms: float) -> int | None:
        """Return the sample at which so much speech is known of, pauses within it included; None if it never is."""
        return next((window.end for window in self.windows if window.end - self.start >= ms * SAMPLES_PER_MS), None)

    def loud(self, within_db: float) -> Segment:
        """Return the segment up to its last window that is at most `within_db` quieter than the loudest before it.

        A detector goes on hearing speech for about 100 ms after it; loudness does not. The segmenter counts so, too,
        to know that speech has lasted, and is held to this.
        """
        kept, loudest = [], 0.0
        for window in self.windows:
            loudest = max(loudest, window.level)
            if window.level >= loudest * 10 ** (-within_db / 20):
                kept.append(window)
        return Segment(self.start, kept[-1].end if kept else self.start, kept)


def segments(engine: VadEngine, sound: bytes, settings: SegmenterSettings | None = None) -> list[Segment]:
    """Return where the engine hears speech in some mu-law."""
    slot = engine.open()
    segmenter = Segmenter(settings or SegmenterSettings())
    whole = sound[: len(sound) // engine.window * engine.window]
    rms, levels = _rms(whole, engine.window), window_levels(whole, engine.window)
    found: list[Segment] = []
    speech: list[SpeechWindow] = []
    for number, probability in enumerate(_scores(engine, slot, sound)):
        start, end = number * engine.window, (number + 1) * engine.window
        for event in segmenter.append_score(probability, start, end, level=levels[number]):
            match event:
                case SpeechStarted(speech_at=at):
                    speech = [window for window in speech if window.end > at]
                    found.append(Segment(at, windows=speech))
                case SegmentLasted(decided_at=at):
                    found[-1].lasted = at
                case SpeechEnded(at=at):
                    found[-1].end, speech = at, []
        if segmenter._last_speech_end == end:
            speech.append(SpeechWindow(end, rms[number]))
    for event in segmenter.flush(len(sound)):
        found[-1].end = event.at
    engine.close(slot)
    return found


def _rms(sound: bytes, window: int) -> list[float]:
    """Return the RMS of each window."""
    pcm = mulaw.decode(sound).astype(np.float64)
    levels: list[float] = np.sqrt(np.mean(pcm.reshape(-1, window) ** 2, axis=1)).tolist()
    return levels


def _scores(engine: VadEngine, slot: int, sound: bytes) -> Iterator[float]:
    """Yield the probability of each whole window."""
    piece = 8 * engine.window
    for at in range(0, len(sound) // engine.window * engine.window, piece):
        windows = min(piece, len(sound) - at) // engine.window
        yield from engine.score([slot], [sound[at : at + windows * engine.window]])[0]


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """What a detector found, held against what was said."""

    utterances: int
    missed: int  # of which no part was found
    split: int  # found in several parts
    merged: int  # in one segment with the utterance before
    false: int  # segments that hold no utterance
    start: Signal  # ms late, one of each utterance that is alone in its segments
    end: Signal
    missed_ms_per_minute: float
    minutes: float

    @property
    def detected(self) -> int:
        return self.utterances - self.missed

    @property
    def alone(self) -> int:
        """Utterances in segments that hold no other utterance."""
        return len(self.start)


def compare(spans: Sequence[Span], found: Sequence[Segment], samples: int) -> Score:
    """Hold what was found against what was said in a call of so many samples."""
    minutes = samples / SAMPLE_RATE / 60
    held = [[span for span in spans if _overlap(segment, span)] for segment in found]
    starts, ends = [], []
    lost = missed = split = 0
    for span in spans:
        mine = [(segment, holds) for segment, holds in zip(found, held, strict=True) if span in holds]
        lost += span[1] - span[0] - sum(_overlap(segment, span) for segment, _ in mine)
        missed += not mine
        split += len(mine) > 1
        if mine and all(len(holds) == 1 for _, holds in mine):
            starts.append((mine[0][0].start - span[0]) / SAMPLES_PER_MS)
            ends.append((mine[-1][0].end - span[1]) / SAMPLES_PER_MS)
    return Score(
        utterances=len(spans),
        missed=missed,
        split=split,
        merged=sum(max(0, len(holds) - 1) for holds in held),
        false=sum(not holds for holds in held),
        start=np.array(starts),
        end=np.array(ends),
        missed_ms_per_minute=lost / SAMPLES_PER_MS / minutes,
        minutes=minutes,
    )


def segment_of(span: Span, found: Sequence[Segment]) -> Segment | None:
    """Return the first segment that holds a part of what was said; None if it was missed."""
    return next((segment for segment in found if _overlap(segment, span)), None)


def _overlap(segment: Segment, span: Span) -> int:
    return max(0, min(segment.end, span[1]) - max(segment.start, span[0]))
