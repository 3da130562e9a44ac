"""Silero's 8 kHz network, laid out for batches of calls.

The official file holds two networks (8 and 16 kHz) behind an `If`, written for one call: four small
convolutions over four time steps, which the runtime carries out row by row. A convolution over four steps
is a plain matrix product with a banded matrix, and a matrix product over many calls is what processors do
best: the same weights give the same answers (to 1e-4, by a test) at a quarter of the CPU time. Only the LSTM
cell, a quarter of the work, must take a call's windows one after the other: it is a model of its own, and all
windows of a round go through the rest at once.

The network (snakers4/silero-vad, v5): spectrum of 4 frames of 128 samples, 64 apart → 4 convolutions with
ReLU (65→128→64→64→128 channels, kernel 3, strides 1 2 2 1, so 4→4→2→1→1 steps) → LSTM cell (128) → ReLU,
one neuron, sigmoid.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from batkol.audio import onnx_wire
from batkol.audio.onnx_wire import Array, Node

Weights = npt.NDArray[np.float32]

FRAME, HOP, FRAMES = 128, 64, 4
HIDDEN = 128
_BINS = FRAME // 2 + 1
_BRANCH = "If_0_else_branch__Inline_0__"  # the 8 kHz one: the condition is sr == 16000
_LAYERS = ((4, 4, 1), (4, 2, 2), (2, 1, 2), (1, 1, 1))  # (steps in, steps out, stride)


def encoder(official: bytes) -> bytes:
    """Return a model of all that looks at one window only: frames [4n, 128] → sums [n, 512], what the LSTM cell's
    gates make of the windows.

    `KeyError` if the file is not the model that this was written for (its digest is checked before).
    """
    named = _named(official)
    gates, bias = _gates(named)
    weights: dict[str, Array] = {**_spectrum(named), **_encoder(named), "gates": gates[:HIDDEN], "gates_bias": bias}
    return onnx_wire.model(
        [*_encoder_nodes(), ("Gemm", [f"layer{len(_LAYERS) - 1}", "gates", "gates_bias"], ["sums"], {})],
        weights,
        inputs={"frames": FRAME},
        outputs={"sums": 4 * HIDDEN},
    )


def cell(official: bytes) -> bytes:
    """Return a model of all that remembers: sums [n, 512], hidden and cell [n, 128] → probability, hidden, cell."""
    named = _named(official)
    gates, _ = _gates(named)
    return onnx_wire.model(
        _cell_nodes(),
        {**_cell(named), "gates": gates[HIDDEN:]},
        inputs={"sums": 4 * HIDDEN, "hidden": HIDDEN, "cell": HIDDEN},
        outputs={"probability": 1, "hidden_next": HIDDEN, "cell_next": HIDDEN},
    )


def _named(official: bytes) -> dict[str, Weights]:
    return {
        name.removeprefix(_BRANCH): value for name, value in onnx_wire.constants(official) if name.startswith(_BRANCH)
    }


def _spectrum(named: dict[str, Weights]) -> dict[str, Array]:
    basis = named["stft.forward_basis_buffer"][:, 0].T
    steps = np.array([-1, FRAMES * _BINS], dtype=np.int64)
    return {"cosine": basis[:, :_BINS], "sine": basis[:, _BINS:], "all_steps": steps}


def _encoder(named: dict[str, Weights]) -> dict[str, Array]:
    layers: dict[str, Array] = {}
    for index, (steps_in, steps_out, stride) in enumerate(_LAYERS):
        kernel = named[f"encoder.{index}.reparam_conv.weight"]
        bias = named[f"encoder.{index}.reparam_conv.bias"]
        layers[f"band{index}"] = _banded(kernel, steps_in, steps_out, stride)
        layers[f"bias{index}"] = np.tile(bias, steps_out)
    return layers


def _banded(kernel: Weights, steps_in: int, steps_out: int, stride: int) -> Weights:
    """Return the matrix that does what a convolution with padding 1 does to a row of `steps_in` time
    steps.
    """
    outputs, inputs, taps = kernel.shape
    band = np.zeros((steps_in, inputs, steps_out, outputs), dtype=np.float32)
    for out in range(steps_out):
        for tap in range(taps):
            step = out * stride + tap - 1
            if 0 <= step < steps_in:
                band[step, :, out] = kernel[:, :, tap].T
    return band.reshape(steps_in * inputs, steps_out * outputs)


def _gates(named: dict[str, Weights]) -> tuple[Weights, Weights]:
    """Return the gates as one matrix over [input, hidden], and their bias, in the order i f o g: one sigmoid for
    three.
    """
    gates = np.concatenate([named["decoder.rnn.weight_ih"], named["decoder.rnn.weight_hh"]], axis=1).T
    bias = named["decoder.rnn.bias_ih"] + named["decoder.rnn.bias_hh"]
    order = np.r_[0 : 2 * HIDDEN, 3 * HIDDEN : 4 * HIDDEN, 2 * HIDDEN : 3 * HIDDEN]  # PyTorch's order is i f g o
    return gates[:, order], bias[order]


def _cell(named: dict[str, Weights]) -> dict[str, Array]:
    return {
        "three_and_one": np.array([3 * HIDDEN, HIDDEN], dtype=np.int64),
        "one_each": np.array([HIDDEN] * 3, dtype=np.int64),
        "neuron": named["decoder.decoder.2.weight"].reshape(HIDDEN, 1),
        "neuron_bias": named["decoder.decoder.2.bias"],
    }


def _encoder_nodes() -> list[Node]:
    layers: list[Node] = []
    below = "spectrum"
    for index in range(len(_LAYERS)):
        layers.append(("Gemm", [below, f"band{index}", f"bias{index}"], [f"linear{index}"], {}))
        layers.append(("Relu", [f"linear{index}"], [f"layer{index}"], {}))
        below = f"layer{index}"
    return [
        ("MatMul", ["frames", "cosine"], ["real"], {}),
        ("MatMul", ["frames", "sine"], ["imaginary"], {}),
        ("Mul", ["real", "real"], ["real2"], {}),
        ("Mul", ["imaginary", "imaginary"], ["imaginary2"], {}),
        ("Add", ["real2", "imaginary2"], ["power"], {}),
        ("Sqrt", ["power"], ["magnitude"], {}),
        ("Reshape", ["magnitude", "all_steps"], ["spectrum"], {}),
        *layers,
    ]


def _cell_nodes() -> list[Node]:
    return [
        ("Gemm", ["hidden", "gates", "sums"], ["gate_sums"], {}),
        ("Split", ["gate_sums", "three_and_one"], ["ifo_sums", "g_sum"], {"axis": 1}),
        ("Sigmoid", ["ifo_sums"], ["ifo"], {}),
        ("Tanh", ["g_sum"], ["g"], {}),
        ("Split", ["ifo", "one_each"], ["i", "f", "o"], {"axis": 1}),
        ("Mul", ["f", "cell"], ["kept"], {}),
        ("Mul", ["i", "g"], ["added"], {}),
        ("Add", ["kept", "added"], ["cell_next"], {}),
        ("Tanh", ["cell_next"], ["cell_out"], {}),
        ("Mul", ["o", "cell_out"], ["hidden_next"], {}),
        ("Relu", ["hidden_next"], ["features"], {}),
        ("Gemm", ["features", "neuron", "neuron_bias"], ["logit"], {}),
        ("Sigmoid", ["logit"], ["probability"], {}),
    ]
