"""What a ``.tflite`` file needs of memory: by its graph, and as the process that runs it sees it.

The activations are counted, not measured: ``max over operations of the bytes of all tensors alive``. A tensor is alive
from the operation that makes it to the last one that reads it; no plan of an arena can need less. The resident memory
is what loading and running the file once adds to a new process: weights, packed weights, activations, the interpreter's
own records. It comes in pages, and varies by some hundred kilobytes from run to run.
"""

from __future__ import annotations

import math
from pathlib import Path

from kerasbn.errors import ModelFileError
from kerasbn_export.child import crash_of, last_line, run_child
from kerasbn_export.tflite.file import Tensor, TFLiteFile

BYTES = {"FLOAT16": 2, "INT16": 2, "UINT16": 2, "INT8": 1, "UINT8": 1, "BOOL": 1, "INT64": 8, "FLOAT64": 8}
"""Of one element; all other types have 4."""

_CHILD = """
import resource, sys
import numpy as np
from kerasbn_export.tflite.interpreter import open_interpreter

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before = peak()
interpreter = open_interpreter(sys.argv[1], backend=sys.argv[2], threads=int(sys.argv[3]), delegate=sys.argv[4] or None)
interpreter.invoke()
print((peak() - before) * (1 if sys.platform == "darwin" else 1024))
"""


def activation_bytes(file: TFLiteFile) -> int:
    """The most bytes of activations alive at once in the main subgraph, at batch 1 where it is open."""
    ops = file.ops[: file.main_ops]
    end = len(ops)
    last = {tensor.name: index for index, op in enumerate(ops) for tensor in op.inputs if not tensor.constant}
    last.update({tensor.name: end for tensor in file.outputs})
    alive = {tensor.name: _size(tensor) for tensor in file.inputs}
    most = sum(alive.values())
    for index, op in enumerate(ops):
        alive.update({tensor.name: _size(tensor) for tensor in op.outputs if not tensor.constant})
        most = max(most, sum(alive.values()))
        alive = {name: size for name, size in alive.items() if last.get(name, -1) > index}
    return most


def resident_bytes(path: Path, *, backend: str = "xnnpack", threads: int = 1, delegate: str | None = None) -> int:
    """What loading a file and running it once adds to the peak memory of a new process.

    Raises:
        ModelFileError: LiteRT cannot run the file.
    """
    done = run_child("-c", _CHILD, str(path), backend, str(threads), delegate or "")
    if done.returncode:
        raise ModelFileError(f"{path}: LiteRT cannot run it: {crash_of(done) or last_line(done)}.")
    return int(done.stdout.split()[-1])


def _size(tensor: Tensor) -> int:
    return math.prod(max(1, size) for size in tensor.shape) * BYTES.get(tensor.dtype, 4)
