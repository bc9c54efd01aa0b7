"""The layer through which every tensor goes that the file quantizes.

For a range ``[low, high]`` with the scale ``s`` and the zero point of `kerasbn_export.quantization.grids`::

    y = s * round(clip(x, low, high) / s)

Its gradient is 1 inside the range and 0 outside; what is outside goes to ``low`` and ``high``. The gradient of a range
that is learned has the rounding inside it, too (LSQ: Esser et al. 2020; with two ends: Bhalgat et al. 2020)::

    dy/ds = round(x / s) - x / s,    s = (high - low)/levels

Without it nothing ever asks for a narrower range: what is outside asks for a wider one. Unless ranges are learned they
follow the batches: the average of the minima and maxima, each batch weighed ``m`` times the one after it, without a
bias to where it began::

    w' = m*w + 1 - m,    low' = low + (1 - m)/w' * (min(x) - low)
"""

from __future__ import annotations

from typing import Any

from kerasbn.flavour import layers_inside
from kerasbn.lazy import LazyModule
from kerasbn.quantized.numbers import BITS, fitted

tf: Any = LazyModule("tensorflow")

MOMENTUM = 0.99


class RangeMixin:
    """One tensor, or several of one scale, on the grid of a quantized file.

    Shapes: any, float32; the output has the shape of the input.

    Args:
        low: Where the range begins; at most 0.
        high: Where it ends; at least 0.
        bits: Of the activations, 8 or 16.
        learned: Whether the range is trained by its gradient.
        fixed: Whether it is TFLite's own, which never changes.
        at_end: Whether it is that of a softmax or sigmoid that nothing in the model takes, or of a layer in float that
            gives an output. In training it lets everything pass: the logarithm of a probability that was rounded to 0
            teaches nothing.
        frozen: Whether a range that followed the batches, or its gradient, does so no longer.
        momentum: ``m`` above.
        batches: How many batches the first range stands for.
    """

    name: str
    trainable: bool

    def __init__(
        self,
        low: float = -1.0,
        high: float = 1.0,
        bits: int = 8,
        learned: bool = False,
        fixed: bool = False,
        at_end: bool = False,
        frozen: bool = False,
        momentum: float = MOMENTUM,
        batches: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.first = fitted(float(low), float(high), bits)
        self.bits, self.learned, self.fixed, self.at_end = bits, learned, fixed, at_end
        self.momentum, self.batches, self.frozen = momentum, batches, frozen
        self.observing: Any = None
        self.tapped = False
        self.latest: Any = None
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """The variables: the range, and how much of the average there is."""
        trained = self.learned and not self.fixed
        make: Any = self.add_weight  # type: ignore[attr-defined]  # of Keras
        options = self._average  # type: ignore[attr-defined]  # of the flavour
        ends = {"trainable": True} if trained else options
        self.low = make(name="low", shape=(), initializer=self._constant(self.first[0]), **ends)
        self.high = make(name="high", shape=(), initializer=self._constant(self.first[1]), **ends)
        seen = 1.0 - self.momentum**self.batches
        self.seen = make(name="seen", shape=(), initializer=self._constant(seen), **options)
        super().build(input_shape)  # type: ignore[misc]  # of Keras

    def call(self, inputs: Any, training: Any = None) -> Any:
        """The inputs on the grid."""
        if self.observing is not None:
            self.observing(inputs)
            return inputs
        if training and self.at_end:
            return inputs
        if training and not (self.learned or self.fixed or self.frozen):
            self._follow(inputs)
        low, high = self._ends()
        rounded = tf.quantization.fake_quant_with_min_max_vars(inputs, low, high, num_bits=self.bits)
        if training and self.learned and not self.fixed:
            rounded = _with_gradient_of_steps(rounded, inputs, low, high, self.bits)
        if self.tapped:
            object.__setattr__(self, "latest", rounded)  # past Keras, which tracks what a layer holds
        return rounded

    def freeze(self) -> None:
        """Let the range stay as it is; the model has to be compiled again, or its train function made again."""
        self.frozen, self.trainable = True, False

    @property
    def range(self) -> tuple[float, float]:
        """The range as it is now."""
        return fitted(float(self._value(self.low)), float(self._value(self.high)), self.bits)

    def set_range(self, low: float, high: float) -> None:
        """Another range."""
        low, high = fitted(low, high, self.bits)
        self.low.assign(low)
        self.high.assign(high)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"low": self.first[0], "high": self.first[1], "bits": self.bits, "learned": self.learned}
        own |= {"fixed": self.fixed, "frozen": self.frozen, "at_end": self.at_end}
        own |= {"momentum": self.momentum, "batches": self.batches}
        return {**super().get_config(), **own}  # type: ignore[misc]  # of Keras

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the input."""
        return input_shape

    def _constant(self, value: float) -> Any:
        return self._keras.initializers.Constant(value)  # type: ignore[attr-defined]  # of the flavour

    @staticmethod
    def _value(variable: Any) -> Any:
        return tf.convert_to_tensor(variable)

    def _ends(self) -> tuple[Any, Any]:
        """The range as TensorFlow takes it: with 0 in it, and symmetric for 16 bits."""
        low, high = tf.minimum(self._value(self.low), 0.0), tf.maximum(self._value(self.high), 0.0)
        if self.bits == BITS["int16x8"]:
            high = tf.maximum(high, -low * (32767 / 32768))
            low = -high * (32768 / 32767)
        return low, high

    def _follow(self, inputs: Any) -> None:
        """One step of the average."""
        inputs = tf.stop_gradient(inputs)
        seen = self.momentum * self._value(self.seen) + (1.0 - self.momentum)
        rate = (1.0 - self.momentum) / seen
        for weight, found in ((self.low, tf.reduce_min(inputs)), (self.high, tf.reduce_max(inputs))):
            value = self._value(weight)
            weight.assign(value + rate * (found - value))
        self.seen.assign(seen)


def _with_gradient_of_steps(rounded: Any, inputs: Any, low: Any, high: Any, bits: int) -> Any:
    """Numbers on a grid, as they are, with the gradient of a learned range: see above.

    ``clip(x) + s*e`` is the number on the grid, if ``e``, what rounding moves it in steps, is taken for a constant.
    """
    clipped, step = tf.clip_by_value(inputs, low, high), (high - low) / (2.0**bits - 1.0)
    moved = tf.stop_gradient((rounded - clipped) / step)
    found = clipped + step * moved
    return tf.stop_gradient(rounded) + found - tf.stop_gradient(found)


def is_tuned(model: Any) -> bool:
    """Whether a model came out of `kerasbn_export.quantize_aware`, or holds one that did."""
    return precision_of(model) is not None


def precision_of(model: Any) -> str | None:
    """The precision that a model was made ready for by `kerasbn_export.quantize_aware`; None if it was not."""
    bits = next((layer.bits for layer in layers_inside(model) if isinstance(layer, RangeMixin)), None)
    return next((name for name, own in BITS.items() if own == bits), None)
