"""Where a constant channel goes and where it stays: each condition from both sides.

The BatchNorm named ``bn`` has five channels; three have a gamma of zero, and betas of 0.5, -0.5 and 0.25.
"""

import numpy as np
import pytest
from kerasbn_testing.judging import relative_error, run
from kerasbn_testing.statistics import data_for, own_name, randomise

from kerasbn_export import remove_constant_channels

GAMMA, BETA = [0.0, 1.3, 0.0, 0.0, -0.7], [0.5, 0.2, -0.5, 0.25, 0.4]
FIVE = np.arange(1, 6, dtype="float32")


class Network:
    """What a case is built from: layers of one Keras, and the stem that gives the channels."""

    def __init__(self, flavour):
        self.flavour, self.keras, self.layers = flavour, flavour.keras, flavour.keras.layers
        self.inputs = None

    def stem(self, shape=(6, 7, 3), function="relu", **options):
        """Convolution, BatchNorm, activation: constants 0.5, 0 and 0.25 behind a ReLU."""
        self.inputs = self.keras.Input(shape)
        made = self.layers.Dense(5, **options)(self.inputs)
        return self.layers.Activation(function)(self.norm(made))

    def norm(self, tensor, **options):
        return self.layers.BatchNormalization(name="bn", **options)(tensor)

    def head(self, *tensors):
        """Each is pooled to two dimensions and goes into a Dense."""
        ends = [self.layers.Dense(2)(self.pooled(tensor)) for tensor in tensors]
        return self.keras.Model(self.inputs, ends)

    def pooled(self, tensor):
        rank = len(tensor.shape)
        return tensor if rank == 2 else getattr(self.layers, f"GlobalAveragePooling{rank - 2}D")()(tensor)


def after(kind, *arguments, shape=(6, 7, 3), function="relu", **options):
    """The stem, then one layer."""

    def build(net):
        tensor = net.stem(shape, function)
        return net.head(getattr(net.layers, kind)(*arguments, **options)(tensor))

    return build


def chain(*layers, shape=(6, 7, 3), function="relu"):
    """The stem, then several layers, each a name with its arguments."""

    def build(net):
        tensor = net.stem(shape, function)
        for kind, *arguments in layers:
            options = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
            tensor = getattr(net.layers, kind)(*arguments, **options)(tensor)
        return net.head(tensor)

    return build


def zeros_around(function):
    """Zeros around the constants, an activation, a convolution."""
    return chain(("ZeroPadding2D", 1), ("Activation", function), ("Conv2D", 4, 3))


def first(kind, *arguments, **options):
    """One layer, then the BatchNorm."""

    def build(net):
        net.inputs = net.keras.Input((6, 7, 5))
        return net.head(net.norm(getattr(net.layers, kind)(*arguments, **options)(net.inputs)))

    return build


def gives_it(net):
    tensor = net.stem()
    return net.keras.Model(net.inputs, [tensor, net.layers.Dense(2)(net.pooled(tensor))])


def seen_before(net):
    net.inputs = net.keras.Input((6, 7, 3))
    made = net.layers.Dense(5)(net.inputs)
    return net.head(net.norm(made), made)


def sum_with_what_varies(net):
    tensor = net.stem()
    return net.head(net.layers.Add()([tensor, net.layers.Dense(5)(net.inputs)]))


def sum_of_the_same_constants(net):
    tensor = net.stem()
    return net.head(net.layers.Add()([tensor, net.layers.Activation("tanh")(tensor)]))


def product_with_what_varies(net):
    tensor = net.stem()
    return net.head(net.layers.Multiply()([tensor, net.layers.Dense(5)(net.inputs)]))


def side_by_side(net):
    tensor = net.stem()
    return net.head(net.layers.Concatenate()([net.layers.Dense(2)(net.inputs), tensor, tensor]))


def one_above_the_other(net):
    tensor = net.stem()
    return net.head(net.layers.Concatenate(axis=1)([tensor, tensor]))


def one_above_another(net):
    tensor = net.stem()
    return net.head(net.layers.Concatenate(axis=1)([tensor, net.layers.Activation("tanh")(tensor)]))


