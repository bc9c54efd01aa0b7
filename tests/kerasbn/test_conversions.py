"""Stock and PyTorch layers to ours and back; whole models."""

import numpy as np
import pytest
import tensorflow as tf
from tf_keras.src.layers.normalization import batch_normalization_v1

from kerasbn.errors import InvalidArgumentError, UnsupportedFeatureError, UnsupportedModelError
from kerasbn.flavour import TF_KERAS
from kerasbn.replace import replace_batchnorm
from kerasbn.stock import from_stock, to_stock

# PyTorch built for CUDA says so on a machine without it.
pytestmark = pytest.mark.filterwarnings("ignore:CUDA initialization:UserWarning")

OPTIONS = [
    {},
    {"axis": 1, "momentum": 0.6, "epsilon": 1e-2, "center": False},
    {"renorm": True, "renorm_clipping": {"rmax": 2.0}, "renorm_momentum": 0.5},
    {"synchronized": True, "scale": False, "trainable": False},
]
TF_KERAS_OPTIONS = [{"virtual_batch_size": 2}, {"axis": [1, 3]}, {"fused": False}]


def assert_same_layers(one, other, shape, rng, assert_close):
    assert one.name == other.name
    assert one.trainable == other.trainable
    x = rng.normal(3, 2, shape).astype("float32")
    for training in (False, True, False):
        assert_close(one(x, training=training), other(x, training=training), 1e-5)
    for weight, counterpart in zip(one.get_weights(), other.get_weights(), strict=True):
        assert_close(weight, counterpart, 1e-5)


def assert_round_trip(flavour, options, shape, rng, make_weights, assert_close):
    stock = flavour.keras.layers.BatchNormalization(**options, name="bn")
    stock.build(shape)
    extra = [rng.uniform(1, 2, w.shape) for w in stock.get_weights()[2 + stock.center + stock.scale :]]
    stock.set_weights([*make_weights(stock, rng), *extra])
    ours = from_stock(stock)
    assert_same_layers(ours, stock, shape, rng, assert_close)
    assert_same_layers(to_stock(ours), ours, shape, rng, assert_close)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("shape", [(6, 4, 5, 3), (6, 4, 5)])
def test_round_trip(keras_flavour, options, shape, rng, make_weights, assert_close):
    assert_round_trip(keras_flavour, options, shape, rng, make_weights, assert_close)


@pytest.mark.parametrize("options", TF_KERAS_OPTIONS)
def test_round_trip_of_what_only_tf_keras_has(options, rng, make_weights, assert_close):
    assert_round_trip(TF_KERAS, options, (6, 4, 5, 3), rng, make_weights, assert_close)


def test_unbuilt_layers_convert(keras_flavour):
    ours = from_stock(keras_flavour.keras.layers.BatchNormalization(momentum=0.5))
    assert (ours.built, ours.momentum) == (False, 0.5)
    assert to_stock(ours).momentum == 0.5


def test_subclasses_are_refused(keras_flavour):
    class Other(keras_flavour.keras.layers.BatchNormalization):
        def call(self, inputs, **options):
            return super().call(inputs, **options)

    with pytest.raises(InvalidArgumentError, match="subclass may compute something else"):
        from_stock(Other())


def test_a_subclass_with_other_defaults_is_taken(keras_flavour):
    class Slow(keras_flavour.keras.layers.BatchNormalization):
        def __init__(self):
            super().__init__(momentum=0.5)

    assert from_stock(Slow()).momentum == 0.5


@pytest.mark.parametrize("option", [{"momentum": None}, {"unbiased_variance": True}])
def test_what_stock_does_not_know_is_refused(keras_flavour, option):
    layer = keras_flavour.batch_normalization(**option)
    layer.build((None, 3))
    with pytest.raises(UnsupportedFeatureError, match=next(iter(option))):
        to_stock(layer)


def nested_model(keras):
    inner = keras.Sequential(
        [keras.layers.Input((8, 8, 4)), keras.layers.Conv2D(5, 3), keras.layers.BatchNormalization()], name="inner"
    )
    inputs = keras.layers.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 1)(inputs)
    x = keras.layers.BatchNormalization(axis=3, momentum=0.5, name="outer")(x)
    x = inner(keras.layers.ReLU()(x))
    x = keras.layers.TimeDistributed(keras.layers.BatchNormalization())(x)
    return keras.Model(inputs, keras.layers.Concatenate()([x, x]))


def test_replace_batchnorm(keras_flavour, rng, assert_close):
    keras = keras_flavour.keras
    model = nested_model(keras)
    model.set_weights([rng.uniform(0.5, 2, weight.shape) for weight in model.get_weights()])
    before = model.get_weights()
    found = replace_batchnorm(model)
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    assert_close(found(x), model(x), 1e-5)
    assert [layer.name for layer in found._flatten_layers()] == [layer.name for layer in model._flatten_layers()]
    classes = [type(layer) for layer in found._flatten_layers()]
    assert classes.count(keras_flavour.batch_normalization) == 3
    assert keras.layers.BatchNormalization not in classes
    found.set_weights([weight + 1 for weight in before])
    for weight, weight_before in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, weight_before)


