"""Rule 4, second part: layers that move elements and compute nothing.

    P(s*x + t) = P(s)*P(x) + P(t)

for Reshape, Flatten, Permute and RepeatVector, where P(s) is s spread over the shape of x and moved likewise.

Condition: the sizes that decide which element goes where are known, or the last axis stays the last.
"""

from __future__ import annotations

from math import prod

import numpy as np

from kerasbn_export.algebra.affine import Affine, Float64
from kerasbn_export.folding.rules.step import Push, Refusal, Step
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.model import Call, Graph, Value

LARGEST = 2**24
"""Elements up to which an affine is spread over a whole sample."""


def backward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """On to the layer's input."""
    del graph
    return _moved(call, push, call.inputs[0], forward_way=False) if _concerns(call) else None


def forward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """On to the layer's output."""
    del graph
    return _moved(call, push, call.output, forward_way=True) if _concerns(call) else None


def _concerns(call: Call) -> bool:
    return call.layer.kind in ("Reshape", "Flatten", "Permute", "RepeatVector")


def _moved(call: Call, push: Push, target: Value, *, forward_way: bool) -> Step | Refusal:
    kind, config = call.layer.kind, call.layer.config
    if kind == "Permute":
        return Step("commute", call, onward=(_permuted(push, target, config["dims"], forward_way),))
    if kind == "RepeatVector":
        return _repeated(call, push, target, forward_way)
    if kind == "Flatten" and config.get("data_format") == "channels_first" and (call.inputs[0].rank or 0) > 2:
        return Refusal(Reason.SHAPE, f"Flatten {call.layer.path!r} with channels_first transposes before it flattens.")
    return _reshaped(call, push, target)


def _permuted(push: Push, target: Value, dims: tuple[int, ...], forward_way: bool) -> Push:
    """Axis ``dims[i]`` of the input is axis ``i + 1`` of the output."""
    to_input = {i + 1: int(axis) for i, axis in enumerate(dims)}
    move = {axis: i for i, axis in to_input.items()} if forward_way else to_input
    moved = [move[axis] for axis in push.axes]
    order = np.argsort(moved)
    affine = Affine(push.affine.scale.transpose(order), push.affine.shift.transpose(order))
    return Push(target, affine, tuple(sorted(moved)))


def _repeated(call: Call, push: Push, target: Value, forward_way: bool) -> Step | Refusal:
    """(batch, channel) becomes (batch, time, channel)."""
    if push.axes != ((1,) if forward_way else (2,)):
        return Refusal(Reason.AXIS, f"RepeatVector {call.layer.path!r} makes the axis that the affine runs along.")
    return Step("commute", call, onward=(Push(target, push.affine, (2,) if forward_way else (1,)),))


def _reshaped(call: Call, push: Push, target: Value) -> Step | Refusal:
    old, new = push.value.shape, target.shape
    if old is None or new is None:
        return _unknown(call)
    last = len(old) - 1
    if push.axes == (last,) and old[last] == new[-1] and old[last] is not None and len(new) > 1:
        return Step("commute", call, onward=(Push(target, push.affine, (len(new) - 1,)),))
    sizes, shape = _known(old), _known(new)
    if sizes is None or shape is None or prod(sizes) > LARGEST:
        return _unknown(call)
    scale, shift = (_spread(array, push.axes, sizes).reshape(shape) for array in (push.affine.scale, push.affine.shift))
    axes = [axis for axis in range(len(shape)) if _varies(scale, axis) or _varies(shift, axis)] or [len(shape) - 1]
    affine = Affine(_along(scale, axes), _along(shift, axes))
    return Step("commute", call, onward=(Push(target, affine, tuple(a + 1 for a in axes)),), static_shape=True)


def _known(shape: tuple[int | None, ...]) -> tuple[int, ...] | None:
    """The sizes behind the batch axis, None if one is not known."""
    sizes = [size for size in shape[1:] if size is not None]
    return tuple(sizes) if len(sizes) == len(shape) - 1 else None


def _spread(array: Float64, axes: tuple[int, ...], sizes: tuple[int, ...]) -> Float64:
    """The numbers of an affine, spread over a sample of the sizes."""
    shape = [1] * len(sizes)
    for axis, size in zip(axes, array.shape, strict=True):
        shape[axis - 1] = size
    return np.broadcast_to(array.reshape(shape), sizes)


def _varies(array: Float64, axis: int) -> bool:
    return not np.array_equal(array, np.broadcast_to(array.take([0], axis), array.shape))


def _along(array: Float64, axes: list[int]) -> Float64:
    """The numbers along the axes, at the first place of all others, where they are constant."""
    index = tuple(slice(None) if axis in axes else 0 for axis in range(array.ndim))
    result: Float64 = array[index]
    return result


def _unknown(call: Call) -> Refusal:
    return Refusal(
        Reason.SHAPE, f"{call.layer.kind} {call.layer.path!r} moves the channels by a size that is not known."
    )
