"""The layer itself: all of it but its Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from kerasbn import options
from kerasbn.configuration import config_of, with_schedules
from kerasbn.errors import InvalidArgumentError, UnsupportedFeatureError
from kerasbn.layout import Axis
from kerasbn.library import Tensor
from kerasbn.moments import expanded
from kerasbn.normalization import Normalization
from kerasbn.training import train
from kerasbn.weights import WeightsMixin


class BatchNormMixin(WeightsMixin):
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

    trainable: bool
    compute_dtype: str

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
        made = partial(options.checked_object, keras)
        self.axis = options.checked_axis(axis)
        self.momentum = options.checked_momentum(momentum)
        self.epsilon = options.checked_epsilon(epsilon)
        self.center = options.checked_switch("center", center)
        self.scale = options.checked_switch("scale", scale)
        self.beta_initializer = made("beta_initializer", beta_initializer)
        self.gamma_initializer = made("gamma_initializer", gamma_initializer)
        self.moving_mean_initializer = made("moving_mean_initializer", moving_mean_initializer)
        self.moving_variance_initializer = made("moving_variance_initializer", moving_variance_initializer)
        self.beta_regularizer = made("beta_regularizer", beta_regularizer)
        self.gamma_regularizer = made("gamma_regularizer", gamma_regularizer)
        self.beta_constraint = made("beta_constraint", beta_constraint)
        self.gamma_constraint = made("gamma_constraint", gamma_constraint)
        self.renorm = options.checked_switch("renorm", renorm)
        self.renorm_clipping = options.checked_clipping(with_schedules(keras, renorm_clipping))
        self.renorm_momentum = options.checked_fraction("renorm_momentum", renorm_momentum)
        self.fused = options.checked_choice("fused", fused)
        self.virtual_batch_size = options.checked_size(virtual_batch_size)
        self.adjustment = options.checked_adjustment(adjustment)
        self.synchronized = options.checked_switch("synchronized", synchronized)
        self.unbiased_variance = options.checked_choice("unbiased_variance", unbiased_variance)
        self.supports_masking = True
        if self.virtual_batch_size is not None and (self.synchronized or adjustment is not None):
            other = "synchronized" if self.synchronized else "adjustment"
            raise InvalidArgumentError(
                f"BatchNormalization got virtual_batch_size={virtual_batch_size} together with {other}, which has no "
                f"meaning for parts of a batch; leave one of them out."
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
        if not hasattr(mask, "shape"):
            mask = np.asarray(mask)
        sizes = zip(mask.shape, x.shape[:-1], strict=False)
        fits = len(mask.shape) == len(x.shape) - 1 and all(None in pair or pair[0] == pair[1] for pair in sizes)
        if not fits or getattr(mask.dtype, "kind", "b") not in "biuf":
            raise InvalidArgumentError(
                f"BatchNormalization layer {self.name!r} got a mask of shape {tuple(mask.shape)} for inputs of shape "
                f"{tuple(x.shape)}; a mask has the shape of the inputs without their last axis."
            )
        return mask

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; ``adjustment``, being a function, is left out."""
        return {**super().get_config(), **config_of(self)}  # type: ignore[misc]


def _is_static(training: Any) -> bool:
    return isinstance(training, bool | int | np.bool_ | np.integer)
