"""Small models on which every fault has a place, in either Keras."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn.flavour import Flavour
from kerasbn_export.arrays import Array

Body = Callable[[Any, Any], Any]
"""Takes the module of layers and a symbolic tensor of eight channels, gives one."""

CHANNELS = 8


@dataclass(frozen=True)
class Subject:
    """A model to damage.

    Attributes:
        name: Its name.
        rank: The number of its spatial dimensions.
        body: Its first part, which sets it apart from the others.
        inputs: The names of its inputs; their sum goes into the body.
        recurrent: Whether it has recurrent layers.
    """

    name: str
    rank: int
    body: Body
    inputs: tuple[str, ...] = ("x",)
    recurrent: bool = False

    def build(self, flavour: Flavour, seed: int = 0) -> Any:
        """The model with random weights and statistics: gammas of both signs, variances over decades."""
        layers = flavour.keras.layers
        inputs = [flavour.keras.Input((CHANNELS,) * self.rank + (3,), name=name) for name in self.inputs]
        x = self.body(layers, inputs[0] if len(inputs) == 1 else _joined(layers, inputs, self))
        model = flavour.keras.Model(inputs, _tail(layers, x, self.rank), name=self.name)
        _randomise(model, seed)
        return model


def _joined(layers: Any, inputs: Sequence[Any], subject: Subject) -> Any:
    """Each input by a convolution of its own, so that two that change places give something else; their sum."""
    named = zip(subject.inputs, inputs, strict=True)
    ends = [_conv(layers, subject.rank)(3, 1, name=f"{name}_end")(end) for name, end in named]
    return layers.Add(name="both")(ends)


def _bn(layers: Any, x: Any, name: str, **options: Any) -> Any:
    return layers.BatchNormalization(name=name, **options)(x)


def _conv(layers: Any, rank: int) -> Any:
    return getattr(layers, f"Conv{rank}D")


def _block(layers: Any, x: Any, name: str, rank: int, **options: Any) -> Any:
    """Convolution, BatchNorm, ReLU."""
    x = _conv(layers, rank)(CHANNELS, 3, padding="same", name=f"{name}_conv", **options)(x)
    return layers.ReLU(name=f"{name}_relu")(_bn(layers, x, f"{name}_bn"))


def _tail(layers: Any, x: Any, rank: int) -> list[Any]:
    """One place after another where a BatchNorm may not be folded the simple way; then two outputs."""
    conv = _conv(layers, rank)
    x = conv(CHANNELS, 3, padding="same", name="lone_conv")(x)
    x = _bn(layers, layers.ReLU(name="lone_relu")(x), "behind_relu_bn", scale=False)
    x = conv(CHANNELS, 3, padding="same", name="padded_conv")(x)
    x = _bn(layers, layers.Activation("relu6", name="clip")(x), "behind_relu6_bn")
    x = layers.LeakyReLU(name="leak")(_for_files(layers, x, rank) if rank < 3 else x)
    shared = conv(CHANNELS, 1, name="shared_conv")(x)
    normed = _bn(layers, shared, "one_of_three_bn")
    x = layers.Add(name="sum")(
        [normed, layers.ReLU(name="second_user")(shared), layers.ReLU(name="third_user")(shared)]
    )
    rows = 1 if rank < 3 else 2  # tf_keras fuses axis 1 of five into an operation that no .tflite has
    x = _bn(layers, conv(CHANNELS, 1, name="rows_conv")(x), "rows_bn", axis=rows)
    x = layers.LeakyReLU(name="second_leak")(x)
    x = _bn(layers, conv(CHANNELS, 1, name="unscaled_conv")(x), "unscaled_bn", scale=False, epsilon=1e-5)
    x = _bn(layers, conv(CHANNELS, 1, name="twin_conv")(layers.ReLU(name="twin_relu")(x)), "twin_bn")
    x = getattr(layers, f"GlobalAveragePooling{rank}D")(name="mean")(layers.ReLU(name="last_relu")(x))
    x = _bn(layers, layers.Dense(CHANNELS, name="dense")(x), "dense_bn")
    return [layers.Dense(4, name="left")(x), layers.Dense(4, activation="softmax", name="right")(x)]


def _for_files(layers: Any, x: Any, rank: int) -> Any:
    """What no .tflite has in three dimensions: a depthwise convolution and a MaxPooling."""
    x = getattr(layers, f"DepthwiseConv{rank}D")(3, padding="same", depth_multiplier=2, name="thin_dw")(x)
    x = layers.ReLU(name="thin_relu")(_bn(layers, x, "thin_bn"))
    x = _conv(layers, rank)(CHANNELS, 1, name="pooled_conv")(x)
    pool = getattr(layers, f"MaxPooling{rank}D")(2, 1, padding="same", name="pool")
    return _bn(layers, pool(x), "behind_pool_bn")


def _plain(rank: int) -> Body:
    def body(layers: Any, x: Any) -> Any:
        return _block(layers, _block(layers, _block(layers, x, "a", rank), "b", rank), "c", rank, use_bias=False)

    return body


def _depthwise(layers: Any, x: Any) -> Any:
    x = _block(layers, x, "a", 2)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="dw")(x)
    x = layers.ReLU(name="dw_relu")(_bn(layers, x, "dw_bn"))
    return _block(layers, x, "b", 2)


def _separable(layers: Any, x: Any) -> Any:
    x = layers.SeparableConv2D(CHANNELS, 3, padding="same", name="sep")(x)
    x = layers.ReLU(name="sep_relu")(_bn(layers, x, "sep_bn"))
    return _block(layers, x, "a", 2)


def _residual(layers: Any, x: Any) -> Any:
    x = _block(layers, x, "a", 2)
    y = _block(layers, x, "b", 2)
    y = _bn(layers, layers.Conv2D(CHANNELS, 3, padding="same", name="c_conv")(y), "c_bn")
    return layers.ReLU(name="joined")(layers.Add(name="skip")([x, y]))


def _transposed(layers: Any, x: Any) -> Any:
    x = layers.Conv2D(CHANNELS, 3, strides=2, padding="same", name="down")(x)
    x = layers.ReLU(name="down_relu")(_bn(layers, x, "down_bn"))
    x = layers.Conv2DTranspose(CHANNELS, 3, strides=2, padding="same", name="up")(x)
    return layers.ReLU(name="up_relu")(_bn(layers, x, "up_bn"))


def _branches(layers: Any, x: Any) -> Any:
    a, b = _block(layers, x, "a", 2), _block(layers, x, "b", 2)
    return _block(layers, layers.Concatenate(name="joined")([a, b]), "c", 2)


def _padded(layers: Any, x: Any) -> Any:
    x = layers.Conv2D(CHANNELS, 3, name="a_conv")(layers.ZeroPadding2D(1, name="a_pad")(x))
    x = layers.ReLU(name="a_relu")(_bn(layers, x, "a_bn"))
    x = layers.Conv2D(CHANNELS, (1, 5), name="b_conv")(layers.ZeroPadding2D((0, 2), name="b_pad")(x))
    return layers.ReLU(name="b_relu")(_bn(layers, x, "b_bn"))


def _functions(layers: Any, x: Any) -> Any:
    """What users write between layers: functions, slices and arithmetic."""
    keras3 = layers.__name__.startswith("keras.")
    functions: Any = importlib.import_module("keras").ops if keras3 else importlib.import_module("tensorflow").nn
    x = functions.relu6(_bn(layers, layers.Conv2D(CHANNELS, 3, padding="same", name="a_conv")(x), "a_bn"))
    y = _bn(layers, layers.Conv2D(CHANNELS, 3, padding="same", name="b_conv")(x), "b_bn")
    y = functions.relu(y)[:, ::-1]
    return _block(layers, 0.5 * x + y, "c", 2)


def _recurrent(layers: Any, x: Any) -> Any:
    x = _block(layers, x, "a", 1)
    y = layers.LSTM(CHANNELS, return_sequences=True, name="lstm")(x)
    return _block(layers, layers.Add(name="around")([x, y]), "b", 1)


def _both_ways(layers: Any, x: Any) -> Any:
    gru = layers.GRU(CHANNELS // 2, return_sequences=True, name="gru")
    x = layers.Bidirectional(gru, name="both_ways")(_block(layers, x, "a", 1))
    x = layers.SimpleRNN(CHANNELS, return_sequences=True, go_backwards=True, name="simple")(_bn(layers, x, "gru_bn"))
    return _block(layers, x, "b", 1)


def _randomise(model: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            size = int(layer.moving_mean.shape[0])
            signs = np.where(np.arange(size) % 4 == 1, -1.0, 1.0)
            if layer.gamma is not None:
                layer.gamma.assign(signs * rng.uniform(0.5, 1.5, size))
            layer.beta.assign(rng.normal(size=size))
            layer.moving_mean.assign(rng.normal(size=size))
            layer.moving_variance.assign(10.0 ** rng.uniform(-1.0, 1.0, size))
        else:
            layer.set_weights([_weight(rng, array.shape) for array in layer.get_weights()])


def _weight(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal numbers that keep the size of what they are multiplied with."""
    terms = max(1, int(np.prod(shape[:-1])))
    size = 1.0 / np.sqrt(terms if len(shape) > 1 else 4)
    return rng.normal(scale=size, size=shape)


SUBJECTS = (
    Subject("plain", 2, _plain(2)),
    Subject("signal", 1, _plain(1)),
    Subject("volume", 3, _plain(3)),
    Subject("depthwise", 2, _depthwise),
    Subject("separable", 2, _separable),
    Subject("residual", 2, _residual),
    Subject("transposed", 2, _transposed),
    Subject("branches", 2, _branches),
    Subject("padded", 2, _padded),
    Subject("functions", 2, _functions),
    Subject("two_inputs", 2, _plain(2), ("z", "a")),
    Subject("recurrent", 1, _recurrent, recurrent=True),
    Subject("both_ways", 1, _both_ways, recurrent=True),
)
