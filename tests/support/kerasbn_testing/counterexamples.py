"""Small models on the other side of the rules' conditions: each is folded wrongly where some condition is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from patterns.pattern import BN, Make, conv, conv1d, dense, layer, td

from kerasbn.flavour import Flavour

Build = Callable[[Any], Any]

COUNTEREXAMPLES: dict[str, tuple[Build, str]] = {}
"""Builder and target, by name."""

TANH = layer("Activation", "tanh")
AXIS_1 = layer("BatchNormalization", axis=1)
RELU = layer("ReLU")


def enter(name: str, build: Build, target: str = "latency") -> None:
    """Put a model into the table."""
    if name in COUNTEREXAMPLES:
        raise ValueError(f"There is a counterexample {name!r} already.")
    COUNTEREXAMPLES[name] = (build, target)


def counterexample(target: str = "latency") -> Callable[[Build], Build]:
    """Put a builder into the table, under its own name with spaces in it."""

    def decorate(build: Build) -> Build:
        enter(build.__name__.replace("_", " "), build, target)
        return build

    return decorate


def through(keras: Any, x: Any, *makes: Make) -> Any:
    """The tensor after layers that are called one after the other."""
    for make in makes:
        x = make(keras.layers)(x)
    return x


def chain(name: str, shape: tuple[int | None, ...], *makes: Make, target: str = "latency") -> None:
    """Put layers that are called one after the other into the table."""

    def build(keras: Any) -> Any:
        inputs = keras.Input(shape)
        return keras.Model(inputs, through(keras, inputs, *makes))

    enter(name, build, target)


def two_way(name: str, shape: tuple[int | None, ...], merge: Any, one: Any, two: Any, *behind: Make) -> None:
    """Put two branches of one input, merged, into the table."""

    def build(keras: Any) -> Any:
        inputs = keras.Input(shape)
        x = merge(keras)([through(keras, inputs, *one), through(keras, inputs, *two)])
        return keras.Model(inputs, through(keras, x, *behind))

    enter(name, build)


def merging(kind: str, **options: Any) -> Any:
    """A layer of several tensors."""
    return lambda keras: getattr(keras.layers, kind)(**options)


def training(make: Make) -> Make:
    """A layer called in training mode."""
    return lambda layers: lambda x: make(layers)(x, training=True)


def function(one: Callable[[Any], Any]) -> Make:
    """A function of the tensor."""
    return lambda _: one


IMAGE, SEQUENCE, VECTOR = (6, 6, 4), (4, 4), (4,)
SILENT = layer("Dropout", 0.0)
MASK = layer("Masking", 0.0)
ADD, CONCATENATE, MULTIPLY = merging("Add"), merging("Concatenate"), merging("Multiply")

chain("activation inside", VECTOR, dense(4, activation="tanh"), BN, TANH)
chain("shift and relu inside", VECTOR, dense(4, activation="relu"), BN, TANH)
chain("another relu inside", VECTOR, dense(4, activation="relu6"), layer("BatchNormalization", center=False), TANH)
chain("axis of a convolution", (4, 4, 4), conv(4, 1), AXIS_1, TANH)
chain("axis before a convolution", (4, 4, 4), TANH, AXIS_1, conv(4, 1))
chain("shift before padding", IMAGE, TANH, BN, conv(4, 3, padding="same"))
chain("shift before a transposed convolution", IMAGE, TANH, BN, layer("Conv2DTranspose", 3, 3))
chain("axes of an einsum", (4, 5), layer("EinsumDense", "abc,cde->abde", (4, 4, 3)), AXIS_1, TANH)
chain("axis before an einsum", (4, 4), TANH, AXIS_1, layer("EinsumDense", "abc,cd->abd", (4, 3), bias_axes="d"))
chain("maximum", IMAGE, conv(4, 2), layer("MaxPooling2D", 2), BN, TANH)
chain("maximum behind", IMAGE, TANH, BN, layer("MaxPooling2D", 2), conv(3, 2))
chain("maximum of another axis", (4, 4), TANH, AXIS_1, layer("MaxPooling1D", 2), dense(3))
chain("mean of its axis", (4, 4), TANH, AXIS_1, layer("GlobalAveragePooling1D"), dense(3))
chain("mean, then another axis", (4, 4, 4), conv(4, 1), layer("AveragePooling2D", 1), AXIS_1, TANH)
chain("relu behind", VECTOR, dense(4), RELU, BN, TANH)
chain("relu before", VECTOR, TANH, BN, RELU, dense(3))
chain("scale and relu", VECTOR, dense(4), RELU, layer("BatchNormalization", center=False), TANH)
chain("bounded relu", VECTOR, dense(4), layer("ReLU", 1.0), layer("Rescaling", 2.0), TANH, BN, TANH)
chain("threshold", VECTOR, dense(4), layer("ReLU", threshold=0.5), layer("Rescaling", 2.0), TANH, BN, TANH)
chain("tanh of a scale", VECTOR, dense(4), TANH, layer("Rescaling", 2.0), TANH, BN, TANH)
chain("padding with zeros", IMAGE, TANH, BN, layer("ZeroPadding2D", 1), conv(4, 2))
chain("padding with zeros before", IMAGE, conv(4, 2), layer("ZeroPadding2D", 1), BN, TANH)
chain("bicubic", (4, 4, 2), conv(4, 1), layer("UpSampling2D", 2, interpolation="bicubic"), BN, TANH)
chain("permuted", (4, 4), TANH, BN, layer("Permute", (2, 1)), dense(3))
chain("repeated axis", VECTOR, dense(4), layer("RepeatVector", 4), AXIS_1, TANH)
chain("reshaped", (4, 4), TANH, AXIS_1, layer("Reshape", (2, 8)), dense(3))
chain("reshaped of unknown size", (None, 4), TANH, BN, layer("Reshape", (-1, 2)), dense(3))
chain("reshaped to one axis", (4, 4), dense(4), layer("Flatten"), BN, TANH)
chain("flattened channels first", IMAGE, TANH, BN, layer("Flatten", data_format="channels_first"), dense(3))
chain("axes of two affines", (4, 4), TANH, AXIS_1, BN, TANH)
chain("axes of two affines, turned", (4, 4), TANH, BN, AXIS_1, dense(3))
chain("training behind", VECTOR, TANH, BN, training(layer("BatchNormalization", momentum=1.0)), TANH)
chain("training before", VECTOR, TANH, training(layer("BatchNormalization", momentum=1.0)), TANH, BN, TANH)
chain("training", VECTOR, dense(4), training(layer("BatchNormalization", momentum=1.0)), TANH)
chain("dropout in training mode", VECTOR, dense(4), training(SILENT), BN, TANH)
chain("lstm in training mode", SEQUENCE, TANH, BN, training(layer("LSTM", 3)))
chain("axis before an lstm", SEQUENCE, TANH, AXIS_1, layer("LSTM", 3))
chain("lstm without bias", SEQUENCE, TANH, BN, layer("LSTM", 3, use_bias=False))
chain("axis of a layer norm", SEQUENCE, layer("LayerNormalization"), AXIS_1, TANH)
chain("layer norm over the time", SEQUENCE, layer("LayerNormalization", axis=1), BN, TANH)
chain("layer norm over both", SEQUENCE, layer("LayerNormalization", axis=[1, 2]), BN, TANH)
chain("layer norm over the time, dense", SEQUENCE, layer("LayerNormalization", axis=1), dense(3))
chain("layer norm alone", SEQUENCE, layer("LayerNormalization"), TANH)
chain("layer norm without gamma and beta", SEQUENCE, layer("LayerNormalization", scale=False, center=False), dense(3))
chain("bn at the ends", VECTOR, BN)
chain("bn alone", VECTOR, TANH, BN, TANH)
chain("bn alone, axis 1", (4, 5), TANH, AXIS_1, TANH)
chain("bn alone, image", IMAGE, TANH, BN, TANH)
chain("bn alone, image, axis 1", IMAGE, TANH, AXIS_1, TANH)
chain("bn alone behind a mask", SEQUENCE, MASK, BN, layer("LSTM", 3, use_bias=False))
chain("rescaling alone", VECTOR, TANH, layer("Rescaling", 2.0, 0.5), TANH)
chain("rescaling of an image alone", IMAGE, TANH, layer("Rescaling", 2.0, 0.5), TANH)
chain("normalization alone", VECTOR, layer("Normalization", mean=[1.0, 2, 3, 4], variance=[1.0, 2, 3, 4]), TANH)
chain("masked mean", SEQUENCE, MASK, dense(4), layer("GlobalAveragePooling1D"), BN, TANH)
chain("masked time distributed", SEQUENCE, MASK, td(BN), layer("LSTM", 3))
chain("masked padding", SEQUENCE, MASK, TANH, BN, conv1d(3, 3, padding="same"))
chain("time distributed in training mode", SEQUENCE, training(td(SILENT)), TANH)
chain("time distributed of unknown size", (None, None, 3), td(conv1d(4, 2)), td(BN), td(TANH))
chain("time distributed softmax", (3, 4, 5), td(layer("Softmax", axis=1)), td(BN), dense(2))
chain("time distributed layer norm", (3, 4, 5), td(layer("LayerNormalization", axis=1)), td(BN), dense(2))
chain("time distributed lstm", (3, 4, 5), td(layer("LSTM", 3)), td(BN), TANH)
chain("time distributed convolution, then time", (3, 6, 4), td(conv1d(4, 2)), AXIS_1, TANH)
chain("time, then a time distributed convolution", (3, 6, 4), TANH, AXIS_1, td(conv1d(4, 2)), TANH)
chain("time distributed flatten", (3, 4, 5), td(conv1d(4, 2)), td(layer("Flatten")), td(BN), TANH)
chain("one behind a softmax behind a convolution", (3, 6, 4), td(conv1d(4, 2)), layer("Softmax", axis=1), td(BN))
chain("relu of a crop", (6, 6, 4), TANH, layer("Cropping2D", 1), RELU, conv(3, 2))
chain("relu of the input", (6, 6, 4), layer("Cropping2D", 1), RELU, conv(3, 2))
chain("sigmoid behind padding", IMAGE, conv(4, 2), layer("ZeroPadding2D", 1), layer("Activation", "sigmoid"))
chain("bounded below behind padding", IMAGE, conv(4, 2), layer("ZeroPadding2D", 1), layer("ReLU", threshold=0.5))
chain("relu of a blend", (4, 4, 2), conv(4, 1), layer("UpSampling2D", 2, interpolation="bilinear"), RELU)
chain("leaky behind a crop", IMAGE, conv(4, 2), layer("Cropping2D", 1), layer("LeakyReLU"), conv(3, 1))
for way in ("latency", "ops", "size"):
    first = (IMAGE, conv(4, 2), RELU, BN)
    chain(f"ones past a tanh, {way}", IMAGE, conv(4, 2), TANH, BN, conv(3, 3, padding="same"), target=way)
    chain(f"ones past a relu, {way}", *first, conv(3, 3, padding="same"), target=way)
    chain(f"ones into groups, {way}", *first, conv(4, 3, padding="same", groups=2), target=way)
    chain(f"ones out of groups, {way}", IMAGE, conv(4, 2, groups=2), RELU, BN, conv(3, 3, padding="same"), target=way)
    chain(f"ones past a prelu, {way}", IMAGE, conv(4, 2), layer("PReLU"), BN, conv(3, 3, padding="same"), target=way)
    chain(
        f"ones of a tanh inside, {way}",
        IMAGE,
        conv(4, 2, activation="tanh"),
        BN,
        conv(3, 3, padding="same"),
        target=way,
    )
    chain(
        f"ones along another axis, {way}", (4, 4, 4), conv(4, 1), RELU, AXIS_1, conv(3, 3, padding="same"), target=way
    )
    chain(
        f"ones past a dropout, {way}", IMAGE, conv(4, 2), training(SILENT), BN, conv(3, 3, padding="same"), target=way
    )
    chain(f"ones from the input, {way}", IMAGE, RELU, BN, conv(3, 3, padding="same"), target=way)
    chain(f"ones into a depthwise, {way}", *first, layer("DepthwiseConv2D", 3, padding="same"), target=way)
    chain(f"ones of unknown size, {way}", (None, None, 3), conv(4, 2), RELU, BN, conv(3, 3, padding="same"), target=way)

two_way(
    "broadcast sum", (4, 4), ADD, [dense(4)], [dense(4), layer("GlobalAveragePooling1D", keepdims=True)], AXIS_1, TANH
)
two_way("broadcast before a sum", (1, 4), ADD, [TANH, AXIS_1], [layer("UpSampling1D", 4)], dense(3))
two_way("product and shift", VECTOR, MULTIPLY, [dense(4)], [dense(4)], BN, TANH)
two_way("shift before a product", VECTOR, MULTIPLY, [TANH, BN], [layer("Activation", "elu")], dense(3))
two_way("scale before a sum", VECTOR, ADD, [TANH, BN], [layer("Activation", "elu")], dense(3))
two_way("maximum of two", VECTOR, merging("Maximum"), [dense(4)], [dense(4)], BN, TANH)
two_way(
    "joined along another axis",
    SEQUENCE,
    merging("Concatenate", axis=1),
    [TANH, BN],
    [layer("Activation", "elu")],
    dense(3),
)
two_way("both joined along another axis", SEQUENCE, merging("Concatenate", axis=1), [dense(4)], [dense(4)], BN, TANH)
two_way("joined along its own axis", SEQUENCE, merging("Concatenate", axis=1), [dense(4)], [dense(4)], AXIS_1, TANH)
two_way("joined along its axis", SEQUENCE, CONCATENATE, [TANH, AXIS_1], [layer("Activation", "elu")], dense(3))
two_way(
    "dilated branch", IMAGE, ADD, [conv(4, 3, padding="same"), BN], [conv(4, 3, padding="same", dilation_rate=2)], TANH
)
two_way(
    "dilated branches",
    IMAGE,
    ADD,
    [conv(4, 3, padding="same", dilation_rate=2), BN],
    [conv(4, 1, padding="same")],
    TANH,
)
two_way(
    "active branch", IMAGE, ADD, [conv(4, 3, padding="same"), BN], [conv(4, 3, padding="same", activation="relu")], TANH
)
two_way("strided branch and itself", (1, 1, 4), ADD, [conv(4, 1, strides=2), BN], [], TANH)
two_way("branch of groups", IMAGE, ADD, [conv(4, 3, padding="same", groups=2), BN], [conv(4, 3, padding="same")], TANH)
two_way("causal branches", (6, 4), ADD, [conv1d(4, 3, padding="causal"), BN], [conv1d(4, 1, padding="causal")], TANH)
two_way("valid branches", (1, 1, 4), ADD, [conv(4, 1), BN], [conv(4, 2, padding="same")], TANH)
two_way("branch along another axis", (4, 4, 4), ADD, [conv(4, 3, padding="same")], [AXIS_1], TANH)
two_way("branches of two kinds", (6, 4), ADD, [conv1d(4, 1), BN], [dense(4)], TANH)
two_way("strided branches", (6, 6, 4), ADD, [conv(4, 3, strides=2, padding="same"), BN], [conv(4, 1, strides=2)], TANH)
two_way("strided branches of unknown size", (None, None, 4), ADD,
        [conv(4, 3, strides=2, padding="same"), BN], [conv(4, 1, strides=2)], TANH)  # fmt: skip
two_way("large branch and small", (7, 7, 4), ADD,
        [conv(4, 4, strides=2, padding="same")], [conv(4, 3, strides=2, padding="same"), BN], TANH)  # fmt: skip
two_way(
    "tall branch and wide", IMAGE, ADD, [conv(4, (3, 1), padding="same"), BN], [conv(4, (1, 3), padding="same")], TANH
)


@counterexample()
def several_uses(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = keras.layers.Dense(4)(inputs)
    return keras.Model(inputs, [through(keras, x, BN, TANH), through(keras, x, TANH)])


@counterexample()
def two_norms_one_elsewhere(keras: Any) -> Any:
    inputs = keras.Input((4, 4))
    x = keras.layers.Dense(4)(inputs)
    return keras.Model(inputs, [through(keras, x, BN, TANH), through(keras, x, AXIS_1, TANH)])


@counterexample()
def two_norms_and_output(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = keras.layers.Dense(4)(inputs)
    return keras.Model(inputs, [through(keras, x, BN, TANH), through(keras, x, BN, TANH), x])


@counterexample()
def two_norms_of_an_activation(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = keras.layers.Dense(4, activation="tanh")(inputs)
    return keras.Model(inputs, [through(keras, x, BN, TANH), through(keras, x, BN, TANH)])


@counterexample()
def output_is_output(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = through(keras, inputs, TANH, BN)
    return keras.Model(inputs, [x, keras.layers.Dense(3)(x)])


@counterexample()
def output_of_the_producer(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = keras.layers.Dense(4)(inputs)
    return keras.Model(inputs, [x, through(keras, x, BN, TANH)])


@counterexample()
def squared(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = through(keras, inputs, TANH, BN)
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Multiply()([x, x])))


@counterexample()
def doubled(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = through(keras, inputs, dense(4))
    return keras.Model(inputs, through(keras, keras.layers.Add()([x, x]), BN, TANH))


@counterexample()
def branches_of_two_values(keras: Any) -> Any:
    one, two = keras.Input(VECTOR), keras.Input(VECTOR)
    sums = keras.layers.Add()([through(keras, one, dense(4), BN), through(keras, two, dense(4))])
    return keras.Model([one, two], through(keras, sums, TANH))


@counterexample()
def branch_seen_elsewhere(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = through(keras, inputs, dense(4))
    return keras.Model(inputs, [keras.layers.Add()([through(keras, inputs, dense(4)), x]), through(keras, x, TANH)])


@counterexample("size")
def one_layer_at_two_places(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    layer = keras.layers.Dense(4)
    return keras.Model(inputs, layer(through(keras, layer(inputs), BN, RELU)))


@counterexample("ops")
def ones_of_a_shared_layer(keras: Any) -> Any:
    inputs = keras.Input((6, 6, 4))
    shared = keras.layers.Conv2D(4, 3, padding="same")
    return keras.Model(inputs, through(keras, shared(through(keras, shared(inputs), RELU, BN)), TANH))


@counterexample("ops")
def ones_seen_elsewhere(keras: Any) -> Any:
    inputs = keras.Input((6, 6, 4))
    x = through(keras, inputs, conv(4, 2), RELU)
    return keras.Model(inputs, [through(keras, x, BN, conv(3, 3, padding="same")), through(keras, x, TANH)])


@counterexample("ops")
def ones_into_two(keras: Any) -> Any:
    inputs = keras.Input((6, 6, 4))
    x = through(keras, inputs, conv(4, 2), RELU, BN)
    return keras.Model(inputs, [through(keras, x, conv(3, 3, padding="same")), through(keras, x, TANH)])


@counterexample()
def embedding_along_time(keras: Any) -> Any:
    inputs = keras.Input((4,), dtype="int32")
    return keras.Model(inputs, through(keras, inputs, layer("Embedding", 9, 4), AXIS_1, TANH))


def attending(name: str, attend: Callable[[Any, Any], Any], norm: Make = BN, **options: Any) -> None:
    """A BatchNorm, then attention."""

    def build(keras: Any) -> Any:
        inputs = keras.Input(SEQUENCE)
        layer = keras.layers.MultiHeadAttention(2, 4, **options)
        return keras.Model(inputs, attend(layer, through(keras, inputs, TANH, norm)))

    enter(name, build)


attending("attention along time", lambda layer, x: layer(x, x), AXIS_1)
attending("attention without bias", lambda layer, x: layer(x, x), use_bias=False)
attending("attention in training mode", lambda layer, x: layer(x, x, training=True))
attending("attention that sees a mask", lambda layer, x: layer(x, x, attention_mask=x))
attending("attention with a key", lambda layer, x: layer(x, x, key=x))
attending("attention, then along time", lambda layer, x: through_keras(layer, layer(x, x), axis=1))
attending("attention without bias, then bn", lambda layer, x: through_keras(layer, layer(x, x)), use_bias=False)
attending("scores of an attention", lambda layer, x: through_keras(layer, layer(x, x, return_attention_scores=True)[1]))


def through_keras(like: Any, x: Any, axis: int = -1) -> Any:
    """A BatchNorm and a tanh of the same Keras as a layer."""
    layers = __import__(type(like).__module__.partition(".")[0]).layers
    return layers.Activation("tanh")(layers.BatchNormalization(axis=axis)(x))


@counterexample()
def masked_by_hand(keras: Any) -> Any:
    inputs = keras.Input(SEQUENCE)
    mask = keras.Input((4,), dtype="bool")
    x = keras.layers.GlobalAveragePooling1D()(through(keras, inputs, dense(4)), mask=mask)
    return keras.Model([inputs, mask], through(keras, x, BN, TANH))


CONSTANTS = {
    "for each position": np.arange(1.0, 5)[:, None], "for each element": np.arange(1.0, 17).reshape(4, 4),
    "for each sample": np.arange(1.0, 3)[:, None, None], "that is zero": 0.0, "for each channel": np.arange(1.0, 5),
}  # fmt: skip
OPERATORS = {"+": lambda x, c: x + c, "*": lambda x, c: x * c, "-": lambda x, c: x - c, "/": lambda x, c: x / (c + 1.0)}
OPERATORS |= {"from": lambda x, c: 2.5 - x * c, "inverse": lambda x, c: 2.5 / (x * x + 1.0) + c}


def with_constant(sign: str, which: str) -> Build:
    """A constant between a Dense and a Dense."""

    def build(keras: Any) -> Any:
        inputs = keras.Input(SEQUENCE, batch_size=2)
        constant = np.asarray(CONSTANTS[which], "float32")
        x = OPERATORS[sign](through(keras, inputs, dense(4)), constant if constant.ndim else float(constant))
        return keras.Model(inputs, through(keras, x, BN, TANH))

    return build


for sign in OPERATORS:
    for which in CONSTANTS:
        enter(f"{sign} a constant {which}", with_constant(sign, which))


@counterexample()
def constant_for_a_size_unknown(keras: Any) -> Any:
    inputs = keras.Input((None, 4))
    x = through(keras, inputs, dense(4)) * np.ones((1, 1), "float32")
    return keras.Model(inputs, through(keras, x + 1.5, layer("Permute", (2, 1)), function(lambda x: x * 2.0), TANH))


@counterexample()
def one_layer_before_three(keras: Any) -> Any:
    """One Dense called three times, twice before equal BatchNorms and once before none."""
    inputs = keras.Input(VECTOR)
    dense, norm = keras.layers.Dense(4), keras.layers.BatchNormalization()
    x = norm(dense(through(keras, norm(dense(inputs)), TANH)))
    return keras.Model(inputs, dense(through(keras, x, TANH)))


@counterexample()
def two_layers_of_one_class(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    norm = keras.layers.BatchNormalization()
    ends = [through(keras, norm(through(keras, inputs, each)), TANH) for each in (TANH, layer("Activation", "elu"))]
    return keras.Model(inputs, ends)


def own_norm(axis: Any) -> Make:
    """Kerasbn's own layer, which takes several axes in both Kerases."""
    return lambda layers: _own(layers).batch_normalization(axis=axis)


