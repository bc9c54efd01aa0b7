"""check: seeded faults are found, at their layer and under their name, and healthy models raise no alarm."""

from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from kerasbn import check, recalibrate
from kerasbn.errors import InvalidArgumentError, UnsupportedModelError
from kerasbn.flavour import NAMES, Flavour
from kerasbn.statistics.batches import some_of
from kerasbn.statistics.layers import batchnorms
from kerasbn.statistics.measured import Measurement, stored
from kerasbn.statistics.thresholds import TABLE
from kerasbn.statistics.weights_alone import of_layer
from kerasbn.statistics.with_data import measure, of_statistics
from kerasbn.statistics.workers import Workers

SAMPLES = 400


def convolutions(flavour):
    layers, bn = flavour.keras.layers, flavour.keras.layers.BatchNormalization
    return flavour.keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(12, 3),
            bn(name="first"),
            layers.ReLU(),
            layers.DepthwiseConv2D(3),
            bn(name="second"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(16),
            bn(name="last"),
            layers.Dense(4),
        ]
    )


def perceptron(flavour):
    layers, bn = flavour.keras.layers, flavour.batch_normalization
    wide = flavour.keras.initializers.RandomNormal(stddev=0.2, seed=1)
    return flavour.keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Flatten(),
            bn(name="first"),
            layers.Dense(32, "relu", kernel_initializer=wide),
            bn(name="last"),
            layers.Dense(4),
        ]
    )


def nested(flavour):
    layers, bn = flavour.keras.layers, flavour.keras.layers.BatchNormalization
    start = layers.Input((8, 8, 3))
    x = bn(name="first")(layers.Conv2D(8, 3, padding="same")(start))
    inner = flavour.keras.Sequential([layers.Input((8, 8, 8)), layers.Conv2D(8, 1), bn(name="inner"), layers.ReLU()])
    x = layers.Add()([x, inner(x)])
    x = bn(name="last")(layers.Dense(10)(layers.Flatten()(x)))
    return flavour.keras.Model(start, layers.Dense(4)(x))


NETWORKS = {f"{build.__name__}-{name}": (build, name) for build in (convolutions, perceptron, nested) for name in NAMES}


def samples():
    rng = np.random.default_rng(3)
    return (rng.normal(size=(SAMPLES, 8, 8, 3)) * [0.5, 1, 2] + [0.2, 1, -1]).astype("float32")


