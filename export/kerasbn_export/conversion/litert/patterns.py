"""Activations that TFLite has and TensorFlow writes as several operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasbn_export.conversion.litert.nodes import Spelled, constant, number, operands, same, source


def gelu(operation: Any) -> Spelled | None:
    """``0.5 x erfc(-x / sqrt(2))``, or ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))``.

    Args:
        operation: A Mul.
    """
    for half, factor in _either_way(operation.inputs):
        for scale, taken in _either_way(operands(half, "Mul")):
            if number(scale) == 0.5:
                if _is_exact(factor, taken):
                    return Spelled("tfl.gelu", (taken,), {"approximate": "false"})
                if _is_approximate(factor, taken):
                    return Spelled("tfl.gelu", (taken,), {"approximate": "true"})
    return None


def prelu(operation: Any) -> Spelled | None:
    """``relu(x) + (-alpha) relu(-x)``.

    Args:
        operation: An AddV2.
    """
    for positive, negative in _either_way(operation.inputs):
        for taken in operands(positive, "Relu"):
            for slope, mirrored in _either_way(operands(negative, "Mul")):
                alpha = _negated(slope)
                if (
                    alpha is not None
                    and _is_negative_part(mirrored, taken)
                    and len(alpha.shape) == len(taken.shape) - 1
                ):
                    return Spelled("tfl.prelu", (taken, alpha))
    return None


def _is_exact(factor: Any, taken: Any) -> bool:
    return any(
        _is_close(scale, np.sqrt(0.5)) and _is_one(operands(mirrored, "Neg"), taken)
        for inside in operands(factor, "Erfc")
        for mirrored, scale in _either_way(operands(inside, "Mul"))
    )


def _is_approximate(factor: Any, taken: Any) -> bool:
    """Whether a factor is ``1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))``."""
    return any(
        number(one) == 1 and _is_close(scale, np.sqrt(2 / np.pi)) and same(x, taken) and _is_cube(cube, taken)
        for one, curve in _either_way(operands(factor, "AddV2"))
        for inside in operands(curve, "Tanh")
        for scale, polynomial in _either_way(operands(inside, "Mul"))
        for x, cube in _either_way(operands(polynomial, "AddV2"))
    )


def _is_cube(tensor: Any, taken: Any) -> bool:
    """Whether a term is ``0.044715 x^3``."""
    for scale, power in _either_way(operands(tensor, "Mul")):
        base, *exponent = operands(power, "Pow") or (None,)
        if _is_close(scale, 0.044715) and base is not None and same(base, taken) and number(exponent[0]) == 3:
            return True
    return False


def _negated(tensor: Any) -> Any:
    """The tensor or the array that another is the negative of; None where that is not known."""
    inner = operands(tensor, "Neg")
    if inner:
        return inner[0]
    value = constant(tensor)
    return None if value is None else -value


def _is_negative_part(tensor: Any, taken: Any) -> bool:
    return any(_is_one(operands(inside, "Neg"), taken) for inside in operands(tensor, "Relu"))


def _is_one(found: tuple[Any, ...], wanted: Any) -> bool:
    return len(found) == 1 and same(found[0], wanted)


def _is_close(tensor: Any, wanted: float) -> bool:
    value = number(tensor)
    return value is not None and bool(np.isclose(value, wanted, rtol=1e-6, atol=0))


def _either_way(pair: Any) -> Iterator[tuple[Any, Any]]:
    """Two operands in both orders."""
    if len(pair) == 2:
        first, second = map(source, pair)
        yield first, second
        yield second, first
