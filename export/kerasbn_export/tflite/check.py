"""Whether what a ``.tflite`` file says of itself holds together, before anything follows it.

LiteRT looks at the bounds of a flatbuffer when it opens one. What is meant is looked at here: an index of a tensor that
there is not, an operation that takes what is computed after it, sizes that no memory holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from kerasbn_export.files.reading import check_memory

LARGEST_ITEM, COPIES = 8, 3
"""Bytes of a number at most, and how often a comparison holds a tensor at once."""


def check_model(model: Any) -> None:
    """Raises `ValueError` for the first thing that does not hold together.

    Args:
        model: The file as LiteRT's reader of flatbuffers gives it.
    """
    if not model.subgraphs:
        raise ValueError("it has no subgraph")
    for number, graph in enumerate(model.subgraphs):
        for tensor in graph.tensors or ():
            _check_tensor(tensor, len(model.buffers or ()))
        for fault in _faults(model, number, graph):
            raise ValueError(f"subgraph {number}: {fault}")
    for signature in model.signatureDefs or ():
        _check_signature(signature, model.subgraphs)
    for entry in model.metadata or ():
        _check_index(entry.buffer, len(model.buffers), "a buffer of its metadata")
    check_memory(COPIES * max(sum(map(_size, graph.tensors or ())) for graph in model.subgraphs))


def _check_index(index: int, count: int, what: str) -> None:
    if not 0 <= index < count:
        raise ValueError(f"{what} is number {index} of {count}")


def _check_tensor(tensor: Any, buffers: int) -> None:
    name = _text(tensor.name)
    _check_index(tensor.buffer, buffers, f"the buffer of tensor {name!r}")
    if any(size < 0 for size in _sizes(tensor.shape)) or any(size < -1 for size in _sizes(tensor.shapeSignature)):
        raise ValueError(f"tensor {name!r} has the shape {tuple(_sizes(tensor.shape))}")


def _sizes(shape: Any) -> list[int]:
    return [] if shape is None else [int(size) for size in shape]


def _size(tensor: Any) -> int:
    return math.prod(_sizes(tensor.shape)) * LARGEST_ITEM


def _text(name: bytes | str | None) -> str:
    """A name; `ValueError` where it is no text."""
    return name.decode() if isinstance(name, bytes) else name or ""


def _faults(model: Any, number: int, graph: Any) -> Iterator[str]:
    tensors, operators = graph.tensors or (), graph.operators or ()
    for index in chain(_indices(graph.inputs), _indices(graph.outputs)):
        if not 0 <= index < len(tensors):
            yield f"an input or output is tensor {index} of {len(tensors)}"
    for place, operator in enumerate(operators):
        taken, given = _indices(operator.inputs), _indices(operator.outputs)
        if not 0 <= operator.opcodeIndex < len(model.operatorCodes or ()):
            yield f"operation {place} is of kind {operator.opcodeIndex} of {len(model.operatorCodes or ())}"
        if not all(-1 <= index < len(tensors) for index in taken + given):
            yield f"operation {place} takes or gives a tensor that there is not"
        for body in _bodies(operator):
            if not 0 <= body < len(model.subgraphs) or body == number:
                yield f"operation {place} runs subgraph {body} of {len(model.subgraphs)}"
    yield from _out_of_order(operators, tensors)


def _indices(vector: Any) -> list[int]:
    return [] if vector is None else [int(index) for index in vector]


def _bodies(operator: Any) -> list[int]:
    options = vars(operator.builtinOptions) if operator.builtinOptions is not None else {}
    return [value for name, value in options.items() if name.lower().endswith("subgraphindex")]


def _out_of_order(operators: Sequence[Any], tensors: Sequence[Any]) -> Iterator[str]:
    """What is taken before it is computed: a circle, in the end."""
    later = {index: place for place, operator in enumerate(operators) for index in _indices(operator.outputs)}
    for place, operator in enumerate(operators):
        for index in _indices(operator.inputs):
            if index >= 0 and later.get(index, -1) >= place and not tensors[index].isVariable:
                yield f"operation {place} takes tensor {index}, which is computed at or after it"


def _check_signature(signature: Any, subgraphs: Sequence[Any]) -> None:
    name = _text(signature.signatureKey)
    _check_index(signature.subgraphIndex, len(subgraphs), f"the subgraph of signature {name!r}")
    count = len(subgraphs[signature.subgraphIndex].tensors or ())
    for end in chain(signature.inputs or (), signature.outputs or ()):
        _check_index(end.tensorIndex, count, f"the tensor of {_text(end.name)!r} in signature {name!r}")
