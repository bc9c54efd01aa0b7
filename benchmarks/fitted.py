"""BatchNorm statistics that fit the signals of a model, as training leaves them.

What a file loses in int8 depends on how even the channels of its tensors are, and a BatchNorm makes them even where its
statistics are those of what enters it. With statistics out of the air it makes them uneven.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from block_models import samples

Numbers = Callable[[np.ndarray], dict[str, np.ndarray]]
"""From what enters a BatchNorm to the weights that it gets, by name."""


def fit_norms(model: Any, inputs: np.ndarray, numbers: Numbers) -> Any:
    """Gives every BatchNorm of a model weights for what reaches it of some inputs, one after the other.

    Args:
        model: Of either Keras; BatchNorms inside of other layers stay as they are.
        inputs: A batch for the one input.
        numbers: The weights.
    """
    norms = [layer for layer in model.layers if "BatchNorm" in type(layer).__name__]
    calls = [layer.call for layer in norms]
    for layer in norms:
        layer.call = _fitting(layer, numbers)
    model(inputs, training=False)
    for layer, call in zip(norms, calls, strict=True):
        layer.call = call
    return model


def _fitting(layer: Any, numbers: Numbers) -> Callable[..., Any]:
    """A call that first gives the layer weights for its inputs."""
    call = layer.call

    def fitted(inputs: Any, *args: Any, **options: Any) -> Any:
        for name, values in numbers(np.asarray(inputs)).items():
            if getattr(layer, name) is not None:
                getattr(layer, name).assign(values.astype("float32"))
        return call(inputs, *args, **options)

    return fitted


def fit_statistics(model: Any, seed: int = 3) -> Any:
    """The means and variances of a block's own signals; gammas and betas stay."""
    return fit_norms(model, samples(model, 32, seed=seed), _statistics)


def _statistics(values: np.ndarray) -> dict[str, np.ndarray]:
    axes = tuple(range(values.ndim - 1))
    return {"moving_mean": values.mean(axes), "moving_variance": values.var(axes)}


def signals(rng: np.random.Generator) -> Numbers:
    """The statistics of what a BatchNorm is given, and random gammas, a third of them below 0, and betas."""

    def numbers(values: np.ndarray) -> dict[str, np.ndarray]:
        axes, channels = tuple(range(values.ndim - 1)), values.shape[-1]
        return {
            "moving_mean": values.mean(axes),
            "moving_variance": values.var(axes) + 1e-3,
            "gamma": rng.choice([-1.0, 1.0, 1.0], channels) * rng.uniform(0.5, 1.5, channels),
            "beta": rng.normal(0.0, 0.5, channels),
        }

    return numbers
