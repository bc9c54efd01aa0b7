"""The steps of an unrolled recurrent layer in a file with grids, operation by operation.

An error in one step of many can be smaller than the noise of the layer. But each linear operation of a step has to
hold, within half a step of its grid, columns of the layer's kernel W or recurrent kernel U, and of the bias that goes
with it:

    W' = W[:, a:b],  b' = bias[a:b]          a and b: all gates, one, or several in a row

and what it gives has to be what these make of what it takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kerasbn.flavour import layers_inside
from kerasbn_export.algebra.affine import Affine
from kerasbn_export.arrays import Array
from kerasbn_export.graph.model import Call
from kerasbn_export.graph.recurrent_layers import CONVOLUTIONAL, KINDS
from kerasbn_export.tflite.graph import Operation, TFLiteGraph
from kerasbn_export.verification.layers.fit import squeezed
from kerasbn_export.verification.layers.forward import source_of
from kerasbn_export.verification.layers.localise import Localiser
from kerasbn_export.verification.layers.weights import Held, distance, held_by
from kerasbn_export.verification.records.layers import LayerComparison
from kerasbn_export.verification.records.measure import measure

DENSE = frozenset(KINDS).difference(CONVOLUTIONAL)
"""Layers whose cells multiply by matrices; of a ConvLSTM only the noise is judged."""
NOT_LINEAR = frozenset({"sigmoid", "tanh", "relu"})
"""Activations of which a converter folds nothing into the kernels, as it does with 0.2 x + 0.5 of a hard sigmoid."""
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


def by_steps(localiser: Localiser, file: TFLiteGraph, found: Found, *, own_data: bool) -> Found:
    """The same records, failed where a step of a recurrent layer is wrong.

    Args:
        localiser: What has found them.
        file: The candidate.
        found: The layers, settled.
        own_data: Whether the sample is the user's: what others clip proves nothing.
    """
    parts: dict[str, list[Part]] = {}
    for call in localiser.network.computing():  # the calls of one layer may have become layers of one name
        if _is_known(localiser, call):
            parts.setdefault(call.layer.path, []).extend(_parts(call.layer.weights, *_before(localiser, call)))
    steps = _Steps(localiser, file, own_data)
    worst = {path: steps.worst(path, its) for path, its in parts.items()}
    return [(call, _failed(record, worst.get(call.layer.path, 0.0))) for call, record in found]


def _is_known(localiser: Localiser, call: Call) -> bool:
    """Whether each step multiplies by the kernels as they are: a cell of the user's may scale what they give."""
    if call.layer.kind not in DENSE or not _activations(call.layer.config) <= NOT_LINEAR:
        return False
    return all(localiser.network.graph.flavour.stock_name(inner) for inner in layers_inside(call.layer.source))


def _activations(config: Any) -> set[str]:
    """The activations of a layer and of the cells in it."""
    if isinstance(config, (list, tuple)):
        return {name for entry in config for name in _activations(entry)}
    if not isinstance(config, dict):
        return set()
    own = {str(value) for key, value in config.items() if key in ("activation", "recurrent_activation")}
    return own.union(*map(_activations, config.values()))


def _failed(record: LayerComparison, error: float) -> LayerComparison:
    undecided = record.passed or (record.rounding is None and not record.moved)
    return replace(record, passed=False, rounding=error) if undecided and error > 1.0 else record


def _before(localiser: Localiser, call: Call) -> tuple[bool, Affine | None]:
    """Whether it is known what the file holds of the input, and the BatchNorms between that and the layer."""
    source, before = source_of(call, localiser.taken)
    return source in localiser.taken or source in localiser.network.inputs, before


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
        if kind == "" and before is not None:
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


@dataclass(frozen=True)
class _Steps:
    """The operations of a file that steps of recurrent layers are made of."""

    localiser: Localiser
    file: TFLiteGraph
    own_data: bool

    def worst(self, path: str, parts: Sequence[Part]) -> float:
        """How far the operations whose names tell of one layer alone are from right, as a part of what is allowed."""
        own = {tensor.index for tensor in self.localiser.tensors if tensor.layers == (path,)}
        operations = (o for o in self.file.operations if o.name == "FULLY_CONNECTED" and o.outputs[0] in own)
        return max((self._error(operation, parts) for operation in operations), default=0.0)

    def _error(self, operation: Operation, parts: Sequence[Part]) -> float:
        """The same for one operation; 0 where its kernel can be none of the parts."""
        held = held_by(self.file, operation)
        alike = [part for part in parts if held and squeezed(part.kernel.shape) == squeezed(held.kernel.values.shape)]
        if held is None or not alike:
            return 0.0
        weights = min(_of_weights(part, held) for part in alike)
        return max(weights, self._of_output(operation, held) if self.own_data else 0.0)

    def _of_output(self, operation: Operation, held: Held) -> float:
        """Above 1 where an operation gives other than ``x W + b``, by more than rounding and than noise may be."""
        tensors = {tensor.index: tensor for tensor in self.localiser.tensors}
        allowed = self.localiser.gate.min_sqnr
        if operation.activation != "NONE" or operation.inputs[0] not in tensors or allowed is None:
            return 0.0
        kernel = held.kernel.values
        x = tensors[operation.inputs[0]].load().reshape(-1, kernel.shape[0])
        right = x.astype(np.float64) @ kernel + (0.0 if held.bias is None else np.ravel(held.bias.values))
        given = tensors[operation.outputs[0]].load().reshape(right.shape)
        if float(np.max(np.abs(right - given))) <= ROUNDING * self.file.step(operation.outputs[0]):
            return 0.0
        return float(10.0 ** ((allowed - measure(right, given).sqnr_db) / 20.0))


def _of_weights(part: Part, held: Held) -> float:
    kernel = distance(part.kernel, held.kernel)
    return kernel if held.bias is None else max(kernel, min(distance(bias, held.bias) for bias in part.biases))
