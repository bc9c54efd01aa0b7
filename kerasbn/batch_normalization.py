"""The layer itself: all of it but its Keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kerasbn import options
from kerasbn.averages import moved, unbiased
from kerasbn.errors import InvalidArgumentError, UnsupportedFeatureError
from kerasbn.layout import Axis, Layout
from kerasbn.library import Library, Tensor
from kerasbn.moments import expanded
from kerasbn.normalization import Normalization

SIXTEEN_BITS = ("float16", "bfloat16")
SERIALIZED = (
    ("beta", "initializer"), ("gamma", "initializer"),
    ("moving_mean", "initializer"), ("moving_variance", "initializer"),
    ("beta", "regularizer"), ("gamma", "regularizer"),
    ("beta", "constraint"), ("gamma", "constraint"),
)  # fmt: skip
OPTIONS = (
    "axis", "momentum", "epsilon", "center", "scale", "renorm", "renorm_clipping", "renorm_momentum",
    "fused", "virtual_batch_size", "synchronized", "unbiased_variance",
)  # fmt: skip


class BatchNormMixin:
    """Batch normalization over any channel axes, in either Kerases' `Layer`.

    In training, with the mean and the population variance of the batch over all axes but the channel axes::

        y = gamma * (x - mean) / sqrt(variance + epsilon) + beta
        moving_mean     <- momentum * moving_mean     + (1 - momentum) * mean
        moving_variance <- momentum * moving_variance + (1 - momentum) * variance

    At inference the moving averages take the place of the batch's statistics. A layer with
    ``trainable = False`` is at inference always: it neither uses nor averages statistics of a batch.

    The variance that is averaged is the population's, ``sum (x - mean)² / m``, or the unbiased one,
    ``sum (x - mean)² / (m - 1)``, as the paper has it. Unless ``unbiased_variance`` says which, it is the one
    that the stock layer of the same Keras averages: the population's in Keras 3; in tf_keras the unbiased one
    where its kernel is fused (ranks 4 and 5, ``fused`` not False), else the population's.

    Averages do not move for a batch without elements, or one whose mask leaves none. A batch of one element
    has variance 0, unbiased or not.

    Args:
        axis: The channel axis, or a list of channel axes (statistics for each combination of their indices).
        momentum: Share of the old value that a moving average keeps.
        epsilon: Added to the variance.
        center: Whether there is a beta.
        scale: Whether there is a gamma.
        beta_initializer: Initializer of beta; and so on for the other weights.
        gamma_initializer: See above.
        moving_mean_initializer: See above.
        moving_variance_initializer: See above.
        beta_regularizer: Regularizer of beta.
        gamma_regularizer: Regularizer of gamma.
        beta_constraint: Constraint of beta.
        gamma_constraint: Constraint of gamma.
        renorm: Batch Renormalization; not implemented yet.
        renorm_clipping: Bounds of the renorm correction.
        renorm_momentum: Momentum of the averages that renorm corrects with.
        fused: False computes with plain operations only. None and True use the fused kernel wherever it
            exists, which is TensorFlow with 16-bit and 32-bit floats, any rank.
        virtual_batch_size: Size of ghost batches; not implemented yet.
        adjustment: Random adjustment in training; not implemented yet.
        synchronized: Whether the statistics are taken over all replicas of a `tf.distribute` strategy.
        unbiased_variance: Which variance ``moving_variance`` averages; None: as the stock layer.
        **kwargs: Of the base layer: ``name``, ``dtype``, ``trainable``.

    Call arguments:
        inputs: A tensor of rank 1 or more.
        training: None, a bool or a scalar tensor.
        mask: True where an element counts towards the statistics, with the shape of the inputs without their
            last axis.

    Input and output have the same shape; the output has the layer's compute dtype. Statistics and weights of
    16-bit layers are float32.

    Raises:
        InvalidArgumentError: An argument has a value that is not accepted.
        UnsupportedFeatureError: An option that is not implemented.

    References:
        Ioffe and Szegedy, 2015, "Batch Normalization" (arXiv:1502.03167), algorithms 1 and 2.
    """

    _library: ClassVar[Library]

    name: str
    trainable: bool
    built: bool
    compute_dtype: str
    variable_dtype: str
    add_weight: Callable[..., Any]

    def __init__(
        self,
        axis: Axis = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        *,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        fused: bool | None = None,
        virtual_batch_size: int | None = None,
        adjustment: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None,
        synchronized: bool = False,
        unbiased_variance: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        keras = self._library.keras
        self.axis = options.checked_axis(axis)
        self.momentum = options.checked_fraction("momentum", momentum)
        self.epsilon = options.checked_epsilon(epsilon)
        self.center = bool(center)
        self.scale = bool(scale)
        self.beta_initializer = keras.initializers.get(beta_initializer)
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.moving_mean_initializer = keras.initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = keras.initializers.get(moving_variance_initializer)
        self.beta_regularizer = keras.regularizers.get(beta_regularizer)
        self.gamma_regularizer = keras.regularizers.get(gamma_regularizer)
        self.beta_constraint = keras.constraints.get(beta_constraint)
        self.gamma_constraint = keras.constraints.get(gamma_constraint)
        self.renorm = bool(renorm)
        self.renorm_clipping = options.checked_clipping(renorm_clipping)
        self.renorm_momentum = options.checked_fraction("renorm_momentum", renorm_momentum)
        self.fused = fused
        self.virtual_batch_size = virtual_batch_size
        self.adjustment = adjustment
        self.synchronized = bool(synchronized)
        self.unbiased_variance = unbiased_variance
        self.supports_masking = True
        for option in ("renorm", "virtual_batch_size", "adjustment"):
            if getattr(self, option):
                raise UnsupportedFeatureError(
                    f"BatchNormalization got {option}={getattr(self, option)!r}, which kerasbn does not implement "
                    f"yet; leave it out."
                )

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights, in the stock layer's order."""
        self._layout = Layout.of(self.axis, tuple(input_shape), self.name)
        self.gamma = self._add("gamma", self._library.weight) if self.scale else None
        self.beta = self._add("beta", self._library.weight) if self.center else None
        self.moving_mean = self._add("moving_mean", self._library.average)
        self.moving_variance = self._add("moving_variance", self._library.average)
        sizes = dict(zip(self._layout.axes, self._layout.sizes, strict=True))
        self.input_spec = self._library.keras.layers.InputSpec(ndim=self._layout.rank, axes=sizes)
        self.built = True

    def _add(self, name: str, arguments: dict[str, Any]) -> Any:
        return self.add_weight(
            name=name,
            shape=self._layout.weight_shape,
            dtype="float32" if self.variable_dtype in SIXTEEN_BITS else self.variable_dtype,
            initializer=getattr(self, f"{name}_initializer"),
            regularizer=getattr(self, f"{name}_regularizer", None),
            constraint=getattr(self, f"{name}_constraint", None),
            **arguments,
        )

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Sequence[int | None]:
        """The input's shape."""
        return input_shape

    def call(self, inputs: Tensor, training: Any = None, mask: Tensor | None = None) -> Tensor:
        """Normalizes with the batch's statistics in training, with the moving averages otherwise."""
        ops, x = self._library.ops, self._library.ops.cast(inputs, self.compute_dtype)
        if training is None or not self.trainable or (_is_static(training) and not training):
            return self._infer(x)
        mask = None if mask is None else expanded(ops, self._checked_mask(mask, x), x, self._layout)
        averages = [self.moving_mean, self.moving_variance]
        if _is_static(training):
            y, values = self._train(x, mask)
        else:
            y, values = ops.cond(
                ops.cast(training, "bool"),
                lambda: self._train(x, mask),
                lambda: (self._infer(x), [ops.cast(average, average.dtype) for average in averages]),
            )
        for average, value in zip(averages, values, strict=True):
            average.assign(value)
        return y

    def _infer(self, x: Tensor) -> Tensor:
        return self._normalization().inference(x, self.gamma, self.beta, self.moving_mean, self.moving_variance)

    def _train(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """Outputs, and the values that the moving averages take."""
        all_sum = self._library.all_sum if self.synchronized else None
        y, batch = self._normalization().training(x, self.gamma, self.beta, mask, all_sum)
        variance = unbiased(self._library.ops, batch) if self._averages_unbiased() else batch.variance
        values = (self.moving_mean, batch.mean), (self.moving_variance, variance)
        return y, [moved(self._library.ops, average, value, self.momentum, batch.count) for average, value in values]

    def _normalization(self) -> Normalization:
        kernel = self._library.kernel
        if kernel is not None and (self.fused is False or not kernel.accepts(self._layout, self.compute_dtype)):
            kernel = None
        dtype = "float64" if "float64" in (self.compute_dtype, self.variable_dtype) else "float32"
        return Normalization(self._library.ops, kernel, self._layout, self.epsilon, dtype)

    def _averages_unbiased(self) -> bool:
        if self.unbiased_variance is not None:
            return self.unbiased_variance
        plain_in_stock = self.fused is False or self.synchronized or self.compute_dtype == "float64"
        return not plain_in_stock and (self._layout.rank, *self._layout.axes) in self._library.unbiased_in_stock

    def _checked_mask(self, mask: Tensor, x: Tensor) -> Tensor:
        if len(mask.shape) != len(x.shape) - 1:
            raise InvalidArgumentError(
                f"BatchNormalization layer {self.name!r} got a mask of shape {tuple(mask.shape)} for inputs of shape "
                f"{tuple(x.shape)}; a mask has the shape of the inputs without their last axis."
            )
        return mask

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
        mean, variance = (_numpy(each) for each in (self.moving_mean, self.moving_variance))
        scale = (1.0 if self.gamma is None else _numpy(self.gamma)) / np.sqrt(variance + self.epsilon)
        return scale, (0.0 if self.beta is None else _numpy(self.beta)) - mean * scale

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; ``adjustment``, being a function, is left out."""
        keras = self._library.keras
        parts = {
            f"{weight}_{kind}": getattr(keras, f"{kind}s").serialize(getattr(self, f"{weight}_{kind}"))
            for weight, kind in SERIALIZED
        }
        plain = {option: _plain(getattr(self, option)) for option in OPTIONS}
        return {**super().get_config(), **plain, **parts}  # type: ignore[misc]


def _is_static(training: Any) -> bool:
    return isinstance(training, bool | int | np.bool_ | np.integer)


def _numpy(weight: Any) -> NDArray[np.float64]:
    return np.asarray(weight.numpy(), np.float64)


def _plain(value: Any) -> Any:
    """Without the wrappers that Keras puts around containers."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) else value