def shared(net):
    tensor, layer = net.stem(), net.layers.Conv2D(3, 2)
    return net.head(layer(tensor), layer(net.layers.Dropout(0.5)(tensor)))


def shared_with_other_constants(net):
    tensor, layer = net.stem(), net.layers.Conv2D(3, 2)
    return net.head(layer(tensor), layer(net.layers.Activation("tanh")(tensor)))


def shared_and_padded(net):
    tensor, layer = net.stem(), net.layers.Conv2D(3, 3, padding="same")
    return net.head(layer(tensor), layer(net.layers.MaxPooling2D(2)(tensor)))


def producer_at_two_places(net):
    net.inputs = net.keras.Input((6, 7, 3))
    layer = net.layers.Dense(5)
    return net.head(net.norm(layer(net.inputs)), layer(net.layers.ReLU()(net.inputs)))


def whole_block_at_two_places(net):
    net.inputs = net.keras.Input((6, 7, 3))
    layer, norm = net.layers.Dense(5), net.layers.BatchNormalization(name="bn")
    return net.head(norm(layer(net.inputs)), norm(layer(net.layers.ReLU()(net.inputs))))


def embedded(net, **options):
    net.inputs = net.keras.Input((6,), dtype="int32")
    return net.head(net.norm(net.layers.Embedding(7, 5, **options)(net.inputs)))


def with_arithmetic(calculate):
    def build(net):
        return net.head(calculate(net.stem(), net))

    return build


def in_training(net):
    net.inputs = net.keras.Input((6, 7, 3))
    return net.head(net.layers.BatchNormalization(name="bn")(net.layers.Dense(5)(net.inputs), training=True))


def along_another_axis(net):
    net.inputs = net.keras.Input((5, 7, 3))
    return net.head(net.norm(net.layers.Dense(4)(net.inputs), axis=1))


def inside_of_a_model(net):
    inner = net.keras.Input((6, 7, 3))
    block = net.keras.Model(inner, net.layers.ReLU()(net.norm(net.layers.Dense(5)(inner))), name="block")
    net.inputs = net.keras.Input((6, 7, 3))
    return net.head(net.layers.Conv2D(3, 2)(block(net.inputs)))


def for_scales(net):
    """Squeeze and excite of a depthwise layer: what scales a zero is not needed either."""
    tensor = net.stem()
    scales = net.layers.Dense(5, activation="sigmoid")(net.pooled(tensor))
    return net.head(net.layers.Multiply()([tensor, net.layers.Reshape((1, 1, 5))(scales)]))


def relu6_of(tensor, net):
    import tensorflow as tf

    return net.keras.ops.relu6(tensor) if net.flavour.name == "keras" else tf.nn.relu6(tensor)


