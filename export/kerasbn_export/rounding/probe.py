"""A file that stops at some of its tensors and gives them out, to run layer by layer.

Kernels as fast as the user's are used, and nothing is kept but what is asked for.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from kerasbn_export.arrays import Array
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.tflite.flatbuffer import parse, schema, serialize
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner


def probed(content: bytes, tensors: Sequence[int]) -> bytes:
    """The file with these tensors as its outputs, without the operations behind the last of them.

    Args:
        content: The file.
        tensors: Of its first subgraph.
    """
    model = parse(content)
    graph = model.subgraphs[0]
    last = max((at for at, op in enumerate(graph.operators) if set(map(int, op.outputs)) & set(tensors)), default=-1)
    graph.operators = graph.operators[: last + 1]
    graph.outputs = list(tensors)
    for signature in model.signatureDefs or ():
        signature.outputs = [_port(f"tensor_{index}", index) for index in tensors]
    return serialize(model)


def batches(content: bytes, tensors: Sequence[int], samples: Calibration) -> Iterator[list[Array]]:
    """The real values of some tensors for each batch of the file, as many samples as there are.

    Args:
        content: The file.
        tensors: Of its first subgraph: inputs of the file, or what an operation gives.
        samples: What it is run on.
    """
    runner = TFLiteRunner(content, "the file", "builtin")
    ends = {int(index) for index in parse(content).subgraphs[0].inputs}
    inner = [index for index in dict.fromkeys(tensors) if index not in ends]
    probe = TFLiteRunner(probed(content, inner), "the file, cut short", "xnnpack") if inner else runner
    names = [port.name for port in runner.inputs]
    size = runner.inputs[0].shape[0] or 1
    for batch in samples.batches(size):
        by_name = dict(zip(samples.names or names, batch, strict=True))
        arrays = [by_name[name] for name in names]
        stored = runner.stored(arrays, size)
        found = dict(zip(inner, probe.first_batch(inner, arrays, keep=False), strict=True)) if inner else {}
        yield [found[index] if index in found else runner.restore(index, stored[index]) for index in tensors]


def _port(name: str, index: int) -> Any:
    port = copy.copy(schema().TensorMapT())
    port.name, port.tensorIndex = name.encode(), index
    return port
