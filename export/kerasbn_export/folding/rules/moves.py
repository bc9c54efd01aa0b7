"""Rule 4, its general form: operations that only move, repeat or leave out elements, or put zeros between them.

    y[i] = x[p(i)]    or    y[i] = 0

so that ``s*x + t`` arrives as ``s[p(i)]*y[i] + t[p(i)]``. Where each element comes from, p, is read off the operation
itself: it is run on the numbers of the positions.

Condition: no sample takes an element of another; the sizes are known, or the answer is the same for two sizes in place
of each that is not; where there are zeros, ``t = 0``; backward, all places that one element arrives at want the same of
it, and the other outputs of the operation want nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from kerasbn_export.algebra.affine import Affine, Float64
from kerasbn_export.arrays import Array
from kerasbn_export.folding.rules.layout import LARGEST
from kerasbn_export.folding.rules.step import Push, Refusal, Step
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.model import Call, Graph, Value
from kerasbn_export.graph.operations import PREFIX
from kerasbn_export.graph.structure import leaves, map_leaves

KINDS = tuple(
    PREFIX + name
    for name in (
        *("array_split", "broadcast_to", "depth_to_space", "dsplit", "dstack", "expand_dims", "flip", "fliplr"),
        *("flipud", "get_item", "hsplit", "hstack", "image.flip_left_right", "image.flip_up_down", "image.rot90"),
        *("image.transpose", "moveaxis", "pad", "ravel", "rearrange", "repeat", "reshape", "roll", "rot90", "slice"),
        *("space_to_depth", "split", "squeeze", "stack", "swapaxes", "take", "tile", "transpose", "unstack", "vsplit"),
        "vstack",
    )
)

BATCH = 2
"""Samples that the operation is run on: with two it shows where one takes from another."""
OPEN_SIZES = (12, 17)
"""What stands for a size that is not known, once and once more: two with no common divisor."""
ZERO = -1
"""The position of an element that is a zero of the operation's own."""

ZEROS = Refusal(Reason.ZERO_PADDING, "A shift cannot pass an operation that puts zeros between the elements.")

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Origins:
    """Where each element of a sample comes from.

    Attributes:
        inputs: The shape of each input, in the order in which their elements are counted.
        outputs: For each output the positions that its elements come from, or `ZERO`.
    """

    inputs: dict[Value, tuple[int, ...]]
    outputs: dict[Value, Positions]

    def spread(self, push: Push) -> tuple[Float64, Float64]:
        """An affine on one of the inputs over all that is counted: the identity for the others."""
        shapes = self.inputs.items()
        parts = [_spread(push, shape) if value is push.value else _identity(shape) for value, shape in shapes]
        return np.concatenate([scale for scale, _ in parts]), np.concatenate([shift for _, shift in parts])


def backward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """On to the inputs of the operation."""
    if not _concerns(call):
        return None
    seen = [value for value in call.outputs if value is push.value or _is_seen(graph, value)]
    return _moved(call, push, [_to_inputs(origins, push, seen) for origins in _origins(call)])


def forward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """On to the outputs of the operation."""
    if not _concerns(call):
        return None
    seen = [value for value in call.outputs if _is_seen(graph, value)]
    return _moved(call, push, [_to_outputs(origins, push, seen) for origins in _origins(call)])


def only_moves(call: Call) -> bool:
    """Whether the call is of such an operation, with one output."""
    return _concerns(call) and len(call.outputs) == 1


def _concerns(call: Call) -> bool:
    return call.layer.kind in KINDS and all("float" in value.dtype for value in (*call.inputs, *call.outputs))


def _is_seen(graph: Graph, value: Value) -> bool:
    return bool(graph.users(value)) or graph.is_output(value)


def _moved(call: Call, push: Push, found: list[list[Push] | Refusal | None]) -> Step | Refusal:
    """The step that every size in place of an unknown one gives."""
    first, *others = found
    if isinstance(first, Refusal):
        return first
    if first is None or any(not isinstance(other, list) or not _same(first, other) for other in others):
        return Refusal(Reason.SHAPE, f"{_name(call)} moves elements by a size that is not known, or mixes samples.")
    changed = any(each.axes != push.axes or each.affine.scale.shape != push.affine.scale.shape for each in first)
    return Step("commute", call, onward=tuple(first), static_shape=changed)


def _to_outputs(origins: Origins | None, push: Push, seen: list[Value]) -> list[Push] | Refusal | None:
    if origins is None:
        return None
    scale, shift = origins.spread(push)
    onward = []
    for value in seen:
        positions = origins.outputs[value]
        zero = positions == ZERO
        if zero.any() and not push.affine.keeps_zero:
            return ZEROS
        low, high = np.where(zero, np.inf, scale[positions]), np.where(zero, -np.inf, scale[positions])
        moved = np.where(zero, 0.0, shift[positions])
        onward.append(_push(value, [low, -high, moved, -moved]))
    return [each for each in onward if each is not None]


