"""The recording of the demo's call: one stereo WAV file, the caller left and what the caller heard right, in time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE
from batkol.audio.wav import wav_file
from batkol.errors import ConfigurationError
from batkol.paths import in_full, is_file, is_folder
from batkol.simulators.client.conversation import SpokenSound
from batkol.simulators.twilio.plan import CallReport


def check_writable(path: Path) -> None:
    """Raise `ConfigurationError` for a file that cannot be written, before anything is done for it."""
    folder = in_full(path).parent
    if is_folder(path):
        raise ConfigurationError(f"--listen {path} is a folder: name a file for the recording, such as call.wav.")
    if not is_folder(folder):
        raise ConfigurationError(f"--listen {path}: there is no folder {folder} to write it to.")
    if not os.access(path if is_file(path) else folder, os.W_OK):
        raise ConfigurationError(f"--listen {path} cannot be written by this user: name another file.")


def write(path: Path, report: CallReport, spoken: Sequence[SpokenSound]) -> float:
    """Write the recording, in 16 bits at 8000 Hz; return its seconds. Raises `ConfigurationError`."""
    both = _stereo(report, spoken)
    try:
        path.write_bytes(wav_file(both.astype("<i2").tobytes(), channels=2))
    except OSError as error:
        raise ConfigurationError(f"The recording was not written to {path}: {error.strerror}.") from error
    return len(both) / SAMPLE_RATE


def _stereo(report: CallReport, spoken: Sequence[SpokenSound]) -> mulaw.Pcm:
    """Return both sides side by side; a sample of the call is a sample of the recording."""
    left = [(sound.begins, mulaw.decode(sound.mulaw)) for sound in spoken]
    right = [
        (max(0, round((sound.begins_at - report.media_start) * SAMPLE_RATE)), mulaw.decode(bytes(sound.mulaw)))
        for sound in report.ear.sounds
    ]
    both = np.zeros((max((at + len(pcm) for at, pcm in (*left, *right)), default=0), 2), dtype=np.int16)
    for side, sounds in enumerate((left, right)):
        for at, pcm in sounds:
            both[at : at + len(pcm), side] = pcm
    return both