def _own(layers: Any) -> Flavour:
    return Flavour(layers.__name__.partition(".")[0])


def not_training(make: Make) -> Make:
    """A layer called in inference mode, whatever was called before it."""
    return lambda layers: lambda x: make(layers)(x, training=False)


TRAINED = training(layer("BatchNormalization", momentum=1.0))
chain("convolutions in a row, padded", IMAGE, conv(2, 1), conv(4, 3, padding="same"), BN)
chain("convolutions in a row, of groups", IMAGE, conv(4, 1), conv(4, 3, groups=2), BN)
chain("convolutions in a row, that would grow", IMAGE, conv(1, 3), conv(8, 3), BN)
chain("convolutions in a row, small", IMAGE, conv(8, 1), conv(2, 3), BN)
chain("convolutions in a row, dilated and strided", (9, 9, 4), conv(8, 1, strides=2), conv(2, 3, dilation_rate=2), BN)
chain("convolutions in a row, active", IMAGE, conv(8, 1, activation="tanh"), conv(2, 3), BN)
chain("dense in a row", VECTOR, dense(8), dense(2), BN)
chain("dense in a row, that would grow", (8,), dense(1), dense(8), BN)
chain("dense in a row, active", VECTOR, dense(8, activation="tanh"), dense(2), BN)
chain("dense behind a convolution", IMAGE, conv(8, 1), dense(2), BN)
chain("training right before", VECTOR, TANH, TRAINED, not_training(BN), TANH)
chain("joined along one of its axes", (4, 4, 4), conv(4, 1), function(lambda x: x), own_norm([1, 3]), TANH)
chain("several axes, then a mean", (4, 4, 4), TANH, own_norm([1, 3]), layer("AveragePooling2D", 2), dense(3))
chain(
    "a constant that is broadcast", (4, 1), TANH, function(lambda x: x * np.arange(1.0, 6).astype("float32")), BN, TANH
)
chain("a constant of more axes", VECTOR, dense(4), function(lambda x: x + np.ones((3, 1, 4), "float32")), TANH)
chain("rms norm", SEQUENCE, lambda layers: getattr(layers, "RMSNormalization", layers.LayerNormalization)(), BN, TANH)
chain("time distributed function", SEQUENCE, dense(4), td(layer("Activation", "softmax")), AXIS_1, TANH)
chain("time distributed lone pooling", (3, None, 4), td(layer("MaxPooling1D", 2)), td(BN), TANH)
two_way("valid branches of two sizes", IMAGE, ADD, [conv(4, 3), BN], [conv(4, 6)], TANH)
two_way("branches of four channels and one", IMAGE, ADD, [conv(4, 1), BN], [conv(1, 1)], TANH)
two_way("bn and the value itself", VECTOR, ADD, [BN], [], TANH)
two_way("trained branch", VECTOR, ADD, [dense(4)], [TRAINED], TANH)
two_way("joined along one of two axes", (4, 4, 2), CONCATENATE, [conv(2, 1)], [conv(2, 1)], own_norm([1, 3]), TANH)


