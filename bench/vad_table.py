"""Measure the voice activity detectors: `make vad-table`, or `ARGS="--only short"` for some of the tables.

Prints the Markdown tables of docs/vad.md. Hebrew is synthesized: the simulated caller's voice says what it says at
known samples. Human voices and music on hold come out of Debian's packages (`make sounds`). Each detector, with the
service's own segmenter, says where it hears speech.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.vad.engine import EngineName, VadEngine
from batkol.vad.factory import create
from batkol.vad.silero import SileroEngine, model_path, read_model
from batkol.voices.marked import voice
from support.speech.clip import Clip, Signal
from support.vad.scenes import Scene, pink, scene, white
from support.vad.segments import compare, segments
from vad_short import print_lasting, print_loud, print_short
from vad_voices import print_music, print_voices

_CALLS = (1, 10, 50, 100)


def hebrew(seed: int, utterances: int) -> Scene:
    """Return utterances of one to six words with pauses of 0.8 to 4 s: shorter ones would be joined by design."""
    said = [voice.say(words).mulaw for words in voice.random_utterances(seed, utterances, (1, 6))]
    clips = [Clip("", mulaw.decode(sound), 0, len(sound)) for sound in said]
    return scene(clips, np.random.default_rng(seed), (800, 4000))


def babble(draw: np.random.Generator, samples: int) -> Signal:
    """Eight voices at once, backwards: a room of people who do not speak into the phone."""
    mix = np.zeros(samples)
    for talker in range(8):
        words = voice.random_utterances(1000 + talker, 1, samples // (SAMPLE_RATE // 4))[0]
        talk = mulaw.decode(voice.say(words).mulaw).astype(float)[::-1]
        mix += np.roll(np.resize(talk, samples), int(draw.integers(samples)))
    return np.asarray(mix / mix.std())


def never_reset() -> VadEngine:
    """Return Silero as it comes, its memory never cleared during a call."""
    return SileroEngine(read_model(model_path()), quiet_peak=-1, idle_windows=sys.maxsize)


ENGINES: dict[str, Callable[[], VadEngine]] = {
    "silero": lambda: create(EngineName.SILERO),
    "silero, never reset": never_reset,
    "webrtc": lambda: create(EngineName.WEBRTC),
}
NOISES = {"white": white, "pink": pink, "babble": babble}


def spread(errors: Signal) -> str:
    """Return median and 95th percentile of the size, the median with its sign."""
    if not len(errors):
        return "–"
    return f"{np.median(errors):+.0f} / {np.percentile(np.abs(errors), 95):.0f}"


def cost(engine: VadEngine, sound: bytes, calls: int) -> float:
    """Return CPU microseconds a window, two windows of each call at once, by the process's own accounting."""
    slots = [engine.open() for _ in range(calls)]
    together = 2 * engine.window
    pieces = [sound[at : at + together] for at in range(0, len(sound) - together + 1, together)]
    rounds = max(100, 3000 // calls)
    rows = np.random.default_rng(3).integers(len(pieces), size=(rounds, calls)).tolist()
    for warm in rows[:10]:
        engine.score(slots, [pieces[index] for index in warm])
    began = time.process_time()
    for row in rows:
        engine.score(slots, [pieces[index] for index in row])
    spent = time.process_time() - began
    for slot in slots:
        engine.close(slot)
    return spent / (2 * rounds * calls) * 1e6


def print_boundaries(utterances: int, seed: int) -> None:
    print("| noise | SNR dB | detector | detected | alone | false starts/min | start, ms | end, ms | missed ms/min |")
    print("|---|---|---|---|---|---|---|---|---|")
    said = hebrew(seed, utterances)
    conditions = [(None, 0.0), *((noise, snr) for noise in NOISES for snr in (20.0, 10.0, 5.0))]
    for noise, snr in conditions:
        call = said.in_noise(NOISES[noise], snr) if noise else said
        for name, make in ENGINES.items():
            row = compare(call.spans, segments(make(), call.mulaw), len(call.sound))
            label = f"{noise} | {snr:.0f}" if noise else "none | –"
            cells = (
                label,
                name,
                f"{row.detected}/{row.utterances}",
                f"{row.alone}",
                f"{row.false / row.minutes:.1f}",
                spread(row.start),
                spread(row.end),
                f"{row.missed_ms_per_minute:.0f}",
            )
            print(f"| {' | '.join(cells)} |", flush=True)


def print_cost(seed: int) -> None:
    sound = hebrew(seed, 10).in_noise(pink, 20).mulaw
    print("| detector | " + " | ".join(f"{calls} calls" for calls in _CALLS) + " |")
    print("|---|" + "---|" * len(_CALLS))
    for name in EngineName:
        engine = create(name)
        cells = " | ".join(f"{cost(engine, sound, calls):.1f} µs" for calls in _CALLS)
        print(f"| {name} ({engine.window // SAMPLES_PER_MS} ms) | {cells} |")


def main() -> None:
    tables: dict[str, Callable[[int, int], None]] = {
        "hebrew": print_boundaries,
        "voices": lambda _, seed: print_voices(seed),
        "music": lambda _, __: print_music(),
        "short": lambda _, __: print_short(),
        "lasting": lambda _, seed: print_lasting(seed),
        "loud": lambda _, __: print_loud(),
        "cost": lambda _, seed: print_cost(seed),
    }
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--only", nargs="+", choices=tables, default=list(tables), help="which tables to print")
    arguments.add_argument("--utterances", type=int, default=80, help="of the Hebrew table")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    for name in options.only:
        print(f"\n{name}\n")
        tables[name](options.utterances, options.seed)


if __name__ == "__main__":
    main()
