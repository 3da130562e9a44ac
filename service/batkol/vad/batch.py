"""One round of voice activity detection: what the worker thread does with the audio of many calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from batkol.audio import mulaw
from batkol.audio.level import window_levels
from batkol.audio.ring import Ring
from batkol.vad.engine import VadEngine

_MOST = 2  # windows of a call in a round that is on time
_BEHIND_MS = 5_000  # further behind than this (a starved thread), old audio is given up …
_CATCH_UP_MS = 1_000  # … down to this much: the last second still matters, what came before is history


class BatchPart(NamedTuple):
    """One call's part in a round: the audio [start, until), whole windows unless it is the call's last."""

    slot: int
    audio: bytes
    """Mu-law, filled up to whole windows with silence."""
    start: int
    until: int
    windows: int
    unmeasured: bytes | None = None
    """Audio before `start` whose levels count too, by whole windows; None if no level counts."""
    speech_from: float = 0.0
    """Probability from which a window is speech: without one the levels do not count yet."""


class PartLevels(NamedTuple):
    """Levels of a part: mean squares of amplitudes."""

    before: float
    """Level of the loudest unmeasured window before the part."""
    windows: list[float]


class RoundScores(NamedTuple):
    """Findings of a round: each part's probabilities, in order, and by slot the levels of parts whose levels count."""

    probabilities: list[list[float]]
    levels: dict[int, PartLevels]


def gather(ring: Ring, heard: int, *, slot: int, window: int, last: bool) -> BatchPart:
    """Return what `ring` has beyond `heard`: whole windows, and the rest too if it is the call's `last` part.

    A part that starts later than `heard` gave up the audio between: the engine was more than 5 s behind.
    """
    behind = ring.end - heard
    start = heard
    if behind > _BEHIND_MS * mulaw.SAMPLES_PER_MS:
        start += (behind - _CATCH_UP_MS * mulaw.SAMPLES_PER_MS) // window * window
    windows, rest = divmod(ring.end - start, window)
    if windows == _MOST + 1 and not last:
        windows = _MOST  # one call that is a frame early would cost all of them another batch
    if last and rest:
        fill = mulaw.silence(window - rest)
        return BatchPart(slot, ring.read(start, ring.end) + fill, start, ring.end, windows + 1)
    until = start + windows * window
    return BatchPart(slot, ring.read(start, until), start, until, windows)


def score(engine: VadEngine, parts: Sequence[BatchPart]) -> RoundScores:
    """Score the parts and measure their levels. Runs in the worker thread; raises what the engine raises."""
    probabilities = engine.score([part.slot for part in parts], [part.audio for part in parts])
    counting = [part for part, mine in zip(parts, probabilities, strict=True) if _counts(part, mine)]
    return RoundScores(probabilities, _levels(counting, engine.window) if counting else {})


def _counts(part: BatchPart, probabilities: Sequence[float]) -> bool:
    return part.unmeasured is not None and max(probabilities, default=-1.0) >= part.speech_from


def _levels(parts: Sequence[BatchPart], window: int) -> dict[int, PartLevels]:
    """Return the levels by slot; the silence that fills up a window does not count."""
    before = [_whole(part.unmeasured or b"", window) for part in parts]
    audio = b"".join([piece for part, early in zip(parts, before, strict=True) for piece in (early, part.audio)])
    levels = window_levels(audio, window)
    found, at = {}, 0
    for part, early in zip(parts, before, strict=True):
        begin = at + len(early) // window
        end = begin + part.windows
        mine = levels[begin:end]
        if rest := (part.until - part.start) % window:
            mine[-1] *= window / rest
        found[part.slot] = PartLevels(max(levels[at:begin], default=0.0), mine)
        at = end
    return found


def _whole(audio: bytes, window: int) -> bytes:
    """Return the whole windows at the end: where another engine took over, the first one is none."""
    return audio[len(audio) % window :]