GOES = {
    "dense": (after("Dense", 4), 3, ()),
    "convolution without padding": (after("Conv2D", 4, 3), 3, ()),
    "convolution of one tap": (after("Conv2D", 4, 1, padding="same"), 3, ()),
    "padding, one carries the others": (after("Conv2D", 4, 3, padding="same"), 2, ("carrier",)),
    "padding, three constants": (after("Conv2D", 4, 3, padding="same", function="tanh"), 2, ("carrier",)),
    "causal": (after("Conv1D", 4, 3, padding="causal", shape=(9, 3)), 2, ("carrier",)),
    "transposed": (after("Conv2DTranspose", 4, 3, strides=2), 2, ("carrier",)),
    "zeros around, then a convolution": (chain(("ZeroPadding2D", 2), ("Conv2D", 4, 3)), 2, ("carrier",)),
    "zeros around, then f(0) = 0": (zeros_around("tanh"), 2, ("carrier",)),
    "depthwise without padding": (after("DepthwiseConv2D", 3, depth_multiplier=2, activation="tanh"), 3, ()),
    "separable without padding": (after("SeparableConv2D", 4, 3), 3, ()),
    "largest with padding": (after("MaxPooling2D", 3, strides=1, padding="same"), 3, ()),
    "average with padding": (after("AveragePooling2D", 3, strides=1, padding="same"), 3, ()),
    "enlarged": (after("UpSampling2D", 2, interpolation="bilinear"), 3, ()),
    "cropped": (after("Cropping2D", 1), 3, ()),
    "flattened": (after("Flatten"), 3, ()),
    "reshaped": (chain(("Reshape", (42, 5)), ("Conv1D", 4, 2)), 3, ()),
    "flattened by a reshape": (after("Reshape", (210,)), 3, ()),
    "permuted": (chain(("Permute", (2, 1, 3)), ("Conv2D", 4, 2)), 3, ()),
    "dropout": (after("SpatialDropout2D", 0.5), 3, ()),
    "slopes": (after("PReLU", shared_axes=[1, 2], function="linear"), 3, ()),
    "scaled by one number": (after("Rescaling", 2.0, 1.0), 3, ()),
    "hard sigmoid": (after("Activation", "hard_sigmoid"), 3, ()),
    "calculated": (with_arithmetic(lambda tensor, _: 1.0 - tensor * 0.5), 3, ()),
    "relu6": (with_arithmetic(relu6_of), 3, ()),
    "sum of constants": (sum_of_the_same_constants, 3, ()),
    "side by side": (side_by_side, 3, ()),
    "one above the other": (one_above_the_other, 3, ()),
    "shared": (shared, 3, ()),
    "shared and padded": (shared_and_padded, 2, ("carrier",)),
    "a block at two places": (whole_block_at_two_places, 3, ()),
    "table": (embedded, 3, ()),
    "model inside": (inside_of_a_model, 3, ()),
    "activation inside the layer before": (first("Conv2D", 5, 3, activation="relu"), 3, ()),
    "transposed before": (first("Conv2DTranspose", 5, 3), 3, ()),
    "separable before": (first("SeparableConv2D", 5, 3), 3, ()),
    "zero times what varies": (product_with_what_varies, 1, ("not-constant",)),
    "squeeze and excite": (for_scales, 1, ("not-constant",)),
}  # fmt: skip
STAYS = {
    "depthwise with padding": (after("DepthwiseConv2D", 3, padding="same"), 1, ("zero-padding",)),
    "separable with padding": (after("SeparableConv2D", 4, 3, padding="same"), 1, ("zero-padding",)),
    "zeros around, then a maximum": (chain(("ZeroPadding2D", 1), ("MaxPooling2D", 2)), 1, ("zero-padding",)),
    "zeros around, then depthwise": (chain(("ZeroPadding2D", 1), ("DepthwiseConv2D", 3)), 1, ("zero-padding",)),
    "zeros around, then f(0) = 0.5": (zeros_around("sigmoid"), 1, ("zero-padding",)),
    "given": (gives_it, 0, ("model-output",)),
    "seen before": (seen_before, 0, ("not-constant",)),
    "sum": (sum_with_what_varies, 0, ("not-constant",)),
    "one above another": (one_above_another, 1, ("not-constant",)),
    "shared, other constants": (shared_with_other_constants, 1, ("shared",)),
    "producer elsewhere": (producer_at_two_places, 0, ("not-constant",)),
    "recurrent": (chain(("Reshape", (42, 5)), ("LSTM", 4)), 0, ("no-way",)),
    "softmax": (after("Softmax"), 0, ("no-way",)),
    "softmax inside": (first("Dense", 5, activation="softmax"), 0, ("no-way",)),
    "norm of the channels": (after("LayerNormalization"), 0, ("no-way",)),
    "groups": (after("Conv2D", 5, 3, groups=5), 0, ("no-way",)),
    "groups before": (first("Conv2D", 5, 3, groups=5), 0, ("no-way",)),
    "channel axis moved": (after("Permute", (3, 1, 2)), 0, ("no-way",)),
    "channels split": (after("Reshape", (7, 30)), 0, ("no-way",)),
    "slope of each position": (after("PReLU"), 0, ("no-way",)),
    "turned around": (with_arithmetic(lambda tensor, _: tensor[..., ::-1]), 0, ("no-way",)),
    "number for each channel": (with_arithmetic(lambda tensor, _: tensor * FIVE), 0, ("no-way",)),
    "divided by itself": (with_arithmetic(lambda tensor, _: (tensor + 1.0) / (tensor + 1.0)), 0, ("no-way",)),
    "training": (in_training, 0, ("no-way",)),
    "axis": (along_another_axis, 0, ("no-way",)),
    "channels first": (after("MaxPooling2D", 2, data_format="channels_first"), 0, ("no-way",)),
}  # fmt: skip


