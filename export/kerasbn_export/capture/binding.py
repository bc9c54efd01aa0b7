"""How the inputs of a nested model meet what it is called on: order, dtype and mask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kerasbn_export.capture.symbolic import Event, is_symbolic, mask_of, origin
from kerasbn_export.capture.training import argument
from kerasbn_export.graph.model import Value
from kerasbn_export.graph.structure import leaves


def value_of(tensor: Any) -> Value:
    """The value that a symbolic tensor stands for."""
    shape = tensor.shape
    known = getattr(shape, "rank", len(shape) if isinstance(shape, tuple) else None) is not None
    dtype = tensor.dtype
    name = dtype if isinstance(dtype, str) else dtype.name
    return Value(tuple(shape) if known else None, name, mask_of(tensor) is not None)


def pairs(expected: Any, given: Any) -> Iterator[tuple[Any, Any]]:
    """Each input of a nested model with what the call gives it, as Keras binds them: a dict by its keys."""
    if isinstance(given, dict):
        for tensor_key, tensor in _keyed(expected):
            yield from zip(leaves(tensor), leaves(given[tensor_key]), strict=True)
    else:
        yield from zip(leaves(expected), leaves(given), strict=True)


def _keyed(expected: Any) -> list[tuple[str, Any]]:
    if isinstance(expected, dict):
        return list(expected.items())
    return [(origin(tensor).name, tensor) for tensor in leaves(expected)]


def casts_only_floats(expected: Any, given: Any) -> bool:
    """Whether binding casts, if anything, one floating dtype to another."""
    return all(
        value_of(tensor).dtype == value.dtype or ("float" in value_of(tensor).dtype and "float" in value.dtype)
        for tensor, value in pairs(expected, given)
        if is_symbolic(tensor)
    )


def casts(layer: Any) -> bool:
    """Whether a layer casts floating inputs to the dtype that it computes in."""
    return bool(getattr(layer, "autocast", getattr(layer, "_autocast", False)))


def takes_mask(event: Event) -> bool:
    """Whether a model is called with a mask as an argument, and not only on inputs that carry one."""
    return any(mask is not None for mask in leaves(argument(event, "mask")))


def is_masked(event: Event) -> bool:
    """Whether any tensor that a layer is called on carries a mask."""
    tensors = [tensor for tensor in leaves([list(event.args), event.kwargs]) if is_symbolic(tensor)]
    return any(mask_of(tensor) is not None for tensor in tensors)