@counterexample()
def one_layer_twice_in_a_row(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    shared = keras.layers.Dense(4)
    return keras.Model(inputs, through(keras, shared(shared(inputs)), BN))


@counterexample()
def whole_numbers(keras: Any) -> Any:
    inputs = keras.Input((6, 6, 3), dtype="uint8")
    return keras.Model(inputs, through(keras, inputs, layer("Rescaling", 0.1, -1.0), conv(4, 3), BN))


@counterexample()
def states_of_an_lstm(keras: Any) -> Any:
    inputs = keras.Input(SEQUENCE)
    state = through(keras, inputs, layer("GlobalAveragePooling1D"), TANH, BN)
    return keras.Model(inputs, keras.layers.LSTM(4)(inputs, initial_state=[state, state]))


@counterexample()
def mask_for_a_mean_behind(keras: Any) -> Any:
    inputs, mask = keras.Input(SEQUENCE), keras.Input((4,), dtype="bool")
    x = keras.layers.GlobalAveragePooling1D()(through(keras, inputs, TANH, BN), mask=mask)
    return keras.Model([inputs, mask], keras.layers.Dense(3)(x))


BEFORE_THE_GATE: dict[str, Callable[[Any], Any]] = {
    "of three": lambda x: x + 3.0,
    "of two": lambda x: x + 2.0,
    "of a product": lambda x: x * 3.0,
    "of a sum": lambda x: x + x,
}


def swish(before: Callable[[Any], Any], gate: Make) -> Build:
    """A hard swish, or nearly one, before a Dense."""

    def build(keras: Any) -> Any:
        inputs = keras.Input(VECTOR)
        x = through(keras, inputs, TANH)
        gated = through(keras, before(x), gate) * (1 / 6)
        return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Multiply()([x, gated])))

    return build


