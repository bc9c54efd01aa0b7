"""Faults in the integers, scales and zero points of a quantised file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.verification.faults.file import File, Node, of_file

COPYING = ("MAX_POOL_2D", "RESHAPE")
"""Operations that copy integers, whatever the scales of their tensors say."""


def _middle(nodes: list[Node]) -> Node | None:
    return nodes[len(nodes) // 2] if nodes else None


def _kernel(file: File, change: Callable[[Array, Node], Array]) -> Node | None:
    """Change the kernel of the middle one of the operations where that changes anything."""
    pairs = [(node, file.stored(node.kernel)) for node in file.linear()]
    node = _middle([node for node, old in pairs if np.any(change(old, node) != old)])
    if node:
        file.store(node.kernel, change(file.stored(node.kernel), node))
    return node


def _bias(file: File, change: Callable[[Array, Node], Array]) -> Node | None:
    """Change the bias of the middle one of the operations where that changes it by more than rounding would."""
    pairs = [(node, file.stored(node.bias)) for node in file.linear()]
    node = _middle([node for node, old in pairs if np.any(np.abs(change(old, node) - old) > _precision(old))])
    if node:
        file.store(node.bias, change(file.stored(node.bias), node))
    return node


def _precision(bias: Array) -> float:
    return max(2.0, 1e-4 * float(np.max(np.abs(bias), initial=0)))


def _scales(file: File, change: Callable[[Array], Array]) -> Node | None:
    """Change the scales of the kernel of the middle one of the operations that have one for each channel."""
    node = _middle([node for node in file.linear() if len(set(node.kernel.quantization.scale)) > 1])
    if node:
        node.kernel.quantization.scale = change(np.asarray(node.kernel.quantization.scale, np.float64)).tolist()
    return node


@of_file
def input_zero_point_off_by_one(file: File) -> Node | None:
    """The zero point of the input is one too large where it is multiplied into the bias."""

    def change(bias: Array, node: Node) -> Array:
        kernel = np.moveaxis(file.stored(node.kernel).astype(np.int64), node.channel_axis, 0)
        shifted: Array = bias + kernel.reshape(len(kernel), -1).sum(axis=1)
        return shifted

    return _bias(file, change)


@of_file
def zero_point_off_by_one(file: File) -> Node | None:
    """The zero point of what a pooling gives is one larger than that of what it takes, and nothing is converted."""
    node = _copying(file)
    if node:
        node.output.quantization.zeroPoint = [int(node.output.quantization.zeroPoint[0]) + 1]
    return node


@of_file
def requantisation_left_out(file: File) -> Node | None:
    """What a pooling gives has a scale of its own, 10 % larger than that of what it takes, and nothing is converted."""
    node = _copying(file)
    if node:
        node.output.quantization.scale = [1.1 * float(node.output.quantization.scale[0])]
    return node


def _copying(file: File) -> Node | None:
    """The last of the operations that copy what a pooling gives."""
    taken_by = {id(node.inputs[0]): node for node in file.nodes if node.kind in COPYING}
    node = _middle([node for node in file.nodes if node.kind == "MAX_POOL_2D"])
    while node and id(node.output) in taken_by:
        node = taken_by[id(node.output)]
    return node


@of_file
def one_channels_scale_off_by_a_percent(file: File) -> Node | None:
    """The scale of the output channel with the largest weights is 1 % too large."""
    return _scales(file, lambda scale: np.where(np.arange(scale.size) == scale.argmax(), 1.01, 1.0) * scale)


@of_file
def scales_off_by_one_channel(file: File) -> Node | None:
    """Output channel c has the scale of channel c - 1."""
    return _scales(file, lambda scale: np.roll(scale, 1))


@of_file
def first_scale_for_all_channels(file: File) -> Node | None:
    """A kernel with one scale for each channel is read as one with a single scale."""
    return _scales(file, lambda scale: np.full_like(scale, scale[0]))


@of_file
def quantised_bias_dropped(file: File) -> Node | None:
    """The bias is zero."""
    return _bias(file, lambda bias, _: np.zeros_like(bias))


@of_file
def bias_in_steps_of_the_kernel(file: File) -> Node | None:
    """The bias is divided by the scale of the kernel, where it is that of the kernel times that of the input."""
    return _bias(file, lambda bias, node: np.rint(bias * float(node.inputs[0].quantization.scale[0])))


@of_file
def bias_of_eight_bits(file: File) -> Node | None:
    """The bias is rounded to 8 bits, as the kernel is."""
    return _bias(file, lambda bias, _: _coarser(bias, int(np.max(np.abs(bias), initial=1)) / 127))


def _coarser(bias: Array, step: float) -> Array:
    rounded: Array = np.rint(np.rint(bias / step) * step)
    return rounded


@of_file
def bias_clipped_to_sixteen_bits(file: File) -> Node | None:
    """The bias is held in 16 bits, and what is larger is clipped."""
    return _bias(file, lambda bias, _: np.clip(bias, -(2**15), 2**15 - 1))


@of_file
def biases_off_by_one_channel(file: File) -> Node | None:
    """Output channel c has the bias of channel c - 1."""
    return _bias(file, lambda bias, _: np.roll(bias, 1))


@of_file
def lowest_bit_of_the_kernel_lost(file: File) -> Node | None:
    """The kernel has 7 bits."""
    return _kernel(file, lambda kernel, _: kernel & ~1)


@of_file
def kernel_wraps_around(file: File) -> Node | None:
    """The largest weights are rounded up past 127 and come out as -128."""
    return _kernel(file, lambda kernel, _: np.where(kernel == 127, -128, kernel))


@of_file
def kernel_read_as_unsigned(file: File) -> Node | None:
    """Weights of int8 are taken for uint8 with the zero point 128."""
    return _kernel(file, lambda kernel, _: kernel ^ -128)


@of_file
def kernel_turned_round(file: File) -> Node | None:
    """The kernel is stored the other way round along its inputs."""

    def change(kernel: Array, node: Node) -> Array:
        moved = np.moveaxis(kernel, node.channel_axis, 0)
        turned = moved.reshape(len(moved), -1)[:, ::-1].reshape(moved.shape)
        return np.moveaxis(turned, 0, node.channel_axis)

    return _kernel(file, change)


@of_file
def kernel_of_another_operation(file: File) -> Node | None:
    """The kernel is that of another operation of the same shape."""

    def change(kernel: Array, node: Node) -> Array:
        others = [file.stored(other.kernel) for other in file.linear() if other.kernel is not node.kernel]
        return next((other for other in others if other.shape == kernel.shape), kernel)

    return _kernel(file, change)


@of_file
def calibrated_on_too_little(file: File) -> Node | None:
    """The range of what an operation gives is an eighth of what it has to be: the rest is clipped."""
    copied = [id(node.inputs[0]) for node in file.nodes if node.kind in COPYING]
    node = _middle([node for node in file.linear() if id(node.output) not in copied])
    if node:
        node.output.quantization.scale = [float(node.output.quantization.scale[0]) / 8]
    return node


QUANTIZED = tuple(fault for fault in list(globals().values()) if type(fault).__name__ == "FileFault")
