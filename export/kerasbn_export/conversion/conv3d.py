"""What the converter leaves beside a convolution of three dimensions, taken into it.

    relu(conv(x, W) + b)   is one CONV_3D, which has a bias and an activation as CONV_2D has them

The converter has no pattern for CONV_3D and CONV_3D_TRANSPOSE. It gives them neither, so that a bias other than zero is
an ADD with the ReLU fused into it, and a ReLU without a bias a RELU. Both are taken in where the file is written.

Condition: the convolution computes in float and has neither yet; nothing else sees its result; the bias is one number
for each of its outputs, known before the convolution runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kerasbn_export.tflite.flatbuffer import op_name, schema

BIAS_SLOT = {"CONV_3D": 2, "CONV_3D_TRANSPOSE": 3}
"""Which input of the operation is the bias."""


def fuse_conv3d(model: Any) -> None:
    """Take the ADD and the RELU behind every convolution of three dimensions into it.

    Args:
        model: A ``.tflite`` file as an object; it is changed.
    """
    for number, graph in enumerate(model.subgraphs):
        for conv in list(graph.operators):
            if op_name(model, conv) in BIAS_SLOT and _is_float(graph, conv.outputs[0]):
                _take_bias(model, number, conv)
                _take_relu(model, number, conv)


def _take_bias(model: Any, number: int, conv: Any) -> None:
    """Let the ADD behind the convolution be its bias."""
    graph, slot = model.subgraphs[number], BIAS_SLOT[op_name(model, conv)]
    add = _sole_user(graph, conv.outputs[0])
    inputs = [*conv.inputs, -1][: slot + 1]
    if add is None or op_name(model, add) != "ADD" or inputs[slot] != -1 or not _is_plain(conv):
        return
    (bias,) = (index for index in add.inputs if index != conv.outputs[0])
    channels = graph.tensors[conv.outputs[0]].shape[-1]
    if _fits(graph.tensors[bias], channels) and bias in _known(model, graph, conv):
        conv.inputs = [*inputs[:slot], bias]
        _absorb(model, number, conv, add, add.builtinOptions.fusedActivationFunction)


def _take_relu(model: Any, number: int, conv: Any) -> None:
    """Let the RELU behind the convolution be its activation."""
    activation = schema().ActivationFunctionType
    relu = _sole_user(model.subgraphs[number], conv.outputs[0])
    functions = {"RELU": activation.RELU, "RELU6": activation.RELU6, "RELU_N1_TO_1": activation.RELU_N1_TO_1}
    if relu is not None and op_name(model, relu) in functions and _is_plain(conv):
        _absorb(model, number, conv, relu, functions[op_name(model, relu)])


def _absorb(model: Any, number: int, conv: Any, op: Any, activation: int) -> None:
    """Let the convolution give what the operation behind it gave; the tensor between them goes."""
    graph, between = model.subgraphs[number], conv.outputs[0]
    conv.builtinOptions.fusedActivationFunction = activation
    conv.outputs = list(op.outputs)
    graph.operators.remove(op)
    del graph.tensors[between]
    for other in graph.operators:
        for name in ("inputs", "outputs", "intermediates"):
            if getattr(other, name) is not None:
                setattr(other, name, [index - (index > between) for index in getattr(other, name)])
    graph.inputs, graph.outputs = ([i - (i > between) for i in ends] for ends in (graph.inputs, graph.outputs))
    for signature in model.signatureDefs or []:
        for end in [*signature.inputs, *signature.outputs] if signature.subgraphIndex == number else []:
            end.tensorIndex -= end.tensorIndex > between


def _sole_user(graph: Any, tensor: int) -> Any | None:
    """The one operation that takes the tensor, once, where nothing else sees it."""
    users = [op for op in graph.operators for index in op.inputs if index == tensor]
    return users[0] if len(users) == 1 and tensor not in graph.outputs else None


def _is_plain(conv: Any) -> bool:
    return bool(conv.builtinOptions.fusedActivationFunction == 0)


def _is_float(graph: Any, tensor: int) -> bool:
    return bool(graph.tensors[tensor].type == 0)


def _fits(bias: Any, channels: int) -> bool:
    """Whether the tensor is one number for each channel, along the last axis."""
    shape = [] if bias.shape is None else list(bias.shape)
    return bias.type == 0 and shape[-1:] == [channels] and all(size == 1 for size in shape[:-1])


def _known(model: Any, graph: Any, conv: Any) -> set[int]:
    """The tensors that are stored, or made of stored ones before the convolution runs."""
    stored = {index for index, tensor in enumerate(graph.tensors) if len(_stored(model, tensor)) > 0}
    return stored | set(_made(graph, conv, stored))


def _stored(model: Any, tensor: Any) -> Any:
    data = model.buffers[tensor.buffer].data
    return () if data is None else data


def _made(graph: Any, conv: Any, stored: set[int]) -> Iterator[int]:
    for op in graph.operators[: graph.operators.index(conv)]:
        if stored.issuperset(op.inputs):
            yield from op.outputs