def _to_inputs(origins: Origins | None, push: Push, seen: list[Value]) -> list[Push] | Refusal | None:
    """Each element of the inputs takes what the places that it arrives at want of it."""
    if origins is None:
        return None
    size = sum(map(prod, origins.inputs.values()))
    bounds = [np.full(size, np.inf) for _ in range(4)]
    for value in seen:
        positions = origins.outputs[value]
        wanted = _spread(push, positions.shape) if value is push.value else _identity(positions.shape)
        flat = positions.reshape(-1)
        if value is push.value and (flat == ZERO).any() and not push.affine.keeps_zero:
            return ZEROS
        for bound, numbers in zip(bounds, (wanted[0], -wanted[0], wanted[1], -wanted[1]), strict=True):
            np.minimum.at(bound, flat[flat != ZERO], numbers[flat != ZERO])
    onward, start = [], 0
    for value, shape in origins.inputs.items():
        end = start + prod(shape)
        onward.append(_push(value, [bound[start:end].reshape(shape) for bound in bounds]))
        start = end
    if any(each is None for each in onward):
        return Refusal(
            Reason.AXIS, f"{_name(push.value.producer)} takes elements to places that are scaled differently."
        )
    return [each for each in onward if each is not None]


def _push(value: Value, bounds: list[Float64]) -> Push | None:
    """The affine along the fewest axes; None where one element is asked for two things.

    Args:
        value: What it is on.
        bounds: The smallest scale asked of each element, the largest with its sign turned, and the shifts likewise:
            infinite where nothing is asked.
    """
    if not _agree(bounds):
        return None
    axes = []
    for axis in range(bounds[0].ndim):
        joined = [bound.min(axis, keepdims=True) for bound in bounds]
        if _agree(joined):
            bounds = joined
        else:
            axes.append(axis)
    scale, shift = (np.where(np.isfinite(bound), bound, free) for bound, free in ((bounds[0], 1.0), (bounds[2], 0.0)))
    if not axes:
        axes, size = [scale.ndim - 1], (value.shape or (1,))[-1] or 1
        scale, shift = (np.repeat(array, size, axis=-1) for array in (scale, shift))
    index = tuple(slice(None) if axis in axes else 0 for axis in range(scale.ndim))
    return Push(value, Affine(scale[index], shift[index]), tuple(axis + 1 for axis in axes))


def _agree(bounds: list[Float64]) -> bool:
    low, high, least, most = bounds
    return bool(np.all(-high <= low) and np.all(-most <= least))


def _spread(push: Push, shape: tuple[int, ...]) -> tuple[Float64, Float64]:
    """The scale and the shift of each element of a sample, flat."""
    view = [1] * len(shape)
    for axis, size in zip(push.axes, push.affine.scale.shape, strict=True):
        view[axis - 1] = size
    wide = [np.broadcast_to(array.reshape(view), shape).reshape(-1) for array in (push.affine.scale, push.affine.shift)]
    return wide[0], wide[1]


def _identity(shape: tuple[int, ...]) -> tuple[Float64, Float64]:
    return np.ones(prod(shape)), np.zeros(prod(shape))


def _same(one: list[Push], other: list[Push]) -> bool:
    return all(
        a.axes == b.axes
        and np.array_equal(a.affine.scale, b.affine.scale)
        and np.array_equal(a.affine.shift, b.affine.shift)
        for a, b in zip(one, other, strict=True)
    )


def _origins(call: Call) -> list[Origins | None]:
    """Where elements come from; for two sizes in place of each unknown one."""
    shapes = [value.shape for value in (*call.inputs, *call.outputs)]
    if any(shape is None or len(shape) < 2 for shape in shapes):
        return [None]
    is_open = any(None in (shape or ())[1:] for shape in shapes)
    return [_origins_for(call, size) for size in (OPEN_SIZES if is_open else OPEN_SIZES[:1])]


def _origins_for(call: Call, open_size: int) -> Origins | None:
    inputs = {value: tuple(size or open_size for size in (value.shape or ())[1:]) for value in call.inputs}
    size = sum(map(prod, inputs.values()))
    if size > LARGEST:
        return None
    first, second = (_run(call, _numbered(inputs, size, start)) for start in (1, 1 + BATCH * size))
    if first is None or second is None:
        return None
    outputs = {}
    for value, one, other in zip(call.outputs, first, second, strict=True):
        positions = _positions(one, other, size)
        if positions is None:
            return None
        outputs[value] = positions
    return Origins(inputs, outputs)


def _numbered(inputs: Mapping[Value, tuple[int, ...]], size: int, start: int) -> dict[Value, Array]:
    """Each input filled with the numbers of its positions, over all samples."""
    numbered = {}
    for value, shape in inputs.items():
        own = start + np.arange(prod(shape)).reshape(shape)
        numbered[value] = np.stack([own + sample * size for sample in range(BATCH)]).astype(np.int32)
        start += prod(shape)
    return numbered


def _run(call: Call, arrays: Mapping[Value, Array]) -> list[Positions] | None:
    args, kwargs = map_leaves(lambda leaf: arrays[leaf] if isinstance(leaf, Value) else leaf, (call.args, call.kwargs))
    try:
        return [np.asarray(output).astype(np.int64) for output in leaves(call.layer.source(*args, **kwargs))]
        # Keras and TensorFlow raise nearly every type where a size does not fit.
    except Exception:
        return None


def _positions(one: Positions, other: Positions, size: int) -> Positions | None:
    """The positions behind two runs on numbers that differ by what all are; None where something else was computed."""
    if not one.ndim or len(one) != BATCH:
        return None
    zero = (one == 0) & (other == 0)
    moved = other - one == BATCH * size
    own = np.arange(BATCH).reshape(-1, *[1] * (one.ndim - 1)) * size
    positions = np.where(zero, ZERO, one - 1 - own)
    inside = zero | (moved & (positions >= 0) & (positions < size))
    return positions[0] if inside.all() and (positions == positions[:1]).all() else None


def _name(call: Call | None) -> str:
    return "" if call is None else f"{call.layer.kind} {call.layer.path!r}"
