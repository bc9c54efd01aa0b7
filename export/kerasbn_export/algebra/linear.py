"""Linear layers: where their kernel keeps its output and input channels.

A linear layer computes ``y = W x + b``. An affine after it folds in exactly:

    s*(W x + b) + t = (s*W) x + (s*b + t)

with s along the axis of W that numbers the output channels. This module knows that axis for every linear layer of
both Kerases, and does the arithmetic in float64. It knows no graph and imports no TensorFlow.

=====================  ======================  ==================================================
layer                  kernel                  output channel
=====================  ======================  ==================================================
Dense, Conv*           (..., in, out)          the last axis; with groups likewise
Conv*Transpose         (..., out, in)          the last axis but one
DepthwiseConv*         (..., in, multiplier)   the last two: channel = in*multiplier + m
SeparableConv*         pointwise (..., out)    the last axis of the pointwise kernel
EinsumDense            by its equation         the letters of the kernel that the output has too
=====================  ======================  ==================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kerasbn_export.algebra.affine import Affine

Array = npt.NDArray[Any]
Weights = Mapping[str, Array]

CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D")
TRANSPOSED = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")
SEPARABLE = ("SeparableConv1D", "SeparableConv2D")
LINEAR = ("Dense", "EinsumDense", *CONVOLUTIONS, *TRANSPOSED, *DEPTHWISE, *SEPARABLE)


@dataclass(frozen=True)
class Linear:
    """How one linear layer keeps its output channels, for an affine along given axes.

    Attributes:
        kernel: The name of the weight with the output channels.
        kernel_view: The shape that per-channel numbers take to multiply the kernel.
        bias_view: The shape that per-channel numbers take to multiply the bias, and to become one.
        options: The options under which the layer has that bias.
    """

    kernel: str
    kernel_view: tuple[int, ...]
    bias_view: tuple[int, ...]
    options: dict[str, Any]

    def fold_after(self, weights: Weights, affine: Affine) -> dict[str, Array]:
        """``W' = s*W``, ``b' = s*b + t``: the weights with an affine on the output folded in.

        Args:
            weights: Kernel and perhaps bias.
            affine: One entry for each output channel.
        """
        scale, shift = affine.scale.reshape(self.bias_view), affine.shift.reshape(self.bias_view)
        bias = weights["bias"].astype(np.float64) if "bias" in weights else np.zeros(self.bias_view)
        kernel = weights[self.kernel].astype(np.float64) * affine.scale.reshape(self.kernel_view)
        return {**weights, self.kernel: kernel, "bias": scale * bias + shift}


def kernel_name(kind: str | None, weights: Weights) -> str | None:
    """The weight with the output channels; None if the layer is not linear.

    A layer that was quantized or adapted (int8, LoRA) has weights under other names and is not taken for linear.
    """
    names = set(weights) - {"bias"}
    if kind in SEPARABLE:
        return "pointwise_kernel" if names == {"depthwise_kernel", "pointwise_kernel"} else None
    if kind in DEPTHWISE and names == {"depthwise_kernel"}:
        return "depthwise_kernel"
    return "kernel" if kind in LINEAR and names == {"kernel"} else None


def linear(
    kind: str | None, config: Mapping[str, Any], weights: Weights, rank: int, axes: tuple[int, ...]
) -> Linear | None:
    """How the layer takes in an affine on its output; None if the axes are not its output channels.

    Args:
        kind: The public name of its class, one for which `kernel_name` knows the kernel.
        config: Its configuration.
        weights: Its weights by name.
        rank: The rank of its output.
        axes: The axes of its output that the affine numbers, counted from the front.
    """
    if kind == "EinsumDense":
        return _einsum(str(config["equation"]), config["bias_axes"], weights, rank, axes)
    if axes != (output_axis(kind, config, rank),):
        return None
    name = kernel_name(kind, weights) or ""
    shape = weights[name].shape
    if kind in DEPTHWISE:
        return Linear(name, shape[-2:], (shape[-2] * shape[-1],), {"use_bias": True})
    if kind in TRANSPOSED:
        return Linear(name, (shape[-2], 1), (shape[-2],), {"use_bias": True})
    return Linear(name, (shape[-1],), (shape[-1],), {"use_bias": True})


def output_axis(kind: str | None, config: Mapping[str, Any], rank: int) -> int:
    """The channel axis of the layer's output, counted from the front; not for EinsumDense."""
    return 1 if kind != "Dense" and config["data_format"] == "channels_first" else rank - 1


def _einsum(equation: str, bias_axes: str | None, weights: Weights, rank: int, axes: tuple[int, ...]) -> Linear | None:
    """In ``abc,cde->abde`` the output channels are the letters d and e, which kernel and output share."""
    inputs, output = equation.replace(" ", "").split("->")
    if output.endswith("..."):
        return None
    letters, kernel_letters = output.removeprefix("..."), inputs.split(",")[1]
    offset = rank - len(letters)
    scaled = {letters[axis - offset] for axis in axes if axis >= offset}
    if len(scaled) != len(axes) or not scaled <= set(kernel_letters):
        return None
    sizes = dict(zip(kernel_letters, weights["kernel"].shape, strict=True))
    if [letter for letter in kernel_letters if letter in scaled] != [x for x in letters if x in scaled]:
        return None  # several channel axes, which the kernel keeps in another order
    biased = "".join(letter for letter in letters if letter in scaled | set(bias_axes or ""))
    view = tuple(sizes[x] if x in scaled else 1 for x in letters[letters.index(biased[0]) :])
    kernel_view = tuple(sizes[x] if x in scaled else 1 for x in kernel_letters)
    return Linear("kernel", kernel_view, view, {"bias_axes": biased})
