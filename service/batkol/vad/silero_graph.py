"""Silero's 8 kHz network, laid out for batches of calls.

The official file holds two networks (8 and 16 kHz) behind an `If`, written for one window of one call: four small
convolutions over four time steps, which the runtime carries out row by row. A convolution is a plain matrix product
with what each of its steps sees laid side by side, and a matrix product over many windows is what processors do best:
the same weights give the same answers (to 1e-3, by a test) at a quarter of the CPU time. Only the LSTM cell must take
a call's windows one after the other; all windows go through the rest at once. It is one model from samples to
probabilities, because with ten calls Python between the products would cost as much as they do.

The network (snakers4/silero-vad, v5): spectrum of 4 frames of 128 samples, 64 apart → 4 convolutions with
ReLU (65→128→64→64→128 channels, kernel 3, padding 1, strides 1 2 2 1, so 4→4→2→1→1 steps) → LSTM cell (128) → ReLU,
one neuron, sigmoid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from batkol.vad import onnx_file
from batkol.vad.onnx_file import Array, Node

Weights = npt.NDArray[np.float32]

WINDOW: Final = 256
CONTEXT: Final = 32
"""Samples before a window that the network is given with it."""
HIDDEN: Final = 128
MEMORY: Final = 2 * HIDDEN
"""The network's memory of a call: the LSTM's hidden state, and its cell."""

FRAME, HOP, FRAMES = 128, 64, 4
_BINS = FRAME // 2 + 1
_BRANCH = "If_0_else_branch__Inline_0__"  # the 8 kHz one: the condition is sr == 16000
_LAYERS: Final = ((4, 1), (4, 2), (2, 2), (1, 1))  # (steps in, stride)

Part = tuple[list[Node], dict[str, Array]]


def network(official: bytes, windows: int) -> bytes:
    """Return a model that hears so many windows of each of n calls at once.

    audio [n, CONTEXT + windows * WINDOW], memory [n, MEMORY] → probabilities [n, windows], memory_next [n, MEMORY].

    `KeyError` if the file is not the model that this was written for (its digest is checked before).
    """
    named = {
        name.removeprefix(_BRANCH): value for name, value in onnx_file.constants(official) if name.startswith(_BRANCH)
    }
    nodes: list[Node] = []
    weights: dict[str, Array] = {}
    for part in (
        _spectrum(named, windows),
        *(_convolution(named, layer) for layer in range(len(_LAYERS))),
        _lstm(named, windows),
    ):
        nodes += part[0]
        weights |= part[1]
    return onnx_file.model(
        nodes,
        weights,
        inputs={"audio": CONTEXT + windows * WINDOW, "memory": MEMORY},
        outputs={"probabilities": windows, "memory_next": MEMORY},
    )


def _spectrum(named: Mapping[str, Weights], windows: int) -> Part:
    """From audio to `layer0`, each frame's spectrum. The last frame of a window ends in samples that are mirrored."""
    basis = named["stft.forward_basis_buffer"][:, 0].T
    per_window = WINDOW // CONTEXT
    weights: dict[str, Array] = {
        "contexts": np.array([-1, windows * per_window + 1, CONTEXT]),
        "contexts_of_windows": np.arange(per_window + 1) + per_window * np.arange(windows)[:, None],
        "a_window": np.array([-1, CONTEXT + WINDOW]),
        "last_but_one": np.array([-2]),
        "last_but_all": np.array([-2 - CONTEXT]),
        "along": np.array([1]),
        "backwards": np.array([-1]),
        "hops": np.array([-1, FRAMES + 1, HOP]),
        "hops_of_frames": np.array([[frame, frame + 1] for frame in range(FRAMES)]),
        "a_frame": np.array([-1, FRAME]),
        "cosine": basis[:, :_BINS],
        "sine": basis[:, _BINS:],
    }
    nodes: list[Node] = [
        ("Reshape", ["audio", "contexts"], ["in_contexts"], {}),
        ("Gather", ["in_contexts", "contexts_of_windows"], ["windows"], {"axis": 1}),
        ("Reshape", ["windows", "a_window"], ["window"], {}),
        ("Slice", ["window", "last_but_one", "last_but_all", "along", "backwards"], ["mirrored"], {}),
        ("Concat", ["window", "mirrored"], ["whole"], {"axis": 1}),
        ("Reshape", ["whole", "hops"], ["in_hops"], {}),
        ("Gather", ["in_hops", "hops_of_frames"], ["overlapping"], {"axis": 1}),
        ("Reshape", ["overlapping", "a_frame"], ["frames"], {}),
        ("MatMul", ["frames", "cosine"], ["real"], {}),
        ("MatMul", ["frames", "sine"], ["imaginary"], {}),
        ("Mul", ["real", "real"], ["real2"], {}),
        ("Mul", ["imaginary", "imaginary"], ["imaginary2"], {}),
        ("Add", ["real2", "imaginary2"], ["power"], {}),
        ("Sqrt", ["power"], ["layer0"], {}),
    ]
    return nodes, weights


