"""The detectors on human voices, with noise and music under them, and on music and a television alone."""

from __future__ import annotations

import numpy as np

from batkol.vad.engine import EngineName
from batkol.vad.factory import create
from support.speech.clip import Clip, Signal
from support.speech.human import utterances
from support.speech.music import music, pieces, television
from support.vad.scenes import Scene, scene, white
from support.vad.segments import Score, compare, segments

PAUSES_MS = (900, 2000)
MUSIC_DB = (0, 10, 26)
"""Decibels by which the music is quieter than it was recorded."""
TELEVISION_DB = (20, 30, 40)
"""Decibels by which the television is quieter than the caller."""


def conditions(seed: int) -> dict[str, Scene]:
    """Return the same 242 utterances on a quiet line, in noise, and with music or a television behind the caller."""
    said = scene(utterances(), np.random.default_rng(seed), PAUSES_MS)
    samples = len(said.sound)
    behind = np.resize(television(below_db=0).pcm, samples).astype(float)
    return {
        "quiet": said,
        **{f"white noise, {snr} dB": said.in_noise(white, snr) for snr in (20, 10)},
        **{f"music, {snr} dB": said.beside(music(samples).pcm.astype(float), snr) for snr in (20, 10, 5)},
        **{f"television, {snr} dB": said.beside(behind, snr) for snr in (20, 30, 40)},
    }


def print_voices(seed: int) -> None:
    """Print what each detector makes of the utterances of five speakers."""
    print("| under the speech | detector | missed | split | merged | false | start late, ms | end late, ms |")
    print("|---|---|---|---|---|---|---|---|")
    for name, call in conditions(seed).items():
        for engine in EngineName:
            row = compare(call.spans, segments(create(engine), call.mulaw), len(call.sound))
            print(f"| {name} | {engine} | {_cells(row)} |", flush=True)


def _cells(row: Score) -> str:
    counts = [f"{count}" for count in (row.missed, row.split, row.merged, row.false)]
    return " | ".join([*counts, _late(row.start), _late(row.end)])


def _late(errors: Signal) -> str:
    """Return the 5th percentile, the median and the 95th percentile; a dash where no utterance is alone."""
    return " / ".join(f"{late:.0f}" for late in np.percentile(errors, [5, 50, 95])) if len(errors) else "–"


def print_music() -> None:
    """Print how much of a minute of music, or of a television, each detector takes for speech."""
    print("| alone on the line | detector | speech in each minute, s | longest utterance, s |")
    print("|---|---|---|---|")
    for db in MUSIC_DB:
        for engine in EngineName:
            print(_alone(f"music, -{db} dB" if db else "music as recorded", engine, [p.quieter(db) for p in pieces()]))
    for db in TELEVISION_DB:
        for engine in EngineName:
            print(_alone(f"television, -{db} dB", engine, [television(below_db=db)]), flush=True)


def _alone(name: str, engine: EngineName, clips: list[Clip]) -> str:
    found = [segments(create(engine), clip.mulaw) for clip in clips]
    speech = ", ".join(f"{sum(each.ms for each in some) / 1000:.0f}" for some in found)
    longest = ", ".join(f"{max((each.ms for each in some), default=0) / 1000:.0f}" for some in found)
    return f"| {name} | {engine} | {speech} | {longest} |"
