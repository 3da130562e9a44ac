"""Reads and writes the little of the ONNX file format that Silero needs.

An ONNX model is one protocol buffer (onnx/onnx.proto3; wire format:
protobuf.dev/programming-guides/encoding). The `onnx` package would do this too, at 70 MB for two functions,
and only to make what the runtime reads at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32] | npt.NDArray[np.int64]
Node = tuple[str, Sequence[str], Sequence[str], Mapping[str, int]]
"""Operator, inputs, outputs, integer attributes."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_FLOAT, _INT64 = 1, 7  # TensorProto.DataType
_ATTRIBUTE_INT = 2  # AttributeProto.AttributeType
_IR_VERSION, _OPSET = 8, 16  # what the official model declares; every runtime since 2022 reads it


def constants(model: bytes) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Yield name and value of every float constant of a serialized model, those of its branches included."""
    for graph in _sub(memoryview(model), 7):
        yield from _graph_constants(graph)


def _graph_constants(graph: memoryview) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    for node in _sub(graph, 1):
        for attribute in _sub(node, 5):
            for branch in _sub(attribute, 6):
                yield from _graph_constants(branch)
            for tensor in _sub(attribute, 5):
                if _FLOAT in _numbers(tensor, 2):
                    name = str(next(_sub(node, 2)), "utf-8")
                    yield name, _floats(tensor)


def _floats(tensor: memoryview) -> npt.NDArray[np.float32]:
    raw = b"".join((*_sub(tensor, 9), *_sub(tensor, 4)))  # raw_data, or float_data: the same bytes, packed
    return np.frombuffer(raw, dtype="<f4").reshape(list(_numbers(tensor, 1)))


def _sub(message: memoryview, number: int) -> Iterator[memoryview]:
    return (value for field, value in _fields(message) if field == number and isinstance(value, memoryview))


def _numbers(message: memoryview, number: int) -> Iterator[int]:
    for field, value in _fields(message):
        if field != number:
            continue
        if isinstance(value, int):
            yield value
        else:  # packed
            at = 0
            while at < len(value):
                item, at = _varint(value, at)
                yield item


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        match key & 7:
            case 0:
                value, at = _varint(message, at)
                yield key >> 3, value
                continue
            case 1:
                size = 8
            case 5:
                size = 4
            case 2:
                size, at = _varint(message, at)
            case kind:
                raise ValueError(f"wire type {kind} at byte {at}: the file is not a protocol buffer")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def model(
    nodes: Sequence[Node],
    weights: Mapping[str, Array],
    *,
    inputs: Mapping[str, int],
    outputs: Mapping[str, int],
) -> bytes:
    """Return a serialized model; `inputs` and `outputs` are float matrices [any, width] by name and width."""
    graph = b"".join(
        (
            *(_bytes(1, _node(*node)) for node in nodes),
            _bytes(2, b"silero"),
            *(_bytes(5, _tensor(name, weight)) for name, weight in weights.items()),
            *(_bytes(11, _matrix(name, width)) for name, width in inputs.items()),
            *(_bytes(12, _matrix(name, width)) for name, width in outputs.items()),
        )
    )
    return _number(1, _IR_VERSION) + _bytes(8, _number(2, _OPSET)) + _bytes(7, graph)


def _node(operator: str, takes: Sequence[str], gives: Sequence[str], attributes: Mapping[str, int]) -> bytes:
    return b"".join(
        (
            *(_bytes(1, name.encode()) for name in takes),
            *(_bytes(2, name.encode()) for name in gives),
            _bytes(4, operator.encode()),
            *(
                _bytes(5, _bytes(1, key.encode()) + _number(3, value) + _number(20, _ATTRIBUTE_INT))
                for key, value in attributes.items()
            ),
        )
    )


def _tensor(name: str, weight: Array) -> bytes:
    kind, wire = (_INT64, "<i8") if weight.dtype == np.int64 else (_FLOAT, "<f4")
    dims = b"".join(_number(1, size) for size in weight.shape)
    raw = np.ascontiguousarray(weight, dtype=wire).tobytes()
    return dims + _number(2, kind) + _bytes(8, name.encode()) + _bytes(9, raw)


def _matrix(name: str, width: int) -> bytes:
    shape = _bytes(1, _bytes(2, f"{name}_rows".encode())) + _bytes(1, _number(1, width))
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, _number(1, _FLOAT) + _bytes(2, shape)))


def _number(field: int, value: int) -> bytes:
    return _to_varint(field << 3 | _VARINT) + _to_varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _to_varint(field << 3 | _BYTES) + _to_varint(len(value)) + value


def _to_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
