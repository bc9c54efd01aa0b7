"""Every BatchNorm of a model: where it is, what its statistics say, and what folding does with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kerasbn_export.capture import capture
from kerasbn_export.folding.engine import fold_batchnorms
from kerasbn_export.folding.verdict import Verdict
from kerasbn_export.graph.batchnorm import affine, axes, is_batchnorm
from kerasbn_export.graph.model import Layer

Shape = tuple[int | None, ...] | None


@dataclass(frozen=True)
class BatchNormSummary:
    """One BatchNorm layer.

    Attributes:
        layer: Its name with the path of the nested models it sits in.
        class_name: Its class.
        input_shape: The shape of its first input, None for what is not known.
        axis: The axes it normalises, counted from the front.
        channels: How many numbers each of its weights has.
        epsilon: Added to the variance.
        gamma_min: The smallest gamma; 1 without scale. ``gamma_max`` likewise.
        zero_gammas: Channels with gamma 0: their output is beta.
        negative_gammas: Channels that turn the sign.
        variance_min: The smallest moving variance. ``variance_max`` likewise.
        mean_over_sigma_max: The largest |mean| / sqrt(variance + epsilon): from 1000 on, float32 loses digits.
        verdict: What folding does with it.
    """

    layer: str
    class_name: str
    input_shape: tuple[int | None, ...] | None
    axis: tuple[int, ...]
    channels: int
    epsilon: float
    gamma_min: float
    gamma_max: float
    zero_gammas: int
    negative_gammas: int
    variance_min: float
    variance_max: float
    mean_over_sigma_max: float
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        return {**asdict(self), "verdict": self.verdict.to_json()}


def inspect_model(model: Any) -> list[BatchNormSummary]:
    """Every BatchNorm of a model in the order of its calls; nothing is built.

    A BatchNorm inside a layer that stays closed has a verdict (see `kerasbn_export.folding.fold.plan`) but no summary.

    Args:
        model: A model of Keras 3 or tf_keras.

    Raises:
        UnsupportedModelError: The model cannot be read as a graph of layers.
        InvalidModelError: A BatchNorm holds numbers that mean nothing, as a NaN in its moving variance.
    """
    graph = capture(model)
    before: dict[str, tuple[Layer, Shape]] = {}
    for call in graph.in_order():
        if is_batchnorm(call.layer):
            before.setdefault(call.layer.path, (call.layer, call.inputs[0].shape))
    verdicts = {verdict.layer: verdict for verdict in fold_batchnorms(graph).verdicts()}
    return [_summary(layer, shape, verdicts[path]) for path, (layer, shape) in before.items()]


def _summary(layer: Layer, shape: Shape, verdict: Verdict) -> BatchNormSummary:
    weights = {name: np.asarray(array, np.float64) for name, array in layer.weights.items()}
    mean, variance = weights["moving_mean"], weights["moving_variance"]
    gamma = weights.get("gamma", np.ones_like(mean))
    epsilon = float(layer.config["epsilon"])
    affine(layer)  # refuses numbers that mean nothing
    return BatchNormSummary(
        layer=layer.path,
        class_name=type(layer.source).__name__,
        input_shape=shape,
        axis=axes(layer, len(shape)) if shape is not None else (),
        channels=int(mean.size),
        epsilon=epsilon,
        gamma_min=float(gamma.min()),
        gamma_max=float(gamma.max()),
        zero_gammas=int(np.sum(gamma == 0)),
        negative_gammas=int(np.sum(gamma < 0)),
        variance_min=float(variance.min()),
        variance_max=float(variance.max()),
        mean_over_sigma_max=float(np.max(np.abs(mean) / np.sqrt(variance + epsilon))),
        verdict=verdict,
    )
