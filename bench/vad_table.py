"""Measure the voice activity detectors on synthesized Hebrew: `python bench/vad_table.py`.

The simulated caller's voice says what it says at known samples; noise is added at a known ratio to the speech; each
detector, with the service's own segmenter, says where it hears speech. Prints two Markdown tables: docs/vad.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.audio.segmenter import Segmenter, SegmenterSettings, SpeechEnded, SpeechEvent, SpeechStarted
from batkol.vad.engine import EngineName, VadEngine
from batkol.vad.factory import create
from batkol.vad.silero import SileroEngine, model_path, read_model
from batkol.voices.marked import voice

Signal = npt.NDArray[np.float64]
Span = tuple[int, int]

_CALLS = (1, 10, 50, 100)


class Scene(NamedTuple):
    """A call: its audio before noise, and the spans in which the caller speaks."""

    audio: Signal
    spans: tuple[Span, ...]


class Row(NamedTuple):
    utterances: int
    detected: int
    alone: int  # detected in a segment that holds no other utterance
    false_starts_per_minute: float
    start: Signal  # ms late, one of each utterance that was detected alone
    end: Signal
    missed_ms_per_minute: float


def scene(seed: int, utterances: int) -> Scene:
    """Return utterances of one to six words with pauses of 0.8 to 4 s: shorter ones would be joined by design."""
    draw = np.random.default_rng(seed)
    pieces: list[Signal] = [np.zeros(2 * SAMPLE_RATE)]
    spans: list[Span] = []
    at = len(pieces[0])
    for words in voice.random_utterances(seed, utterances, (1, 6)):
        spoken = mulaw.decode(voice.say(words).mulaw).astype(float)
        pause = int(draw.uniform(800, 4000)) * SAMPLES_PER_MS
        spans.append((at, at + len(spoken)))
        pieces += [spoken, np.zeros(pause)]
        at += len(spoken) + pause
    return Scene(np.concatenate(pieces), tuple(spans))


def white(draw: np.random.Generator, samples: int) -> Signal:
    return draw.normal(0, 1, samples)


def pink(draw: np.random.Generator, samples: int) -> Signal:
    """Noise with 3 dB less in each octave: nearer to rooms and streets than white."""
    spectrum = np.fft.rfft(draw.normal(0, 1, samples))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    coloured = np.fft.irfft(spectrum, samples)
    return np.asarray(coloured / coloured.std())


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


def noisy(scene: Scene, noise: str | None, snr: float) -> bytes:
    """Return the scene as a phone line carries it: noise `snr` dB below the speech, in mu-law."""
    audio = scene.audio
    if noise is not None:
        level = np.sqrt(np.mean(np.concatenate([audio[start:end] for start, end in scene.spans]) ** 2))
        source = NOISES[noise](np.random.default_rng(7), len(audio))
        audio = audio + source * level / 10 ** (snr / 20)
    return mulaw.encode(np.clip(np.round(audio), -32768, 32767).astype(np.int16))


def heard(engine: VadEngine, sound: bytes, settings: SegmenterSettings) -> list[Span]:
    """Return where the engine hears speech, without the pre-roll."""
    slot = engine.open()
    segmenter = Segmenter(settings)
    events: list[SpeechEvent] = []
    for at in range(0, len(sound) - engine.window + 1, engine.window):
        [[probability]] = engine.score([slot], [sound[at : at + engine.window]])
        events += segmenter.append_score(probability, at, at + engine.window)
    events += segmenter.flush(len(sound))
    engine.close(slot)
    starts = [event.speech_at for event in events if isinstance(event, SpeechStarted)]
    ends = [event.at for event in events if isinstance(event, SpeechEnded)]
    return list(zip(starts, ends, strict=True))


def compare(spans: Sequence[Span], found: Sequence[Span], samples: int) -> Row:
    """Hold what was found against what was said."""
    minutes = samples / SAMPLE_RATE / 60
    held = [[span for span in spans if _overlap(segment, span)] for segment in found]
    starts, ends = [], []
    missed = detected = 0
    for span in spans:
        mine = [(segment, holds) for segment, holds in zip(found, held, strict=True) if span in holds]
        missed += span[1] - span[0] - sum(_overlap(segment, span) for segment, _ in mine)
        detected += bool(mine)
        if mine and all(len(holds) == 1 for _, holds in mine):
            starts.append((mine[0][0][0] - span[0]) / SAMPLES_PER_MS)
            ends.append((mine[-1][0][1] - span[1]) / SAMPLES_PER_MS)
    return Row(
        utterances=len(spans),
        detected=detected,
        alone=len(starts),
        false_starts_per_minute=sum(not holds for holds in held) / minutes,
        start=np.array(starts),
        end=np.array(ends),
        missed_ms_per_minute=missed / SAMPLES_PER_MS / minutes,
    )


def _overlap(one: Span, other: Span) -> int:
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))


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
    said = scene(seed, utterances)
    conditions = [(None, 0.0), *((noise, snr) for noise in NOISES for snr in (20.0, 10.0, 5.0))]
    for noise, snr in conditions:
        sound = noisy(said, noise, snr)
        for name, make in ENGINES.items():
            row = compare(said.spans, heard(make(), sound, SegmenterSettings()), len(sound))
            label = f"{noise} | {snr:.0f}" if noise else "none | –"
            cells = (
                label,
                name,
                f"{row.detected}/{row.utterances}",
                f"{row.alone}",
                f"{row.false_starts_per_minute:.1f}",
                spread(row.start),
                spread(row.end),
                f"{row.missed_ms_per_minute:.0f}",
            )
            print(f"| {' | '.join(cells)} |", flush=True)


def print_cost(seed: int) -> None:
    sound = noisy(scene(seed, 10), "pink", 20)
    print("| detector | " + " | ".join(f"{calls} calls" for calls in _CALLS) + " |")
    print("|---|" + "---|" * len(_CALLS))
    for name in EngineName:
        engine = create(name)
        cells = " | ".join(f"{cost(engine, sound, calls):.1f} µs" for calls in _CALLS)
        print(f"| {name} ({engine.window // SAMPLES_PER_MS} ms) | {cells} |")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--utterances", type=int, default=80)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    print_boundaries(options.utterances, options.seed)
    print()
    print_cost(options.seed)


if __name__ == "__main__":
    main()
