"""How long the detectors think that mm-hms, coughs and clicks last, and how soon they know that speech lasts."""

from __future__ import annotations

import numpy as np

from batkol.vad.engine import EngineName
from batkol.vad.factory import create
from support.speech.coughs import clicks, coughs
from support.speech.human import short_sounds, utterances
from support.speech.hums import mm_hms
from support.speech.murmurs import murmurs
from support.vad.scenes import pink, scene, white
from support.vad.segments import segments
from support.vad.short import apart, heard_lengths, known_after

LASTING_MS = (350, 400, 450, 500, 550)
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
    print(f"| sound | noise | detector | heard | p50 / p95 / max, ms | {_columns('≥ {} ms')} |")
    print("|---|---|---|---|---|" + "---|" * len(LASTING_MS))
    for name, clips in SHORT.items():
        quiet = apart(clips())
        for noise, call in (("none", quiet), ("pink, 20 dB", quiet.in_noise(pink, 20))):
            for engine in EngineName:
                heard = heard_lengths(create(engine), call)
                counts = " | ".join(f"{heard.reaching(ms)}" for ms in LASTING_MS)
                cells = f"{len(heard.ms)}/{heard.sounds} | {_spread(heard.ms)} | {counts}"
                print(f"| {name} | {noise} | {engine} | {cells} |", flush=True)


def print_lasting(seed: int) -> None:
    """Print how long after its beginning a human utterance of 0.5 to 7 s is known to last so many ms."""
    print(f"| noise | detector | {_columns('{} ms')} |")
    print("|---|---|" + "---|" * len(LASTING_MS))
    quiet = scene(utterances(), np.random.default_rng(seed), _PAUSES_MS)
    for noise, call in (("none", quiet), ("white, 20 dB", quiet.in_noise(white, 20))):
        for engine in EngineName:
            cells, found = [], segments(create(engine), call.mulaw)
            for ms in LASTING_MS:
                late, never = known_after(call, found, ms)
                cells.append(f"{_spread(late)}, {never} never" if never else _spread(late))
            print(f"| {noise} | {engine} | {' | '.join(cells)} |", flush=True)


def _columns(template: str) -> str:
    return " | ".join(template.format(ms) for ms in LASTING_MS)


def _spread(values: np.typing.NDArray[np.float64]) -> str:
    """Return median, 95th percentile and largest."""
    return " / ".join(f"{value:.0f}" for value in np.percentile(values, [50, 95, 100])) if len(values) else "–"
