"""Which layers are BatchNorms, and what they compute at inference."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from kerasbn.errors import InvalidModelError
from kerasbn.flavour import Flavour, layers_inside
from kerasbn_export.algebra.affine import Affine, batchnorm_affine
from kerasbn_export.arrays import Array
from kerasbn_export.graph.model import Call, Layer, Value
from kerasbn_export.graph.operations import operation_kind
from kerasbn_export.graph.registry import registered_kind

KINDS = ("BatchNormalization", "BatchNormalizationV1", "SyncBatchNormalization")


def layer_kind(flavour: Flavour, layer: Any) -> str | None:
    """The public name of the layer's class where it is exactly a stock layer or kerasbn's own, else None.

    For an operation see `kerasbn_export.graph.operations.operation_kind`.
    """
    module = type(layer).__module__
    if module == f"kerasbn.{flavour.name}" and type(layer) is flavour.batch_normalization:
        return "BatchNormalization"
    operation = operation_kind(layer)
    if operation is not None:
        return operation
    return registered_kind(layer) or (None if _has_a_false_name(flavour, layer) else flavour.stock_name(layer))


def _has_a_false_name(flavour: Flavour, layer: Any) -> bool:
    """Whether a function inside is not the activation of Keras whose name it has: configurations say only the name."""
    functions = [value for value in vars(layer).values() if inspect.isfunction(value)]
    return any(
        getattr(flavour.keras.activations, function.__name__, function) is not function
        and not (function.__module__ or "").startswith(("keras.", "tf_keras.", "tensorflow."))
        for function in functions
    )


def inner_batchnorms(flavour: Flavour, layer: Any) -> list[Any]:
    """The BatchNorm layers that a layer holds inside."""
    found = [inner for inner in layers_inside(layer) if layer_kind(flavour, inner) in KINDS]
    return list({id(inner): inner for inner in found}.values())


def is_subclass_of_batchnorm(layer: Any) -> bool:
    """Whether a layer's class is derived from a BatchNorm: it may compute something else."""
    return any(base.__name__ in KINDS for base in type(layer).__mro__[1:])


def is_batchnorm(layer: Any) -> bool:
    """Whether a `Layer` is a BatchNorm, stock or kerasbn's own."""
    return isinstance(layer, Layer) and layer.kind in KINDS


def is_training(call: Call) -> bool:
    """Whether a BatchNorm is called so that it normalises with the statistics of the batch."""
    flag = call.kwargs.get("training", call.args[1] if len(call.args) > 1 else None)
    if isinstance(flag, Value):
        return True  # known at run time only
    return bool(flag) and bool(call.layer.source.trainable)


def axes(layer: Layer, rank: int) -> tuple[int, ...]:
    """The axes that a BatchNorm normalises, counted from the front."""
    axis = layer.config["axis"]
    listed = [axis] if isinstance(axis, int) else list(axis)
    return tuple(sorted(int(a) % rank for a in listed))


def affine(layer: Layer) -> Affine:
    """What a BatchNorm computes at inference: ``s*x + t``, one entry for each channel.

    Raises:
        InvalidModelError: A weight is not finite, or a variance so negative that the square root is not real.
    """
    weights = layer.weights
    for name, values in weights.items():
        _check(layer, name, values, np.isfinite(values), "is not a finite number")
    variance, epsilon = weights["moving_variance"], float(layer.config["epsilon"])
    positive = np.asarray(variance, np.float64) + epsilon > 0
    _check(layer, "moving_variance", variance, positive, f"plus epsilon {epsilon:g} is not positive")
    along = {name: array.reshape(_sizes(layer, array)) for name, array in weights.items()}
    mean, variance = along["moving_mean"], along["moving_variance"]
    return batchnorm_affine(along.get("gamma"), along.get("beta"), mean, variance, epsilon)


def _sizes(layer: Layer, array: Array) -> tuple[int, ...]:
    """The shape along the axes alone: for several axes there are ones for all others, and with ghosts one more."""
    if array.ndim < 2 or isinstance(layer.config["axis"], int) or len(layer.config["axis"]) == 1:
        return (array.size,)
    front = 1 if _has_ghosts(layer.source) else 0
    rank = array.ndim - front
    return tuple(array.shape[axis + front] for axis in axes(layer, rank))


def _has_ghosts(source: Any) -> bool:
    """Whether it is the layer of tf_keras with ghost batches, which counts its axes one too high once it is built."""
    return type(source).__module__.startswith("tf_keras.") and getattr(source, "virtual_batch_size", None) is not None


def true_config(source: Any) -> dict[str, Any] | None:
    """The configuration of a built layer with its axes counted in its input; None where its own says that."""
    if not _has_ghosts(source):
        return None
    config = dict(source.get_config())
    return {**config, "axis": [axis - 1 for axis in config["axis"]]}


def _check(layer: Layer, name: str, values: Array, good: Array, complaint: str) -> None:
    if not np.all(good):
        channel = tuple(int(i) for i in np.argwhere(~good)[0])
        raise InvalidModelError(
            f"BatchNormalization {layer.path!r}: {name} of channel {', '.join(map(str, channel))} is "
            f"{float(values[channel])!r}, which {complaint}. {int(np.sum(~good))} of {good.size} channels are so. "
            "The model is broken or was never trained to the end; restore good weights before folding it."
        )