def _convolution(named: Mapping[str, Weights], layer: int) -> Part:
    """From `layer<n>`, [.., channels] of steps that follow each other, to `layer<n + 1>`."""
    steps, stride = _LAYERS[layer]
    kernel = named[f"encoder.{layer}.reparam_conv.weight"].transpose(2, 1, 0)  # [tap, channel in, channel out]
    taps, channels, _ = kernel.shape
    firsts = range(-1, steps + 2 - taps, stride)  # the first step that each step of the output sees
    if len(firsts) == 1:  # it sees all there is, and the rest is padding
        kernel = kernel[1 : 1 + steps]
    weights: dict[str, Array] = {
        f"seen{layer}": np.array([-1, kernel.shape[0] * channels]),
        f"kernel{layer}": kernel.reshape(-1, kernel.shape[2]),
        f"bias{layer}": named[f"encoder.{layer}.reparam_conv.bias"],
    }
    below = f"layer{layer}"
    nodes: list[Node] = []
    if len(firsts) > 1:
        weights[f"steps{layer}"] = np.array([-1, steps, channels])
        weights[f"padding{layer}"] = np.array([0, 1, 0, 0, 1, 0])
        weights[f"views{layer}"] = np.array([[first + 1 + tap for tap in range(taps)] for first in firsts])
        nodes = [
            ("Reshape", [below, f"steps{layer}"], [f"in_steps{layer}"], {}),
            ("Pad", [f"in_steps{layer}", f"padding{layer}"], [f"padded{layer}"], {}),
            ("Gather", [f"padded{layer}", f"views{layer}"], [f"viewed{layer}"], {"axis": 1}),
        ]
        below = f"viewed{layer}"
    return [
        *nodes,
        ("Reshape", [below, f"seen{layer}"], [f"side_by_side{layer}"], {}),
        ("Gemm", [f"side_by_side{layer}", f"kernel{layer}", f"bias{layer}"], [f"linear{layer}"], {}),
        ("Relu", [f"linear{layer}"], [f"layer{layer + 1}"], {}),
    ], weights


def _lstm(named: Mapping[str, Weights], windows: int) -> Part:
    gates = np.concatenate([named["decoder.rnn.weight_ih"], named["decoder.rnn.weight_hh"]], axis=1).T
    bias = named["decoder.rnn.bias_ih"] + named["decoder.rnn.bias_hh"]
    # PyTorch's order is i f g o; i f o g takes one sigmoid for three
    order = np.r_[0 : 2 * HIDDEN, 3 * HIDDEN : 4 * HIDDEN, 2 * HIDDEN : 3 * HIDDEN]
    weights: dict[str, Array] = {
        "gates_of_window": gates[:HIDDEN, order],
        "gates_of_hidden": gates[HIDDEN:, order],
        "gates_bias": bias[order],
        "by_turns": np.array([-1, windows, 4 * HIDDEN]),
        "a_turn": np.array([-1, 4 * HIDDEN]),
        "one_each": np.array([-1, HIDDEN]),
        "by_calls": np.array([-1, windows]),
        "two": np.array([HIDDEN] * 2),
        "three_and_one": np.array([3 * HIDDEN, HIDDEN]),
        "three": np.array([HIDDEN] * 3),
        "neuron": named["decoder.decoder.2.weight"].reshape(HIDDEN, 1),
        "neuron_bias": named["decoder.decoder.2.bias"],
    }
    turns = range(windows)
    nodes: list[Node] = [
        ("Gemm", [f"layer{len(_LAYERS)}", "gates_of_window", "gates_bias"], ["sums"], {}),
        ("Reshape", ["sums", "by_turns"], ["turns"], {}),
        ("Split", ["turns"], [f"turn{turn}" for turn in turns], {"axis": 1}),
        ("Split", ["memory", "two"], ["hidden0", "cell0"], {"axis": 1}),
        *(node for turn in turns for node in _cell(turn)),
        ("Concat", [f"hidden{windows}", f"cell{windows}"], ["memory_next"], {"axis": 1}),
        ("Concat", [f"hidden{turn + 1}" for turn in turns], ["by_call"], {"axis": 1}),
        ("Reshape", ["by_call", "one_each"], ["hidden"], {}),
        ("Relu", ["hidden"], ["features"], {}),
        ("Gemm", ["features", "neuron", "neuron_bias"], ["logits"], {}),
        ("Reshape", ["logits", "by_calls"], ["logits_by_calls"], {}),
        ("Sigmoid", ["logits_by_calls"], ["probabilities"], {}),
    ]
    return nodes, weights


def _cell(turn: int) -> list[Node]:
    """From `hidden<n>` and `cell<n>`, by way of `turn<n>`, to `hidden<n + 1>` and `cell<n + 1>`."""

    def here(*names: str) -> list[str]:
        return [f"{name}{turn}" for name in names]

    cell, hidden = f"cell{turn + 1}", f"hidden{turn + 1}"
    return [
        ("Reshape", [f"turn{turn}", "a_turn"], here("sums"), {}),
        ("Gemm", [f"hidden{turn}", "gates_of_hidden", f"sums{turn}"], here("gates"), {}),
        ("Split", [f"gates{turn}", "three_and_one"], here("ifo_sums", "g_sum"), {"axis": 1}),
        ("Sigmoid", here("ifo_sums"), here("ifo"), {}),
        ("Tanh", here("g_sum"), here("g"), {}),
        ("Split", [f"ifo{turn}", "three"], here("i", "f", "o"), {"axis": 1}),
        ("Mul", here("f", "cell"), here("kept"), {}),
        ("Mul", here("i", "g"), here("added"), {}),
        ("Add", here("kept", "added"), [cell], {}),
        ("Tanh", [cell], here("squashed"), {}),
        ("Mul", here("o", "squashed"), [hidden], {}),
    ]
