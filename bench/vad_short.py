"""Lengths of mm-hms, coughs and clicks as the detectors hear them, and the time until speech is known to last."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from batkol.audio.segmenter import LOUD_DB
from batkol.vad.engine import EngineName
from batkol.vad.factory import create
from support.speech.clip import Signal
from support.speech.coughs import clicks, coughs
from support.speech.human import short_sounds, utterances
from support.speech.hums import mm_hms
from support.speech.murmurs import murmurs
from support.vad.scenes import pink, scene, white
from support.vad.segments import Segment, segments
from support.vad.short import apart, heard_ms, known_after, reaching

Change = Callable[[list[Segment]], list[Segment]]

LASTING_MS = (350, 400, 450, 500, 550)
LOUD_MS = (350, 380, 400, 450)
SHORT = {
    "mm-hm (human voice)": murmurs,
    "mm-hm (synthetic)": mm_hms,
    "letter, digit (human)": short_sounds,
    "cough (synthetic)": coughs,
    "click (synthetic)": clicks,
}
_PAUSES_MS = (900, 2000)


def print_short() -> None:
    """Print how long each detector hears sounds of at most 350 ms."""
    _print_short(LASTING_MS, lambda found: found)


def print_loud() -> None:
    """Print the same, and what `print_lasting` does, where a segment ends with its last loud window."""
    _print_short(LOUD_MS, _only_loud)
    print()
    _print_lasting(1, LOUD_MS, _only_loud)


def print_lasting(seed: int) -> None:
    """Print how long after its beginning a human utterance of 0.5 to 7 s is known to last so many ms."""
    _print_lasting(seed, LASTING_MS, lambda found: found)


def _only_loud(found: list[Segment]) -> list[Segment]:
    return [segment.loud(LOUD_DB) for segment in found]


def _print_short(thresholds: Sequence[int], change: Change) -> None:
    print(f"| sound | noise | detector | heard | p50 / p95 / max, ms | {_columns('≥ {} ms', thresholds)} |")
    print("|---|---|---|---|---|" + "---|" * len(thresholds))
    for name, clips in SHORT.items():
        quiet = apart(clips())
        for noise, call in (("none", quiet), ("pink, 20 dB", quiet.in_noise(pink, 20))):
            for engine in EngineName:
                heard = heard_ms(call, change(segments(create(engine), call.mulaw)))
                counts = " | ".join(f"{reaching(heard, ms)}" for ms in thresholds)
                cells = f"{len(heard)}/{len(call.spans)} | {_spread(heard)} | {counts}"
                print(f"| {name} | {noise} | {engine} | {cells} |", flush=True)


def _print_lasting(seed: int, thresholds: Sequence[int], change: Change) -> None:
    print(f"| noise | detector | {_columns('{} ms', thresholds)} |")
    print("|---|---|" + "---|" * len(thresholds))
    quiet = scene(utterances(), np.random.default_rng(seed), _PAUSES_MS)
    for noise, call in (("none", quiet), ("white, 20 dB", quiet.in_noise(white, 20))):
        for engine in EngineName:
            found = change(segments(create(engine), call.mulaw))
            cells = [_known(*known_after(call, found, ms)) for ms in thresholds]
            print(f"| {noise} | {engine} | {' | '.join(cells)} |", flush=True)


def _known(late: Signal, never: int) -> str:
    return f"{_spread(late)}, {never} never" if never else _spread(late)


def _columns(template: str, thresholds: Sequence[int]) -> str:
    return " | ".join(template.format(ms) for ms in thresholds)


def _spread(values: Signal) -> str:
    """Return median, 95th percentile and largest."""
    return " / ".join(f"{value:.0f}" for value in np.percentile(values, [50, 95, 100])) if len(values) else "–"
