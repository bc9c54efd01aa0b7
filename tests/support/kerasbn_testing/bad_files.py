"""Small networks with files of theirs, and what is done to a file so that it has one cause of a bad result."""

from __future__ import annotations

import json

import numpy as np

from kerasbn_export.conversion.provenance import KEY
from kerasbn_export.verification.faults.file import File


def plain(flavour, end=None, middle=None):
    """Convolutions with BatchNorms behind their activations, which the converter alone does not fold."""
    layers = flavour.keras.layers
    x = inputs = flavour.keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, activation="relu", name="first")(x)
    x = flavour.batch_normalization(name="first_bn")(x)
    x = layers.Conv2D(16, 3, activation="relu", name="second")(x)
    x = flavour.batch_normalization(name="second_bn")(x)
    x = middle(x) if middle else x
    return _ended(flavour, inputs, layers.GlobalAveragePooling2D()(x), end)


def separable(flavour, end=None, middle=None):
    """A depthwise convolution between two others, and a Dense over all places."""
    layers = flavour.keras.layers
    x = inputs = flavour.keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(6, 3, name="first")(x)
    x = layers.ReLU()(flavour.batch_normalization(name="first_bn")(x))
    x = layers.DepthwiseConv2D(3, activation="relu", name="depthwise")(x)
    x = flavour.batch_normalization(name="second_bn")(x)
    x = layers.Conv2D(24, 1, activation="relu", name="pointwise")(x)
    x = middle(x) if middle else x
    return _ended(flavour, inputs, layers.Flatten()(x), end)


def _ended(flavour, inputs, x, end):
    x = flavour.keras.layers.Dense(4, name="scores")(x)
    return flavour.keras.Model(inputs, flavour.keras.layers.Activation(end)(x) if end else x)


def images(rng, count=64):
    """Inputs from 0 to 1."""
    return rng.uniform(size=(count, 8, 8, 3)).astype("float32")


def make_uneven(model, times):
    """Let one channel of the first kernel be many times as large, once it is folded; the model computes the same."""
    norm, names = model.get_layer("first_bn"), [layer.name for layer in model.layers]
    if "depthwise" in names:  # the BatchNorm goes back into the first kernel, and ReLU lets a scale pass
        for weight in (norm.gamma, norm.beta):
            _multiply(weight, (0,), times)
        _multiply(model.get_layer("depthwise").weights[0], (..., 0, slice(None)), 1 / times)
    else:
        for weight in model.get_layer("first").weights:
            _multiply(weight, (..., 0), times)
        _multiply(norm.moving_mean, (0,), times)
        _multiply(norm.moving_variance, (0,), times**2)
    return model


def _multiply(weight, index, times):
    values = weight.numpy().copy()
    values[index] *= times
    weight.assign(values)


def with_record(content, **changes):
    """The file with another record; without any where nothing is said."""
    file = File(content)
    entry = next(each for each in file.model.metadata if each.name.decode() == KEY)
    buffer = file.model.buffers[entry.buffer]
    if changes:
        record = json.loads(bytes(buffer.data)) | changes
        buffer.data = np.frombuffer(json.dumps(record).encode(), np.uint8)
    else:
        file.model.metadata.remove(entry)
    return file.content()


def with_range(content, times):
    """The file with another range for an activation between linear operations, which count on with it."""
    file = File(content)
    ways = (_between(file, node.output) for node in file.linear())
    tensors, linear = next(way for way in ways if way is not None)
    for tensor in tensors:
        _rescale(tensor, times)
    for user in linear:
        file.store(user.bias, file.stored(user.bias) / times)
        _rescale(user.bias, times)
    return file.content()


MOVING = ("PAD", "RESHAPE", "EXPAND_DIMS", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND")
"""Operations that have one grid before and behind."""


def _between(file, tensor):
    """The tensors with one grid up to linear operations, and these; None if anything else takes one."""
    users = [node for node in file.nodes if tensor in node.inputs]
    tensors, linear = [tensor], [node for node in users if node.is_linear]
    for user in (node for node in users if not node.is_linear):
        way = _between(file, user.output) if user.kind in MOVING else None
        if way is None:
            return None
        tensors, linear = tensors + way[0], linear + way[1]
    return (tensors, linear) if users else None


def with_one_scale(content):
    """The file with one scale for each kernel, that of the largest channel."""
    file = File(content)
    for node in file.linear():
        for tensor in (node.kernel, node.bias):
            scales = np.array(tensor.quantization.scale, np.float64)
            shape = [1] * len(tensor.shape)
            shape[node.channel_axis if tensor is node.kernel else 0] = -1
            file.store(tensor, file.stored(tensor) * (scales / scales.max()).reshape(shape))
            tensor.quantization.scale, tensor.quantization.zeroPoint = [float(scales.max())], [0]
    return file.content()


def _rescale(tensor, times):
    tensor.quantization.scale = (np.array(tensor.quantization.scale, np.float64) * times).tolist()
