"""The layer's weights: their shapes and order, and the affine function that they are at inference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kerasbn.errors import InvalidArgumentError
from kerasbn.layout import Axis, Layout
from kerasbn.library import Library, Tensor

SIXTEEN_BITS = ("float16", "bfloat16")


class WeightsMixin:
    """The part of `BatchNormMixin` that makes and reads weights."""

    _library: ClassVar[Library]

    name: str
    axis: Axis
    momentum: float | None
    epsilon: float
    center: bool
    scale: bool
    renorm: bool
    renorm_clipping: dict[str, Any]
    virtual_batch_size: int | None
    moving_mean_initializer: Any
    moving_variance_initializer: Any
    built: bool
    variable_dtype: str
    add_weight: Callable[..., Any]

    def _known(self, input_shape: Any) -> tuple[int | None, ...]:
        try:
            return tuple(input_shape)
        except (TypeError, ValueError) as error:  # no inputs at all, and a shape of unknown rank
            raise InvalidArgumentError(
                f"BatchNormalization layer {self.name!r} got inputs of shape {input_shape}; it needs a tensor of known "
                f"rank as its inputs."
            ) from error

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights, in the stock layer's order."""
        self._layout = Layout.of(self.axis, self._known(input_shape), self.name)
        if self.virtual_batch_size is not None and 0 in self._layout.axes:
            raise InvalidArgumentError(
                f"BatchNormalization layer {self.name!r} has virtual_batch_size={self.virtual_batch_size} and axis "
                f"{self.axis}; ghost batches are parts of axis 0, so it can be no channel axis."
            )
        self.gamma = self._add("gamma", self._library.weight) if self.scale else None
        self.beta = self._add("beta", self._library.weight) if self.center else None
        self.moving_mean = self._add_average("moving_mean", self.moving_mean_initializer)
        self.moving_variance = self._add_average("moving_variance", self.moving_variance_initializer)
        if self.renorm:
            self.moving_stddev = self._add_average("moving_stddev", self._initial_stddev)
            self.renorm_mean = self._add_average("renorm_mean", self.moving_mean_initializer)
            self.renorm_stddev = self._add_average("renorm_stddev", self._initial_stddev)
        counts = self.momentum is None or any(callable(bound) for bound in self.renorm_clipping.values())
        self.batches = self._add_average("batches", "zeros", shape=()) if counts else None
        sizes = dict(zip(self._layout.axes, self._layout.sizes, strict=True))
        self.input_spec = self._library.keras.layers.InputSpec(ndim=self._layout.rank, axes=sizes)
        self.built = True

    def _add(self, name: str, arguments: dict[str, Any], **others: Any) -> Any:
        shape = self._layout.weight_shape
        if self.virtual_batch_size is not None and self._library.wide_ghost_weights:
            shape = (1, *self._layout.broadcast_shape)
        parts = {kind: getattr(self, f"{name}_{kind}", None) for kind in ("initializer", "regularizer", "constraint")}
        dtype = "float32" if self.variable_dtype in SIXTEEN_BITS else self.variable_dtype
        return self.add_weight(**{"name": name, "shape": shape, "dtype": dtype, **parts, **arguments, **others})

    def _add_average(self, name: str, initializer: Any, **others: Any) -> Any:
        return self._add(name, self._library.average, initializer=initializer, **others)

    def _initial_stddev(self, shape: Any, dtype: Any = None, **_: Any) -> Tensor:
        return self._library.ops.sqrt(self.moving_variance_initializer(shape, dtype=dtype))

    @property
    def averages(self) -> list[Any]:
        """The weights that training moves without gradients, in order."""
        renorm = [self.moving_stddev, self.renorm_mean, self.renorm_stddev] if self.renorm else []
        batches = [] if self.batches is None else [self.batches]
        return [self.moving_mean, self.moving_variance, *renorm, *batches]

    def affine(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What the layer computes at inference: ``y = scale * x + shift`` per channel.

        ``scale = gamma / sqrt(moving_variance + epsilon)``, ``shift = beta - moving_mean * scale``, in float64.

        Returns:
            scale and shift in the shape of the weights: ``(channels,)``, or for several axes the shape that
            broadcasts against the input.

        Raises:
            InvalidArgumentError: The layer is not built.
        """
        if not self.built:
            raise InvalidArgumentError(f"BatchNormalization layer {self.name!r} has no weights yet; build it first.")
        mean, variance = self._numpy(self.moving_mean), self._numpy(self.moving_variance)
        gamma = 1.0 if self.gamma is None else self._numpy(self.gamma)
        beta = 0.0 if self.beta is None else self._numpy(self.beta)
        scale = gamma / np.sqrt(variance + self.epsilon)
        return scale, beta - mean * scale

    def _numpy(self, weight: Any) -> NDArray[np.float64]:
        return np.asarray(weight.numpy(), np.float64).reshape(self._layout.weight_shape)
