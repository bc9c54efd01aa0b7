"""The layer itself: all of it but its Keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kerasbn import options
from kerasbn.errors import InvalidArgumentError, UnsupportedFeatureError
from kerasbn.layout import Axis, Layout
from kerasbn.library import Library, Tensor
from kerasbn.moments import expanded
from kerasbn.normalization import Normalization
from kerasbn.training import train

SIXTEEN_BITS = ("float16", "bfloat16")
SERIALIZED = (
    ("beta", "initializer"), ("gamma", "initializer"),
    ("moving_mean", "initializer"), ("moving_variance", "initializer"),
    ("beta", "regularizer"), ("gamma", "regularizer"),
    ("beta", "constraint"), ("gamma", "constraint"),
)  # fmt: skip
OPTIONS = (
    "axis", "momentum", "epsilon", "center", "scale", "renorm", "renorm_momentum",
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
        momentum: Share of the old value that a moving average keeps. None: averages are means over all batches
            so far, counted in one more weight, ``batches``.
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
        renorm: Batch Renormalization, as `kerasbn.renorm` has it; three more averages as weights.
        renorm_clipping: Its bounds, a dict with any of ``rmin``, ``rmax``, ``dmax``: numbers, scalar tensors, or
            schedules (callables from the number of batches seen, as `keras.optimizers.schedules`).
        renorm_momentum: Momentum of the averages that renorm corrects with.
        fused: False computes with plain operations only. None and True use the fused kernel wherever it
            exists, which is TensorFlow with 16-bit and 32-bit floats, any rank.
        virtual_batch_size: Size of ghost batches, as `kerasbn.ghost` has them. It must divide every batch.
        adjustment: A function from the input's shape to (scale, bias), applied in training to the normalized values,
            before gamma and beta. It is no part of the config.
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
        UnsupportedFeatureError: A mask together with ghost batches.

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
        momentum: float | None = 0.99,
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
        self.momentum = options.checked_momentum(momentum)
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
        self.renorm_clipping = options.checked_clipping(self._deserialized(renorm_clipping))
        self.renorm_momentum = options.checked_fraction("renorm_momentum", renorm_momentum)
        self.fused = fused
        self.virtual_batch_size = options.checked_size(virtual_batch_size)
        self.adjustment = adjustment
        self.synchronized = bool(synchronized)
        self.unbiased_variance = unbiased_variance
        self.supports_masking = True
        if self.virtual_batch_size is not None and (self.synchronized or adjustment is not None):
            other = "synchronized" if self.synchronized else "adjustment"
            raise InvalidArgumentError(
                f"BatchNormalization got virtual_batch_size={virtual_batch_size} together with {other}, which has no "
                f"meaning for parts of a batch; leave one of them out."
            )

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights, in the stock layer's order."""
        self._layout = Layout.of(self.axis, tuple(input_shape), self.name)
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

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Sequence[int | None]:
        """The input's shape."""
        return input_shape

    def call(self, inputs: Tensor, training: Any = None, mask: Tensor | None = None) -> Tensor:
        """Normalizes with the batch's statistics in training, with the moving averages otherwise."""
        ops, x = self._library.ops, self._library.ops.cast(inputs, self.compute_dtype)
        if training is None or not self.trainable or (_is_static(training) and not training):
            return self._infer(x)
        mask = None if mask is None else expanded(ops, self._checked_mask(mask, x), x, self._layout)
        if _is_static(training):
            y, values = train(self, x, mask)
        else:
            y, values = ops.cond(
                ops.cast(training, "bool"),
                lambda: train(self, x, mask),
                lambda: (self._infer(x), [ops.cast(average, average.dtype) for average in self.averages]),
            )
        for average, value in zip(self.averages, values, strict=True):
            average.assign(value)
        return y

    def _infer(self, x: Tensor) -> Tensor:
        return self.normalization.inference(x, self.gamma, self.beta, self.moving_mean, self.moving_variance)

    @property
    def normalization(self) -> Normalization:
        """The layer's arithmetic."""
        kernel = self._library.kernel
        if kernel is not None and (self.fused is False or not kernel.accepts(self._layout, self.compute_dtype)):
            kernel = None
        dtype = "float64" if "float64" in (self.compute_dtype, self.variable_dtype) else "float32"
        return Normalization(self._library.ops, kernel, self._layout, self.epsilon, dtype)

    @property
    def averages_unbiased(self) -> bool:
        """Whether ``moving_variance`` averages the unbiased variance."""
        if self.unbiased_variance is not None:
            return self.unbiased_variance
        options = self.renorm, self.synchronized, self.virtual_batch_size is not None, self.adjustment is not None
        plain_in_stock = self.fused is False or self.compute_dtype == "float64" or any(options)
        return not plain_in_stock and self.unbiased_in_stock

    @property
    def unbiased_in_stock(self) -> bool:
        """Whether the stock layer averages the unbiased variance for inputs of this layout, unless told otherwise."""
        return (self._layout.rank, *self._layout.axes) in self._library.unbiased_in_stock

    def renorm_bounds(self) -> dict[str, Any]:
        """``renorm_clipping`` at the present number of batches."""
        if self.batches is None:
            return self.renorm_clipping
        seen = self._library.ops.cast(self.batches, self.batches.dtype)
        return {key: bound(seen) if callable(bound) else bound for key, bound in self.renorm_clipping.items()}

    def _checked_mask(self, mask: Tensor, x: Tensor) -> Tensor:
        if self.virtual_batch_size is not None:
            raise UnsupportedFeatureError(
                f"BatchNormalization layer {self.name!r} has virtual_batch_size={self.virtual_batch_size} and got a "
                f"mask; ghost batches know no masks. Call the layer without one."
            )
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
        mean, variance = self._numpy(self.moving_mean), self._numpy(self.moving_variance)
        gamma = 1.0 if self.gamma is None else self._numpy(self.gamma)
        beta = 0.0 if self.beta is None else self._numpy(self.beta)
        scale = gamma / np.sqrt(variance + self.epsilon)
        return scale, beta - mean * scale

    def _numpy(self, weight: Any) -> NDArray[np.float64]:
        return np.asarray(weight.numpy(), np.float64).reshape(self._layout.weight_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; ``adjustment``, being a function, is left out."""
        keras = self._library.keras
        parts = {
            f"{weight}_{kind}": getattr(keras, f"{kind}s").serialize(getattr(self, f"{weight}_{kind}"))
            for weight, kind in SERIALIZED
        }
        plain = {option: _plain(getattr(self, option)) for option in OPTIONS}
        schedules = keras.optimizers.schedules
        clipping = {
            key: schedules.serialize(bound) if isinstance(bound, schedules.LearningRateSchedule) else bound
            for key, bound in self.renorm_clipping.items()
        }
        return {**super().get_config(), **plain, "renorm_clipping": clipping, **parts}  # type: ignore[misc]

    def _deserialized(self, clipping: Any) -> Any:
        """renorm_clipping with the schedules that `get_config` wrote as dicts."""
        if not isinstance(clipping, Mapping):
            return clipping
        read = self._library.keras.optimizers.schedules.deserialize
        return {key: read(dict(bound)) if isinstance(bound, Mapping) else bound for key, bound in clipping.items()}


def _is_static(training: Any) -> bool:
    return isinstance(training, bool | int | np.bool_ | np.integer)


def _plain(value: Any) -> Any:
    """Without the wrappers that Keras puts around containers."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) else value