for which, before in BEFORE_THE_GATE.items():
    enter(f"hard swish {which}", swish(before, layer("ReLU", 6.0)))
enter("hard swish by name", swish(lambda x: x + 3.0, layer("Activation", "relu6")))


def adapted(name: str, build: Callable[[Any, Any], Any]) -> None:
    """A layer with low-rank weights beside its own, where Keras has them."""

    def made(keras: Any) -> Any:
        def tuned(layer: Any, x: Any) -> Any:
            y = layer(x)
            if hasattr(layer, "enable_lora"):
                layer.enable_lora(2)
            return y

        return build(keras, tuned)

    enter(name, made)


def _adapted_dense(keras: Any, tuned: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = through(keras, tuned(keras.layers.Dense(4), through(keras, inputs, TANH, BN)), BN, TANH)
    return keras.Model(inputs, x)


def _adapted_embedding(keras: Any, tuned: Any) -> Any:
    inputs = keras.Input((4,), dtype="int32")
    return keras.Model(inputs, through(keras, tuned(keras.layers.Embedding(9, 4), inputs), BN, TANH))


def _adapted_branches(keras: Any, tuned: Any) -> Any:
    inputs = keras.Input(VECTOR)
    return keras.Model(
        inputs, keras.layers.Add()([tuned(keras.layers.Dense(4), inputs), keras.layers.Dense(4)(inputs)])
    )


adapted("adapted dense", _adapted_dense)
adapted("adapted embedding", _adapted_embedding)
adapted("adapted branches", _adapted_branches)
