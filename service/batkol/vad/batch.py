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
    levels_from: float
    """Probability from which the level of a window counts: if none of the part's reaches it, none is measured."""


class PartScores(NamedTuple):
    """Findings of a round in a part: one of each a window."""

    probabilities: list[float]
    levels: Sequence[float | None]
    """Mean square of the amplitudes; None where it does not count."""


def gather(ring: Ring, heard: int, slot: int, window: int, *, last: bool, levels_from: float) -> BatchPart:
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
        return BatchPart(slot, ring.read(start, ring.end) + fill, start, ring.end, windows + 1, levels_from)
    until = start + windows * window
    return BatchPart(slot, ring.read(start, until), start, until, windows, levels_from)


def score(engine: VadEngine, parts: Sequence[BatchPart]) -> list[PartScores]:
    """Return each part's scores, in order. Runs in the worker thread; raises what the engine raises."""
    probabilities = engine.score([part.slot for part in parts], [part.audio for part in parts])
    counting = [part for part, mine in zip(parts, probabilities, strict=True) if mine and max(mine) >= part.levels_from]
    levels = _levels(counting, engine.window) if counting else {}
    return [
        PartScores(mine, levels.get(part.slot) or [None] * part.windows)
        for part, mine in zip(parts, probabilities, strict=True)
    ]


def _levels(parts: Sequence[BatchPart], window: int) -> dict[int, list[float]]:
    """Return the levels of each part's windows by its slot; the silence that fills up a window does not count."""
    levels = window_levels(b"".join([part.audio for part in parts]), window)
    found, at = {}, 0
    for part in parts:
        mine = found[part.slot] = levels[at : at + part.windows]
        at += part.windows
        if rest := (part.until - part.start) % window:
            mine[-1] *= window / rest
    return found
