"""Calls in which clips are said one after another, with other sound beside them at a known ratio."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from support.speech.clip import Clip, Signal, rms, to_pcm

Span = tuple[int, int]
Noise = Callable[[np.random.Generator, int], Signal]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A call's sound, and the samples [begin, end) of each clip that is heard in it."""

    sound: Signal
    spans: tuple[Span, ...]

    @property
    def mulaw(self) -> bytes:
        """The call as a phone line carries it."""
        return mulaw.encode(to_pcm(self.sound))

    @property
    def level(self) -> float:
        """RMS of what is said, without the pauses."""
        return rms(np.concatenate([self.sound[start:end] for start, end in self.spans]))

    def beside(self, other: Signal, snr: float) -> Scene:
        """Add sound of the same length, `snr` dB quieter than what is said."""
        return Scene(self.sound + other * (self.level / 10 ** (snr / 20) / rms(other)), self.spans)

    def in_noise(self, noise: Noise, snr: float) -> Scene:
        """Add noise, `snr` dB quieter than what is said; the same noise each time."""
        return self.beside(noise(np.random.default_rng(7), len(self.sound)), snr)


def scene(clips: Iterable[Clip], draw: np.random.Generator, pause_ms: tuple[float, float]) -> Scene:
    """Say clips one after another: 2 s of silence first, and a pause between two numbers of ms after each."""
    said, at = [], 2 * SAMPLE_RATE
    for clip in clips:
        said.append((at - clip.begin, clip))
        at += clip.end - clip.begin + int(draw.uniform(*pause_ms)) * SAMPLES_PER_MS
    sound = np.zeros(at)
    for start, clip in said:
        sound[start : start + len(clip.pcm)] += clip.pcm[: at - start]
    return Scene(sound, tuple((start + clip.begin, start + clip.end) for start, clip in said))


def white(draw: np.random.Generator, samples: int) -> Signal:
    """Noise that is equally loud at all frequencies."""
    return draw.normal(0, 1, samples)


def pink(draw: np.random.Generator, samples: int) -> Signal:
    """Noise with 3 dB less in each octave: nearer to rooms and streets than white."""
    spectrum = np.fft.rfft(draw.normal(0, 1, samples))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    coloured = np.fft.irfft(spectrum, samples)
    return np.asarray(coloured / coloured.std())
