"""Whether a ``.tflite`` file is the model that was trained: its ranges, its kernels, nothing of its own between them.

1. No FAKE_QUANT. From float to integers and back only at the file's ends, and at layers that stay in float; from one
   grid to another as often as the model has a value with two ranges.
2. Every range of the model is the grid of a tensor, scale and zero point; every tensor of integers has the grid of a
   range, or one that TFLite fixes.
3. Every kernel of the model is a constant of the file, number by number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from kerasbn.quantized.numbers import FIXED
from kerasbn_export.arrays import Array
from kerasbn_export.quantization.grids import grid
from kerasbn_export.quantization.tuned import Kernel, Tuned
from kerasbn_export.tflite.file import CONVERSIONS
from kerasbn_export.tflite.graph import LINEAR_OPS, TFLiteGraph
from kerasbn_export.tflite.quantization import Quantization

SAME = 1e-5
"""Scales may differ by so much of themselves: the file has them in float32."""


def disagreements(file: TFLiteGraph, tuned: Tuned) -> Iterator[str]:
    """What a file has otherwise than the tuned model, a sentence each."""
    yield from _conversions(file, tuned)
    given = _grids_of(file)
    fixed = [grid(*ends, tuned.bits) for ends in FIXED[tuned.bits].values()]
    for name, wanted in tuned.grids.items():
        if not any(_same(wanted, found) for found in given.values()):
            yield f"range {name!r} ({_described(wanted)}) is the grid of no tensor"
    known = [*tuned.grids.values(), *fixed]
    for name, found in given.items():
        if not any(_same(wanted, found) for wanted in known):
            yield f"tensor {name!r} has the grid {_described(found)}, which is no range of the model"
    constants = _kernels_of(file)
    for name, kernel in tuned.kernels.items():
        if not any(_holds(constant, kernel) for constant in constants):
            yield f"the kernel of {name!r} is none of the file's, number by number"


def _conversions(file: TFLiteGraph, tuned: Tuned) -> Iterator[str]:
    yield from ("it has the operation FAKE_QUANT" for op in file.operations if op.name == "FAKE_QUANT")
    ends = {*file.inputs, *file.outputs}
    inside = [op for op in file.operations if op.name in CONVERSIONS and not ends & {op.inputs[0], op.outputs[0]}]
    between = [op for op in inside if all(file.tensors[i].quantization for i in (op.inputs[0], op.outputs[0]))]
    if len(between) > tuned.converted:
        yield f"it goes {len(between)} times from one grid to another, the model {tuned.converted} times"
    if len(inside) > len(between) and not tuned.floats:
        yield "it goes to float and back inside, and no layer of the model stays in float"


def _grids_of(file: TFLiteGraph) -> dict[str, Quantization]:
    """The grid of every tensor that an operation computes, and of every input."""
    computed = {i for op in file.operations for i in op.outputs} | set(file.inputs)
    tensors = [file.tensors[i] for i in sorted(computed)]
    return {t.name: t.quantization for t in tensors if t.quantization is not None and t.dtype in ("int8", "int16")}


def _kernels_of(file: TFLiteGraph) -> list[Array]:
    """The kernel of every linear operation, sorted."""
    stored = [file.constant(i) for op in file.operations if op.name in LINEAR_OPS for i in op.inputs]
    return [np.sort(each.values, axis=None) for each in stored if each is not None and np.any(each.step)]


def _same(wanted: Quantization, found: Quantization) -> bool:
    return wanted.zero_point == found.zero_point and abs(wanted.scale - found.scale) <= SAME * wanted.scale


def _holds(constant: Array, kernel: Kernel) -> bool:
    """Whether a sorted constant has the numbers of a kernel: rounding to one grid keeps their order."""
    if constant.size != kernel.numbers.size:
        return False
    room = SAME * float(np.abs(kernel.numbers).max()) + kernel.room
    return bool(np.allclose(constant, np.sort(kernel.numbers, axis=None), rtol=1e-4, atol=room))


def _described(found: Quantization) -> str:
    return f"scale {found.scale:.4g}, zero point {found.zero_point}"


def listed(sentences: Iterable[str], most: int = 5) -> str:
    """The first of some sentences, and how many more there are."""
    all_of_them = list(sentences)
    rest = f"; and {len(all_of_them) - most} more" if len(all_of_them) > most else ""
    return "; ".join(all_of_them[:most]) + rest