def test_replace_batchnorm_refuses_what_it_cannot_open(keras_flavour):
    keras = keras_flavour.keras

    class Block(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.bn = keras.layers.BatchNormalization(name="hidden")

        def build(self, shape):
            self.bn.build(shape)
            self.built = True

        def call(self, x):
            return self.bn(x)

        def compute_output_shape(self, shape):
            return shape

    keras.saving.register_keras_serializable("test")(Block)
    model = keras.Sequential([keras.layers.Input((3,)), Block()])
    with pytest.raises(UnsupportedModelError, match="in its own code: hidden"):
        replace_batchnorm(model)


def adjustment(shape):
    return tf.linspace(0.9, 1.1, shape[-1]), tf.linspace(-0.1, 0.1, shape[-1])


def test_adjustment_is_kept_or_refused(rng, make_weights, assert_close):
    """It is a function: a layer hands it on, the config of a whole model cannot."""
    layers = TF_KERAS.keras.layers
    stock = layers.BatchNormalization(adjustment=adjustment, name="bn")
    stock.build((6, 4, 3))
    stock.set_weights(make_weights(stock, rng))
    model = TF_KERAS.keras.Sequential([layers.Input((4, 3)), stock])
    with pytest.raises(UnsupportedFeatureError, match="adjustment in BatchNormalization bn"):
        replace_batchnorm(model)
    ours = from_stock(stock)
    assert_same_layers(ours, stock, (6, 4, 3), rng, assert_close)
    assert_same_layers(to_stock(ours), ours, (6, 4, 3), rng, assert_close)


def test_the_first_version_of_tf_keras_is_refused():
    """Frozen, it goes on with the statistics of the batch, as ours does not."""
    layer = batch_normalization_v1.BatchNormalization(adjustment=adjustment, name="bn")
    with pytest.raises(InvalidArgumentError, match=r"batch_normalization_v1\.BatchNormalization 'bn'"):
        from_stock(layer)
    model = TF_KERAS.keras.Sequential([TF_KERAS.keras.layers.Input((4, 3)), layer])
    with pytest.raises(UnsupportedFeatureError, match="adjustment in BatchNormalization bn"):
        replace_batchnorm(model)


TORCH_MODULES = [
    ("BatchNorm1d", (6, 3), {}),
    ("BatchNorm1d", (6, 3, 5), {"momentum": 0.3}),
    ("BatchNorm2d", (6, 3, 4, 5), {"momentum": None, "eps": 1e-2}),
    ("BatchNorm3d", (3, 3, 2, 4, 5), {"affine": False}),
]


@pytest.mark.parametrize(("name", "shape", "options"), TORCH_MODULES)
@pytest.mark.parametrize("last", [False, True])
def test_torch(keras_flavour, name, shape, options, last, rng, assert_close):
    """Outputs, gradients and statistics over three steps, then inference, there and back."""
    torch = pytest.importorskip("torch")
    from kerasbn.torch import from_torch, to_torch

    module = getattr(torch.nn, name)(3, **options)
    for parameter in module.parameters():
        parameter.data = torch.tensor(rng.normal(size=3).astype("float32"))
    ours = from_torch(module, keras_flavour.name, axis=-1 if last else 1, rank=len(shape))
    for _ in range(3):
        x = rng.normal(4, 3, shape).astype("float32")
        there = torch.tensor(x, requires_grad=True)
        expected = module(there)
        (expected**3).sum().backward()
        here = tf.constant(np.moveaxis(x, 1, -1) if last else x)
        with tf.GradientTape() as tape:
            tape.watch(here)
            y = ours(here, training=True)
            loss = tf.reduce_sum(y**3)
        gradient = tape.gradient(loss, here)
        back = (lambda a: np.moveaxis(np.asarray(a), -1, 1)) if last else np.asarray
        assert_close(back(y), expected.detach().numpy(), 1e-5)
        assert_close(back(gradient), there.grad.numpy(), 1e-4)
        assert_close(ours.moving_mean.numpy(), module.running_mean.numpy(), 1e-5)
        assert_close(ours.moving_variance.numpy(), module.running_var.numpy(), 1e-5)
    returned = to_torch(ours).eval()
    module.eval()
    assert_close(returned(torch.tensor(x)).detach().numpy(), module(torch.tensor(x)).detach().numpy(), 1e-6)
    assert_close(back(ours(here)), module(torch.tensor(x)).detach().numpy(), 1e-5)
    assert returned.momentum == pytest.approx(module.momentum)
