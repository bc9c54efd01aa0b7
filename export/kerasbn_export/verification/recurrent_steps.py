"""The steps of an unrolled recurrent layer in a file with grids, operation by operation.

An error in one step of many can be smaller than the noise of the layer. But each linear operation of a step has to hold,
within half a step of its grid, columns of the layer's kernel W or recurrent kernel U, and of the bias that goes with it:

    W' = W[:, a:b],  b' = bias[a:b]          a and b: all gates, one, or several in a row

and what it gives has to be what these make of what it takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kerasbn_export.affine import Affine
from kerasbn_export.graph import Call
from kerasbn_export.recurrent_layers import KINDS
from kerasbn_export.verification.fit import squeezed
from kerasbn_export.verification.forward import source_of
from kerasbn_export.verification.localise import Localiser
from kerasbn_export.verification.measure import measure
from kerasbn_export.verification.ports import Array
from kerasbn_export.verification.records import LayerComparison
from kerasbn_export.verification.tflite_graph import LINEAR_OPS, Operation, TFLiteGraph
from kerasbn_export.verification.weights import Held, distance, held_by

GATES = 4
"""Gates that a cell has at most."""
ROUNDING = 2.0
"""Steps of the output's grid that rounding explains: 1 was seen."""

Found = list[tuple[Call, LayerComparison]]


@dataclass(frozen=True)
class Part:
    """Some columns of a kernel, and the biases that may be added where it is multiplied."""

    kernel: Array
    biases: tuple[Array, ...]


def by_steps(localiser: Localiser, file: TFLiteGraph, found: Found) -> Found:
    """The same records, failed where a step of a recurrent layer is wrong.

    Args:
        localiser: What has found them.
        file: The candidate.
        found: The layers, settled.
    """
    return [(call, _judged(localiser, file, call, record)) for call, record in found]


def _judged(localiser: Localiser, file: TFLiteGraph, call: Call, record: LayerComparison) -> LayerComparison:
    if call.layer.kind not in KINDS or not record.passed:
        return record
    parts = list(_parts(call.layer.weights, *_before(localiser, call)))
    errors = [_error(localiser, file, operation, parts) for operation in _operations(localiser, file, call)]
    worst = max(errors, default=0.0)
    return replace(record, passed=False, rounding=worst) if worst > 1.0 else record


def _before(localiser: Localiser, call: Call) -> tuple[bool, Affine | None]:
    """Whether it is known what the file holds of the input, and the BatchNorms between that and the layer."""
    source, before = source_of(call, localiser.taken)
    return source in localiser.taken or source in localiser.network.inputs, before


def _operations(localiser: Localiser, file: TFLiteGraph, call: Call) -> Iterator[Operation]:
    """The linear operations whose names tell of the layer alone."""
    own = {tensor.index for tensor in localiser.tensors if tensor.layers == (call.layer.path,)}
    return (o for o in file.operations if o.name in LINEAR_OPS and o.outputs[0] in own)


def _parts(weights: Mapping[str, Array], known: bool, before: Affine | None) -> Iterator[Part]:
    """What an operation of a cell can hold, over all cells and gates; of W nothing where its input is not known."""
    for name, array in weights.items():
        cell, _, kind = name.rpartition("kernel")[0].rpartition("/") if name.endswith("kernel") else ("", "", None)
        if kind is None or (kind == "" and not known):
            continue
        prefix = f"{cell}/" if cell else ""
        kernel = np.asarray(array, np.float64)
        bias = np.asarray(weights.get(f"{prefix}bias", np.zeros(kernel.shape[-1])), np.float64)
        rows = np.atleast_2d(bias)
        if kind == "" and before is not None and kernel.ndim == 2:
            rows = rows + np.concatenate([(before.shift @ kernel)[None], np.zeros_like(rows[1:])])
            kernel = kernel * before.scale[:, None]
        yield from _columns(kernel, _biases(rows, recurrent=kind != ""))


def _biases(rows: Array, *, recurrent: bool) -> tuple[Array, ...]:
    """A GRU with ``reset_after`` has a bias for each of its kernels; at the first step they may be one."""
    if len(rows) > 1:
        return (rows[1],) if recurrent else (rows[0], rows.sum(axis=0))
    return (rows[0], np.zeros_like(rows[0])) if recurrent else (rows[0],)


def _columns(kernel: Array, biases: tuple[Array, ...]) -> Iterator[Part]:
    """All columns; those of one gate, or of several in a row."""
    size = kernel.shape[-1]
    yield Part(kernel, biases)
    for gates in range(2, GATES + 1) if size > 1 else ():
        width = size // gates
        cuts = range(0, size + 1, width) if width * gates == size else ()
        for a, b in ((a, b) for a in cuts for b in cuts if a < b and b - a < size):
            yield Part(kernel[..., a:b], tuple(bias[a:b] for bias in biases))


def _error(localiser: Localiser, file: TFLiteGraph, operation: Operation, parts: Sequence[Part]) -> float:
    """How far an operation is from right, as a part of what is allowed; 0 where its kernel can be none of the parts."""
    held = held_by(file, operation)
    alike = [part for part in parts if held and squeezed(part.kernel.shape) == squeezed(held.kernel.values.shape)]
    if held is None or not alike:
        return 0.0
    return max(min(_of_weights(part, held) for part in alike), _of_output(localiser, file, operation, held))


def _of_weights(part: Part, held: Held) -> float:
    kernel = distance(part.kernel, held.kernel)
    return kernel if held.bias is None else max(kernel, min(distance(bias, held.bias) for bias in part.biases))


def _of_output(localiser: Localiser, file: TFLiteGraph, operation: Operation, held: Held) -> float:
    """Above 1 where a Dense operation gives other than ``x W + b``, by more than rounding and than noise may be."""
    tensors = {tensor.index: tensor for tensor in localiser.tensors}
    if operation.name != "FULLY_CONNECTED" or operation.inputs[0] not in tensors or operation.activation != "NONE":
        return 0.0
    kernel = held.kernel.values
    x = tensors[operation.inputs[0]].load().reshape(-1, kernel.shape[0])
    right = x.astype(np.float64) @ kernel + (0.0 if held.bias is None else np.ravel(held.bias.values))
    found = tensors[operation.outputs[0]].load().reshape(right.shape)
    allowed = localiser.gate.min_sqnr
    if allowed is None or float(np.max(np.abs(right - found))) <= ROUNDING * file.step(operation.outputs[0]):
        return 0.0
    return float(10.0 ** ((allowed - measure(right, found).sqnr_db) / 20.0))
