"""A model that gives what enters each of its BatchNorms, and what these remember of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn.errors import CalibrationError
from kerasbn_export.algebra.affine import Float64
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.ends import ModelInput
from kerasbn_export.folding.passes.unroll_time import unroll_time
from kerasbn_export.folding.rules.step import stock_activation
from kerasbn_export.graph import batchnorm
from kerasbn_export.graph.batchnorm import is_batchnorm, is_training
from kerasbn_export.graph.model import Call, Graph, Layer, Value
from kerasbn_export.graph.structure import leaves


@dataclass(frozen=True, eq=False)
class Target:
    """What one BatchNorm remembers.

    Attributes:
        outputs: Which outputs of the model are its inputs: one for each of its calls.
        reduced: The axes over which its statistics go.
        mean: The moving mean, of a shape that goes with its input.
        inverse: ``1 / sqrt(moving_variance + epsilon)``, likewise.
        deviation: ``sqrt(moving_variance / (moving_variance + epsilon))``, what the deviation of z is to be.
    """

    outputs: tuple[int, ...]
    reduced: tuple[int, ...]
    mean: Float64
    inverse: Float64
    deviation: Float64


@dataclass(frozen=True, eq=False)
class Observed:
    """A model with more outputs.

    Attributes:
        model: Gives the inputs of the BatchNorms, then the scores. It shares no variable with the model observed.
        targets: One for each BatchNorm.
        scores: The outputs that are scores of classes, each with its activation: linear, softmax or sigmoid.
    """

    model: Any
    targets: tuple[Target, ...]
    scores: tuple[tuple[int, str], ...]


def observe(model: Any, inputs: Sequence[ModelInput], samples: int) -> Observed:
    """The model with the inputs of its BatchNorms as outputs.

    Args:
        model: A model of either Keras.
        inputs: Its inputs.
        samples: The batch, where the model has a fixed one.

    Raises:
        CalibrationError: See `kerasbn_export.calibration.data_free.data_free_calibration`.
    """
    for wanted in inputs:
        _check_input(wanted)
    graph = capture(model)
    graph.retype("float32")
    unroll_time(graph)
    calls = _calls(graph, str(model.name))
    scores = [(value, kind) for value in leaves(graph.outputs) if (kind := _scores(value))]
    values = list(dict.fromkeys([call.inputs[0] for of in calls.values() for call in of] + [v for v, _ in scores]))
    graph.outputs, graph.output_names = values, [f"observed_{number}" for number in range(len(values))]
    graph.prune()
    fixed = any(value.shape and value.shape[0] is not None for value in leaves(graph.inputs))
    return Observed(
        emit(graph, dtype="float32", batch_size=samples if fixed else None),
        tuple(_target(layer, of, values) for layer, of in calls.items()),
        tuple((values.index(value), kind) for value, kind in scores),
    )


def _check_input(wanted: ModelInput) -> None:
    if "float" not in wanted.dtype:
        raise CalibrationError(
            f"Data-free calibration moves its samples by small steps, which whole numbers do not have; found {wanted}. "
            "Give samples of the real inputs."
        )
    if None in wanted.shape[1:]:
        raise CalibrationError(f"Data-free calibration needs inputs of a fixed shape; found {wanted}.")


def _calls(graph: Graph, name: str) -> dict[Layer, list[Call]]:
    """The calls of each BatchNorm that can be observed."""
    calls: dict[Layer, list[Call]] = {}
    for call in graph.in_order():
        if is_batchnorm(call.layer) and not is_training(call) and call.inputs[0].rank:
            calls.setdefault(call.layer, []).append(call)
    if not calls:
        raise CalibrationError(
            f"Data-free calibration needs BatchNorms, whose statistics describe the data; {name!r} has none that can "
            "be observed. Give samples of the real inputs."
        )
    if all(_untrained(layer) for layer in calls):
        raise CalibrationError(
            f"Every BatchNorm of {name!r} has the statistics that it was made with, mean 0 and variance 1: they "
            "describe no data. Train the model, or give samples of the real inputs."
        )
    return calls


def _untrained(layer: Layer) -> bool:
    weights = layer.weights
    return bool(np.all(weights["moving_mean"] == 0) and np.all(weights["moving_variance"] == 1))


def _target(layer: Layer, calls: Sequence[Call], values: Sequence[Value]) -> Target:
    batchnorm.affine(layer)  # refuses numbers that mean nothing
    rank = calls[0].inputs[0].rank or 0
    axes = batchnorm.axes(layer, rank)
    sizes = iter(layer.weights["moving_mean"].shape)
    shape = tuple(next(sizes) if axis in axes else 1 for axis in range(rank))
    mean, variance = (layer.weights[name].astype(np.float64) for name in ("moving_mean", "moving_variance"))
    whole = variance + float(layer.config["epsilon"])
    return Target(
        outputs=tuple(values.index(call.inputs[0]) for call in calls),
        reduced=tuple(axis for axis in range(rank) if axis not in axes),
        mean=mean.reshape(shape),
        inverse=(1 / np.sqrt(whole)).reshape(shape),
        deviation=np.sqrt(np.maximum(variance, 0) / whole).reshape(shape),
    )


def _scores(value: Value) -> str:
    """The activation behind which an output holds one score for each class; empty where it holds none."""
    call = value.producer
    if call is None or value.rank != 2 or (value.shape or (0,))[-1] in (None, 0) or "float" not in value.dtype:
        return ""
    if call.layer.kind == "Softmax":
        return "softmax"
    kind = stock_activation(call.layer) if call.layer.kind in ("Dense", "Activation") else None
    if kind == "linear" and call.layer.kind == "Activation":
        return _scores(call.inputs[0])
    several = (value.shape or (0,))[-1] != 1
    return kind if kind == "sigmoid" or (kind in ("linear", "softmax") and several) else ""