@cache
def healthy(name):
    """A network with statistics of its data, its weights, and what it measures on other data of the same source."""
    build, flavour = NETWORKS[name]
    Flavour(flavour).keras.utils.set_random_seed(11)
    model, x = build(Flavour(flavour)), samples()
    for norm in batchnorms(model):
        shape = tuple(norm.layer.gamma.shape)
        norm.layer.gamma.assign(np.random.default_rng(5).uniform(0.5, 1.5, shape))
    recalibrate(model, x[: SAMPLES // 2], exact=True)
    measurement = Measurement(model, batchnorms(model), Workers(None))
    found = measure(measurement, iter(some_of(x[SAMPLES // 2 :], 64, model, 8192)), None)
    return SimpleNamespace(model=model, weights=model.get_weights(), found=found, x=x[SAMPLES // 2 :])


@pytest.fixture(params=list(NETWORKS))
def network(request):
    """One of six healthy networks; put back afterwards."""
    one = healthy(request.param)
    yield one
    one.model.set_weights(one.weights)


def layer_findings(one, *, steps=None, batch_size=None):
    """What `check` says of the layers, on data that were measured once."""
    norms = batchnorms(one.model)
    alone = [each for norm in norms for each in of_layer(norm, TABLE, steps, batch_size)]
    measured = one.found.whole
    return alone + [
        each
        for norm in norms
        for each in of_statistics(norm, measured[norm.path], stored(norm), TABLE, one.found.samples)
    ]


def scaled(weight, factor):
    weight.assign(weight * factor)


def one_channel(weight, value, channel=1):
    values = np.array(weight.numpy())
    values.flat[channel] = value
    weight.assign(values)


def short_training(layer, rest=0.95):
    layer.moving_mean.assign(layer.moving_mean * (1 - rest))
    layer.moving_variance.assign(layer.moving_variance * (1 - rest) + rest)


def swap(layer):
    mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    layer.moving_mean.assign(variance)
    layer.moving_variance.assign(np.abs(mean) if (mean >= 0).all() else mean)


def scale_inputs(layer):
    scaled(layer.moving_mean, 255.0)
    scaled(layer.moving_variance, 255.0**2)


def other_data(layer):
    rng = np.random.default_rng(8)
    sigma = np.sqrt(np.maximum(layer.moving_variance.numpy(), 1e-3))
    layer.moving_mean.assign(layer.moving_mean + sigma * rng.normal(size=sigma.shape) * 3)
    layer.moving_variance.assign(layer.moving_variance * 4.0 ** rng.normal(size=sigma.shape))


def reset(layer):
    layer.moving_mean.assign(layer.moving_mean * 0)
    layer.moving_variance.assign(layer.moving_variance * 0 + 1)


FAULTS = {
    "NaN in a mean": (lambda layer: one_channel(layer.moving_mean, np.nan), "not-finite"),
    "infinite gamma": (lambda layer: one_channel(layer.gamma, np.inf), "not-finite"),
    "variance below 0": (lambda layer: one_channel(layer.moving_variance, -0.5), "negative-variance"),
    "never updated": (reset, "never-updated"),
    "momentum 0.999 and 50 steps": (short_training, "not-converged"),
    "swapped": (swap, "swapped|negative-variance"),
    "inputs times 255 in training only": (scale_inputs, "scaled-inputs"),
    "statistics of another data set": (other_data, "shifted-mean"),
    "variance of other data": (lambda layer: scaled(layer.moving_variance, 9.0), "shifted-variance|scaled-inputs"),
    "one channel far off": (lambda layer: one_channel(layer.moving_mean, 90.0), "shifted-mean"),
    "mean far above sigma": (lambda layer: one_channel(layer.moving_mean, 1e6), "large-mean"),
    "gamma beyond float16": (lambda layer: one_channel(layer.gamma, 1e9), "large-scale"),
    "gamma 0": (lambda layer: one_channel(layer.gamma, 0.0), "zero-gamma"),
    "variance 0": (lambda layer: one_channel(layer.moving_variance, 0.0), "tiny-variance"),
}


@pytest.mark.either_keras
@pytest.mark.sweep
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named(network, fault):
    inject, kinds = FAULTS[fault]
    norm = next(norm for norm in batchnorms(network.model) if norm.path.endswith("last"))
    inject(norm.layer)
    found = layer_findings(network)
    assert {each.layer for each in found} == {norm.path}
    assert set(kinds.split("|")) & {each.kind for each in found}
    named = next(each for each in found if each.kind in kinds.split("|"))
    assert (
        len(named.channels) == norm.layout.channels or not named.channels or 1 in named.channels or fault == "swapped"
    )
    assert any(character.isdigit() for character in named.evidence)


def test_healthy_networks_raise_no_alarm(network):
    assert layer_findings(network) == []


@pytest.mark.either_keras
def test_the_whole_of_check_on_one_fault(network):
    labels = np.argmax(network.model.predict(network.x, verbose=0), -1)
    health = check(network.model, (network.x, labels))
    assert health
    assert not health.findings, str(health)
    other_data(next(norm.layer for norm in batchnorms(network.model) if norm.path.endswith("last")))
    before = network.model.get_weights()
    health = check(network.model, (network.x, labels))
    assert not health
    assert health.exit_code == 1
    assert {"shifted-mean", "output", "metric"} <= {each.kind for each in health.findings}
    assert all(map(np.array_equal, before, network.model.get_weights()))
    assert str(health).startswith("Not fit: ")
    assert "<table>" in health._repr_html_()


def test_steps_and_batch_size_that_are_known(network):
    bn = next(norm.layer for norm in batchnorms(network.model) if norm.path.endswith("last"))
    short_training(bn)
    bn.momentum, old = 0.999, bn.momentum
    try:
        found = [each for each in layer_findings(network, steps=50) if each.layer.endswith("last")]
    finally:
        bn.momentum = old
    assert "95.1%" in next(each for each in found if each.kind == "not-converged").evidence
    small = [each for each in layer_findings(network, batch_size=2) if each.kind == "small-batch"]
    assert any(each.layer.endswith("last") and each.severity == "fail" for each in small)
    assert not [each for each in layer_findings(network, batch_size=64) if each.kind == "small-batch"]


def test_fine_tuning_for_few_steps_is_no_short_training(keras_flavour):
    """Statistics of a long training before, with a new optimizer: variances below what would be left of the first 1."""
    model = perceptron(keras_flavour)
    recalibrate(model, samples() * 0.1)
    model.compile("sgd", "mse")
    model.train_on_batch(samples()[:64] * 0.1, np.zeros((64, 4)))
    assert "not-converged" not in {each.kind for each in check(model).findings}


def test_the_counter_of_the_optimizer(keras_flavour):
    model = perceptron(keras_flavour)
    model.compile(keras_flavour.keras.optimizers.SGD(0.0), "mse")
    model.fit(samples()[:96], np.zeros((96, 4)), batch_size=32, verbose=0)
    assert {each.kind for each in check(model).findings} == {"not-converged"}


def test_training_mode_and_frozen_layers(keras_flavour):
    layers = keras_flavour.keras.layers
    start = layers.Input((4,))
    x = layers.BatchNormalization(name="baked", momentum=0.5)(start, training=True)
    model = keras_flavour.keras.Model(start, layers.BatchNormalization(name="frozen", trainable=False)(x))
    kinds = {each.kind: each for each in check(model).findings}
    assert kinds["training-mode"].layer == "baked"
    assert kinds["training-mode"].severity == "fail"
    assert kinds["mixed-frozen"].severity == "note"
    inner = keras_flavour.keras.Sequential([layers.Input((4,)), layers.BatchNormalization(name="bn")], name="inner")
    outer = keras_flavour.keras.Model(start, inner(start, training=True))
    assert "inner/bn" in {each.layer for each in check(outer).findings if each.kind == "training-mode"}
    inner = keras_flavour.keras.Sequential([layers.Input((4,)), layers.BatchNormalization(name="bn")], name="inner")
    assert "training-mode" not in {each.kind for each in check(keras_flavour.keras.Model(start, inner(start))).findings}


def test_training_mode_inside_a_subclassed_model(keras_flavour):
    keras = keras_flavour.keras

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.bn, self.head = keras.layers.BatchNormalization(), keras.layers.Dense(2)

        def call(self, x):
            return self.head(self.bn(x, training=True))

    model, x = Net(), samples()[:64, 0, 0]
    model(x)
    assert "training-mode" in {each.kind for each in check(model, x).findings}


def test_an_uneven_kernel(keras_flavour):
    layers = keras_flavour.keras.layers
    model = keras_flavour.keras.Sequential([layers.Input((5,)), layers.Dense(16), layers.BatchNormalization(name="bn")])
    recalibrate(model, np.random.default_rng(0).normal(size=(64, 5)))
    assert check(model)
    one_channel(model.layers[-1].gamma, 1e4)
    found = {each.kind: each for each in check(model).findings}
    assert found["uneven-scale"].channels == (1,)


@pytest.mark.either_keras
def test_what_cannot_be_told(keras_flavour):
    model, x = perceptron(keras_flavour), samples()
    recalibrate(model, x)
    few = check(model, x[:20])
    assert few.exit_code == 2
    assert few.undecided
    shift = np.repeat(np.arange(5.0), 80)[:, None, None, None] * 20
    alike = (x + shift).astype("float32")
    recalibrate(model, alike, exact=True, force=True)
    assert check(model, alike)
    assert not check(model, alike).undecided
    by_class = check(model, (alike[at : at + 40] for at in range(0, 400, 40)))
    assert by_class.undecided
    assert "shuffle" in str(by_class)


def test_thresholds_can_be_changed(keras_flavour):
    model, x = perceptron(keras_flavour), samples()
    recalibrate(model, x)
    assert not check(model, threshold={"large-mean": (0.0001, 0.001)})
    with pytest.raises(InvalidArgumentError, match="accepted: not-finite"):
        check(model, threshold={"colour": 1})
    with pytest.raises(InvalidArgumentError, match="a number"):
        check(model, threshold={"large-mean": "much"})
    with pytest.raises(InvalidArgumentError, match="dict"):
        check(model, threshold=3)


def test_models_without_batchnorm_and_with_one_of_its_own(keras_flavour):
    keras = keras_flavour.keras
    health = check(keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)]))
    assert health
    assert health.batchnorms == ()

    class Own(keras.layers.BatchNormalization):
        def call(self, inputs, **_):
            return inputs

    with pytest.raises(UnsupportedModelError, match="call of its own"):
        check(keras.Sequential([keras.layers.Input((3,)), Own()]))
    with pytest.raises(InvalidArgumentError, match="Expected"):
        check(3)


def test_the_documentation_has_every_threshold():
    text = (Path(__file__).parents[3] / "docs" / "statistics.md").read_text()
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    for kind, threshold in TABLE.items():
        assert threshold.why in rows[kind]
        for number in (threshold.warn, threshold.fail):
            shown = (
                "any"
                if number == 0
                else f"{number:,.0f}"
                if number and number > 99
                else f"{number:.3g}"
                if number
                else ""
            )
            assert f"| {shown} |" in rows[kind]
