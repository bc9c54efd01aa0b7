"""Linear layers from the side of their input: what an affine before them becomes.

    W (s*x + t) + b = (W*s) x + (b + W t)

with s along the axis of W that numbers the input channels, and ``W t`` summed over every tap of the kernel. The
sum is the same at every output position only where no tap falls on padding: see `pads`. All in float64; no graph
and no TensorFlow here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn_export.algebra.affine import Float64
from kerasbn_export.algebra.linear import CONVOLUTIONS, DEPTHWISE, SEPARABLE, TRANSPOSED, Array, Weights

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Scaled:
    """What an affine before a linear layer makes of it.

    Attributes:
        weights: The new weights by name, the bias among them.
        options: The options under which the layer has that bias.
    """

    weights: dict[str, Array]
    options: dict[str, Any]


def fold_before(kind: str, config: Mapping[str, Any], weights: Weights, scale: Float64, shift: Float64) -> Scaled:
    """``W' = W*s`` on the input axis, ``b' = b + sum(t*W)`` over taps and input channels; not for EinsumDense.

    Args:
        kind: The public name of the layer's class.
        config: Its configuration.
        weights: Its weights by name.
        scale: One entry for each input channel.
        shift: Likewise; zero for transposed convolutions, whose outputs see different numbers of taps.
    """
    wide = {name: array.astype(np.float64) for name, array in weights.items()}
    if kind in SEPARABLE:
        changed, moved = _separable(wide, scale, shift)
    elif kind in DEPTHWISE:
        name = "kernel" if "kernel" in wide else "depthwise_kernel"
        changed = {name: wide[name] * scale[:, None]}
        moved = _taps(wide[name] * shift[:, None]).reshape(-1)
    elif kind in TRANSPOSED:
        changed, moved = {"kernel": wide["kernel"] * scale}, np.zeros(wide["kernel"].shape[-2])
    else:
        changed, moved = _grouped(wide["kernel"], int(config.get("groups", 1)), scale, shift)
    if not moved.any():
        return Scaled({**wide, **changed}, {})
    bias = wide.get("bias", np.zeros_like(moved)) + moved
    return Scaled({**wide, **changed, "bias": bias}, {"use_bias": True})


def _taps(kernel: Float64) -> Float64:
    """The sum over the spatial axes, which are all but the last two."""
    result: Float64 = kernel.sum(axis=tuple(range(kernel.ndim - 2)))
    return result


def _grouped(kernel: Float64, groups: int, scale: Float64, shift: Float64) -> tuple[dict[str, Array], Float64]:
    """Dense and convolutions: output channel o sees the input channels of its group only."""
    *taps, inputs, outputs = kernel.shape
    split = kernel.reshape(*taps, inputs, groups, outputs // groups)
    by_group = (groups, inputs)
    scaled = split * scale.reshape(by_group).T[:, :, None]
    moved = np.einsum("igo,gi->go", split.sum(axis=tuple(range(len(taps)))), shift.reshape(by_group))
    return {"kernel": scaled.reshape(kernel.shape)}, moved.reshape(-1)


def _separable(wide: dict[str, Float64], scale: Float64, shift: Float64) -> tuple[dict[str, Array], Float64]:
    depthwise, pointwise = wide["depthwise_kernel"], wide["pointwise_kernel"]
    moved = _taps(depthwise * shift[:, None]).reshape(-1) @ pointwise.reshape(pointwise.shape[-2:])
    return {"depthwise_kernel": depthwise * scale[:, None]}, moved


def einsum_takes(equation: str, axes: tuple[int, ...]) -> bool:
    """Whether an EinsumDense takes an affine before it in: in ``abc,cde->abde`` the input channels are the letter c.

    They are the letters of input and kernel that the output lacks, in the order in which the kernel has them.
    """
    sides, output = equation.replace(" ", "").split("->")
    inputs, letters = sides.split(",")
    if "..." in equation:
        return False
    scaled = "".join(inputs[axis] for axis in axes)
    return "".join(x for x in letters if x in scaled and x not in output) == scaled


def fold_before_einsum(
    equation: str, bias_axes: str | None, weights: Weights, axes: tuple[int, ...], scale: Float64, shift: Float64
) -> Scaled:
    """`fold_before` for an EinsumDense for which `einsum_takes` says yes."""
    sides, output = equation.replace(" ", "").split("->")
    inputs, letters = sides.split(",")
    scaled = "".join(inputs[axis] for axis in axes)
    kernel = weights["kernel"].astype(np.float64)
    sizes = dict(zip(letters, kernel.shape, strict=True))
    view = tuple(sizes[x] if x in scaled else 1 for x in letters)
    changed = {**weights, "kernel": kernel * scale.reshape(view)}
    if not shift.any():
        return Scaled(changed, {})
    channels = [x for x in output if x in letters]
    moved = np.einsum(f"{letters}->{''.join(channels)}", kernel * shift.reshape(view))
    biased = [x for x in output if x in channels or x in (bias_axes or "")]
    shape = tuple(sizes[x] if x in channels else 1 for x in output[output.index(biased[0]) :])
    bias = weights["bias"].astype(np.float64) if "bias" in weights else np.zeros(shape)
    return Scaled({**changed, "bias": bias + moved.reshape(shape)}, {"bias_axes": "".join(biased)})


def input_channels(kind: str, config: Mapping[str, Any], weights: Weights) -> int:
    """How many input channels the layer has; not for EinsumDense."""
    if kind in SEPARABLE:
        return int(weights["depthwise_kernel"].shape[-2])
    if kind in TRANSPOSED:
        return int(weights["kernel"].shape[-1])
    name = "kernel" if "kernel" in weights else "depthwise_kernel"
    return int(weights[name].shape[-2]) * int(config.get("groups", 1) if kind in CONVOLUTIONS else 1)


def input_ranges(kind: str | None, config: Mapping[str, Any], weights: Weights) -> Float64 | None:
    """``max|W|`` over all that one input channel is multiplied by, for each; None for layers of other kinds."""
    wide = {name: np.abs(array.astype(np.float64)) for name, array in weights.items() if name != "bias"}
    if kind in SEPARABLE or kind in DEPTHWISE:
        kernel = wide["kernel" if "kernel" in wide else "depthwise_kernel"]
        return _largest(kernel, kernel.ndim - 2)
    if kind in TRANSPOSED:
        return _largest(wide["kernel"], wide["kernel"].ndim - 1)
    if kind != "Dense" and kind not in CONVOLUTIONS:
        return None
    *taps, inputs, outputs = wide["kernel"].shape
    groups = int(config.get("groups", 1))
    split = wide["kernel"].reshape(*taps, inputs, groups, outputs // groups)
    ranges: Float64 = split.max(axis=(*range(len(taps)), split.ndim - 1)).T.reshape(-1)
    return ranges


def _largest(kernel: Float64, axis: int) -> Float64:
    result: Float64 = kernel.max(axis=tuple(other for other in range(kernel.ndim) if other != axis))
    return result


def pads(config: Mapping[str, Any], shape: Shape) -> bool:
    """Whether some tap of the layer's kernel falls on zero padding.

    ``same`` pads ``max((ceil(n/stride) - 1)*stride + dilation*(kernel - 1) + 1 - n, 0)`` zeros along an axis of size n;
    ``causal`` pads ``dilation*(kernel - 1)``. An axis of unknown size is taken to be padded where it can be.

    Args:
        config: The configuration of a convolution; a Dense has no ``padding`` and pads nothing.
        shape: The shape of its input.
    """
    padding = config.get("padding", "valid")
    if padding == "valid":
        return False
    sizes = shape[2:] if config["data_format"] == "channels_first" else shape[1:-1]
    options = (_each(config[key], len(sizes)) for key in ("kernel_size", "strides", "dilation_rate"))
    return any(_pads_axis(padding, *axis) for axis in zip(*options, sizes, strict=True))


def zeros_before(padding: str, kernel: int, stride: int, dilation: int, size: int) -> int:
    """How many zeros the layer pads before the first element of an axis: see `pads`; TensorFlow puts the odd one last.

    Args:
        padding: ``"valid"``, ``"same"`` or ``"causal"``.
        kernel: Taps along the axis.
        stride: Likewise.
        dilation: Likewise.
        size: Elements along the axis.
    """
    reach = dilation * (kernel - 1)
    if padding == "same":
        return max((-(-size // stride) - 1) * stride + reach + 1 - size, 0) // 2
    return reach if padding == "causal" else 0


def _pads_axis(padding: str, kernel: int, stride: int, dilation: int, size: int | None) -> bool:
    reach = dilation * (kernel - 1)
    if padding == "causal" or reach == 0 or size is None:
        return reach > 0
    return (-(-size // stride) - 1) * stride + reach + 1 > size


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)