def given(model, rng):
    """Weights that mean something, and the gammas and betas of ``bn``."""
    randomise(model, rng)
    norm = next(layer for layer in model._flatten_layers() if layer.name == "bn")
    for variable in norm.weights:
        known = {"gamma": GAMMA, "beta": BETA}.get(own_name(variable))
        if known is not None:
            variable.assign(known)
    return model


@pytest.mark.either_keras
@pytest.mark.sweep
@pytest.mark.parametrize("cases", [GOES, STAYS], ids=["goes", "stays"])
def test_constant_channels_go_or_stay(cases, keras_flavour, rng):
    for name, (build, removed, why) in cases.items():
        model = given(build(Network(keras_flavour)), rng)
        result = remove_constant_channels(model)
        (record,) = result.removed
        assert (record.channels, record.silent, record.removed) == (5, 3, removed), (name, record)
        assert tuple(sorted({stay.why.value for stay, _ in record.stays})) == why, name
        assert sum(count for _, count in record.stays) == 3 - removed, name
        assert bool(result) is (removed > 0), name
        assert (result.model.count_params() < model.count_params()) is (removed > 0), name
        if name not in ("training", "channels first"):  # one differs from batch to batch, and no CPU runs the other
            data = data_for(model, rng, batch=3)
            assert relative_error(run(result.model, data), run(model, data)) <= 1e-5, name


def test_the_average_of_positions_that_a_mask_may_leave_none_of_is_no_constant(keras_flavour, rng):
    model = given(embedded(Network(keras_flavour), mask_zero=True), rng)
    result = remove_constant_channels(model)
    assert not result
    assert sum(count for _, count in result.removed[0].stays) == 3
    data = np.array([[1, 2, 3, 0, 0, 0], [0, 0, 0, 0, 0, 0]], "int32")
    assert all(
        np.array_equal(*pair, equal_nan=True) for pair in zip(run(model, data), run(result.model, data), strict=True)
    )


def test_the_last_channel_stays(keras_flavour, rng):
    net = Network(keras_flavour)
    model = given(net.head(net.stem()), rng)
    model.get_layer("bn").gamma.assign(np.zeros(5))
    result = remove_constant_channels(model)
    assert [(record.removed, record.stays[0][0].why.value) for record in result.removed] == [(4, "last")]
    data = data_for(model, rng)
    assert relative_error(run(result.model, data), run(model, data)) <= 1e-5


def test_weights_that_would_not_be_finite_stay_out(keras_flavour, rng):
    net = Network(keras_flavour)
    layer = net.layers.Conv2D(4, 3)
    model = given(net.head(layer(net.stem())), rng)
    model.get_layer("bn").beta.assign(np.full(5, 3e38))
    layer.kernel.assign(np.ones((3, 3, 5, 4)))
    result = remove_constant_channels(model)
    assert not result
    assert {stay.why.value for stay, _ in result.removed[0].stays} == {"overflow"}


def test_a_network_in_mixed_precision(keras_flavour, rng):
    keras_flavour.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        net = Network(keras_flavour)
        model = given(net.head(net.layers.Conv2D(4, 3, padding="same")(net.stem())), rng)
    finally:
        keras_flavour.keras.mixed_precision.set_global_policy("float32")
    result = remove_constant_channels(model)
    assert result.removed[0].removed == 2
    data = data_for(model, rng)
    assert relative_error(run(result.model, data), run(model, data)) <= 1e-2


@pytest.mark.parametrize("options", [{}, {"renorm": True}, {"momentum": None}, {"center": False}])
def test_the_layer_of_kerasbn(options, keras_flavour, rng):
    net = Network(keras_flavour)
    net.inputs = net.keras.Input((6, 7, 3))
    norm = keras_flavour.batch_normalization(name="bn", **options)
    model = given(net.head(norm(net.layers.Conv2D(5, 3)(net.inputs))), rng)
    result = remove_constant_channels(model)
    assert result.removed[0].removed == 3
    data = data_for(model, rng)
    assert relative_error(run(result.model, data), run(model, data)) <= 1e-5
    assert type(result.model.get_layer("bn")) is type(norm)
