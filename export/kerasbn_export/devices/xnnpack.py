"""Which operations of a ``.tflite`` file XNNPACK takes, and which it leaves to TFLite's own kernels.

A lone operation in between cuts the file into parts, and each border costs: an int8 RELU that XNNPACK did not take was
measured at twenty times the cost of the convolution it could have been fused into.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Delegation:
    """What XNNPACK makes of a file.

    Attributes:
        parts: How many parts of the file it runs.
        left: The indices, in the main subgraph, of the operations that it does not.
    """

    parts: int
    left: tuple[int, ...]


def delegation(data: bytes) -> Delegation:
    """What the XNNPACK of ``ai-edge-litert`` takes, on this machine."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    ops = interpreter._get_ops_details()  # noqa: SLF001 - no public call lists what a delegate took
    parts = [op for op in ops if op["op_name"] == "DELEGATE"]
    own = [op for op in ops if op["op_name"] != "DELEGATE"]
    taken = {index for part in parts for index in _inside(part, own)}
    return Delegation(len(parts), tuple(op["index"] for op in own if op["index"] not in taken))


def _inside(part: dict[str, Any], ops: list[dict[str, Any]]) -> set[int]:
    """The operations that compute a part's outputs from its inputs."""
    makers = {int(tensor): op for op in ops for tensor in op["outputs"]}
    borders = {int(tensor) for tensor in part["inputs"]}
    pending, found = [int(tensor) for tensor in part["outputs"]], set[int]()
    while pending:
        tensor = pending.pop()
        op = makers.get(tensor)
        if tensor in borders or op is None or op["index"] in found:
            continue
        found.add(op["index"])
        pending.extend(int(given) for given in op["inputs"])
    return found
