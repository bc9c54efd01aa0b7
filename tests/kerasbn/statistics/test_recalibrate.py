"""recalibrate: the statistics of the data, exactly; nothing else moves; all or nothing."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbn import recalibrate
from kerasbn.errors import InvalidArgumentError, UnsupportedModelError
from kerasbn.statistics.records import WorseStatisticsError
from kerasbn.statistics.running import Running, merged

AXES = {2: (0,), 3: (0, 1), 4: (0, 1, 2)}


@pytest.fixture(params=["stock", "kerasbn"])
def batchnorm(request, keras_flavour):
    """The BatchNormalization of either maker."""
    stock = keras_flavour.keras.layers.BatchNormalization
    return stock if request.param == "stock" else keras_flavour.batch_normalization


def inputs(rng, *shape):
    return (rng.normal(size=shape) * rng.uniform(0.1, 20, shape[-1]) + rng.normal(size=shape[-1]) * 30).astype(
        "float32"
    )


def sequential(flavour, *layers, shape):
    return flavour.keras.Sequential([flavour.keras.layers.Input(shape), *layers])


def averages(layer):
    return layer.moving_mean.numpy().astype("float64"), layer.moving_variance.numpy().astype("float64")


def assert_is_of(layer, x, unbiased=False, tolerance=1e-6):
    mean, variance = averages(layer)
    x = x.astype("float64")
    axes = tuple(range(x.ndim - 1))
    np.testing.assert_allclose(mean.ravel(), x.mean(axes), rtol=tolerance, atol=tolerance * 1e-2)
    np.testing.assert_allclose(variance.ravel(), x.var(axes, ddof=int(unbiased)), rtol=tolerance)


def is_fused_in_stock(flavour, rank):
    return flavour.name == "tf_keras" and rank in (4, 5)


@pytest.mark.sweep
@pytest.mark.parametrize("shape", [(333, 5), (200, 7, 5), (150, 6, 6, 5)])
def test_the_first_layer_has_the_statistics_of_numpy(batchnorm, keras_flavour, rng, shape):
    x, layer = inputs(rng, *shape), batchnorm()
    model = sequential(keras_flavour, layer, keras_flavour.keras.layers.Dense(2), shape=shape[1:])
    record = recalibrate(model, x)
    assert record
    assert_is_of(layer, x, is_fused_in_stock(keras_flavour, len(shape)))
    (before,), (after,) = record.before.values(), record.after.values()
    assert (before.mean == 0).all()
    assert (before.variance == 1).all()
    np.testing.assert_allclose(after.mean, averages(layer)[0], rtol=1e-6)
    assert record.samples == len(x)


def test_the_comparison_sees_an_unbiased_variance(keras_flavour, rng):
    x, layer = inputs(rng, 40, 5), keras_flavour.keras.layers.BatchNormalization()
    recalibrate(sequential(keras_flavour, layer, shape=(5,)), x)
    with pytest.raises(AssertionError):
        assert_is_of(layer, x, unbiased=True)


def test_the_mean_of_batches_is_what_training_without_memory_averages(batchnorm, keras_flavour, rng):
    x, layer = inputs(rng, 96, 4, 4, 3), batchnorm(momentum=0.0)
    model = sequential(keras_flavour, layer, shape=(4, 4, 3))
    stored = []
    for begin in range(0, 96, 32):
        layer(x[begin : begin + 32], training=True)
        stored.append(averages(layer))
    recalibrate(model, x, mode="batch", batch_size=32)
    for found, expected in zip(averages(layer), np.mean(stored, axis=0), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def deep(flavour, batchnorm, **options):
    """Nested, with dropout, with a shared BatchNorm and one in a wrapper."""
    keras = flavour.keras
    layers = keras.layers
    inner = keras.Sequential([layers.Input((5, 6)), layers.Dense(4), batchnorm(name="bn", **options)], name="inner")
    start, shared = layers.Input((5, 6)), batchnorm(name="shared", **options)
    x = layers.TimeDistributed(batchnorm(name="step"), name="time")(start)
    one, other = shared(layers.Dense(3, name="one")(x)), shared(layers.Dense(3, name="other")(x))
    x = layers.Dropout(0.5)(layers.Concatenate()([one, other]))
    x = layers.ReLU()(inner(layers.Dense(6)(x)))
    return keras.Model(start, layers.Dense(2)(layers.Flatten()(x)))


def test_shared_nested_and_wrapped_layers(batchnorm, keras_flavour, rng):
    model, x = deep(keras_flavour, batchnorm), inputs(rng, 120, 5, 6)
    record = recalibrate(model, x, batch_size=120)
    assert {path.rpartition("/")[2] for path in record.after} == {"bn", "shared", "step"}
    assert_is_of(model.get_layer("time").layer, x)
    normal = (x - x.mean((0, 1), dtype="float64")) / np.sqrt(x.var((0, 1), dtype="float64") + 1e-3)
    both = [normal @ model.get_layer(name).get_weights()[0] for name in ("one", "other")]
    assert_is_of(model.get_layer("shared"), np.concatenate(both), tolerance=1e-4)


def test_nothing_else_moves(batchnorm, keras_flavour, rng):
    model, x = deep(keras_flavour, batchnorm), inputs(rng, 80, 5, 6)
    moving = {id(variable) for layer in model._flatten_layers() if hasattr(layer, "moving_mean")
              for variable in (layer.moving_mean, layer.moving_variance)}  # fmt: skip
    still = [each for each in model.variables if id(each) not in moving]
    before = [np.array(each.numpy()) for each in still]
    recalibrate(model, x)
    assert all(np.array_equal(each.numpy(), old) for each, old in zip(still, before, strict=True))
    assert all("call" not in vars(layer) for layer in model._flatten_layers())


@pytest.mark.sweep
def test_exact_is_what_each_layer_sees_when_it_is_deployed(batchnorm, keras_flavour, rng):
    layers, x = keras_flavour.keras.layers, inputs(rng, 90, 6)
    second, third = batchnorm(), batchnorm()
    model = sequential(
        keras_flavour, batchnorm(), layers.Dense(8, "relu"), second, layers.Dense(4, "relu"), third, shape=(6,)
    )
    recalibrate(model, x, batch_size=16, exact=True)
    for layer in (second, third):
        index = model.layers.index(layer)
        before = x
        for each in model.layers[:index]:
            before = each(before, training=False) if hasattr(each, "moving_mean") else each(before)
        assert_is_of(layer, np.asarray(before), tolerance=1e-5)


def test_one_pass_is_not_exact_in_deeper_layers(keras_flavour, rng):
    layers, x = keras_flavour.keras.layers, inputs(rng, 90, 6)
    second = layers.BatchNormalization()
    model = sequential(
        keras_flavour, layers.BatchNormalization(), layers.Dense(8, "relu"), second, layers.Dense(2), shape=(6,)
    )
    recalibrate(model, x, batch_size=16)
    before = model.layers[1](model.layers[0](x, training=False))
    with pytest.raises(AssertionError):
        assert_is_of(second, np.asarray(before), tolerance=1e-5)


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["list", "dict", "dataset", "generator", "function", "sequence", "labels"])
def test_data_of_every_kind(keras_flavour, rng, kind):
    keras, x = keras_flavour.keras, inputs(rng, 100, 4)
    layers, bn = keras.layers, keras.layers.BatchNormalization()
    several = kind in ("list", "dict")
    start = [layers.Input((4,), name="a"), layers.Input((4,), name="b")] if several else layers.Input((4,))
    first = start[0] if several else start
    y = layers.Dense(2)(bn(first))
    model = keras.Model(start, layers.Add()([y, layers.Dense(2)(start[1])]) if several else y)

    def batches():
        return (x[at : at + 20] for at in range(0, 100, 20))

    sequence = getattr(keras.utils, "PyDataset", None) or keras.utils.Sequence

    class Rows(sequence):
        def __len__(self):
            return 5

        def __getitem__(self, index):
            return x[20 * index : 20 * index + 20], np.zeros((20, 2))

    data = {
        "list": lambda: [x, x + 1],
        "dict": lambda: {"b": x + 1, "a": x},
        "dataset": lambda: tf.data.Dataset.from_tensor_slices((x, np.zeros((100, 2)))).batch(30),
        "generator": batches,
        "function": lambda: batches,
        "sequence": Rows,
        "labels": lambda: (x, np.zeros((100, 2))),
    }[kind]()
    record = recalibrate(model, data, force=True)
    assert record.samples == 100
    assert_is_of(bn, x)


def test_a_subclassed_model_that_is_not_built(batchnorm, keras_flavour, rng):
    keras = keras_flavour.keras

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.bn, self.head = batchnorm(), keras.layers.Dense(3)

        def call(self, x, training=None):
            return self.head(self.bn(x, training=training))

    model, x = Net(), inputs(rng, 70, 4)
    recalibrate(model, (x[at : at + 35] for at in (0, 35)))
    assert_is_of(model.bn, x)


def test_a_mask_leaves_elements_out(batchnorm, keras_flavour, rng):
    keras, x = keras_flavour.keras, inputs(rng, 60, 5, 4)
    x[:, 3:] = 0
    bn = batchnorm()
    model = sequential(keras_flavour, keras.layers.Masking(0.0), bn, shape=(5, 4))
    recalibrate(model, x)
    assert_is_of(bn, x[:, :3])


def test_renorm_and_ghost_batches(keras_flavour, rng):
    x, layer = inputs(rng, 64, 3), keras_flavour.batch_normalization(renorm=True)
    ghost = keras_flavour.batch_normalization(virtual_batch_size=16)
    model = sequential(keras_flavour, layer, keras_flavour.keras.layers.Dense(3), ghost, shape=(3,))
    recalibrate(model, x)
    assert_is_of(layer, x)
    mean, variance = averages(layer)
    np.testing.assert_allclose(layer.renorm_mean.numpy(), mean, rtol=1e-6)
    np.testing.assert_allclose(layer.renorm_stddev.numpy(), np.sqrt(variance + 1e-3), rtol=1e-6)
    np.testing.assert_allclose(layer.moving_stddev.numpy(), np.sqrt(variance + 1e-3), rtol=1e-6)
    assert (averages(ghost)[1] != 1).all()


def test_a_batchnorm_in_the_cell_of_a_loop(keras_flavour, rng):
    keras = keras_flavour.keras

    class Cell(keras.layers.Layer):
        state_size = 3

        def __init__(self):
            super().__init__()
            self.bn = keras.layers.BatchNormalization()

        def build(self, shape):
            self.bn.build(shape)
            self.built = True

        def call(self, x, states, training=None):
            return states[0] + self.bn(x, training=training), [states[0] + x]

    cell = Cell()
    model = sequential(keras_flavour, keras.layers.RNN(cell), shape=(6, 3))
    x = inputs(rng, 80, 6, 3)
    recalibrate(model, x)
    assert_is_of(cell.bn, x)


def test_a_prior_counts_as_so_many_samples(keras_flavour, rng):
    x, bn = inputs(rng, 100, 3), keras_flavour.keras.layers.BatchNormalization()
    model = sequential(keras_flavour, bn, keras_flavour.keras.layers.Dense(2), shape=(3,))
    old = inputs(rng, 300, 3)
    recalibrate(model, old)
    recalibrate(model, x, prior=300)
    assert_is_of(bn, np.concatenate([old, x]), tolerance=1e-5)


def broken_data(rng):
    x = inputs(rng, 320, 4)
    x[300, 2] = np.nan
    return x


def failing(rng):
    yield inputs(rng, 20, 4)
    yield inputs(rng, 20, 4)
    raise KeyboardInterrupt


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("make", "error"),
    [
        (broken_data, InvalidArgumentError),
        (failing, KeyboardInterrupt),
        (lambda rng: inputs(rng, 64, 5), InvalidArgumentError),
        (lambda rng: inputs(rng, 1, 4), InvalidArgumentError),
        (lambda rng: inputs(rng, 0, 4), InvalidArgumentError),
        (lambda _: 3, InvalidArgumentError),
        (lambda rng: tf.data.Dataset.from_tensor_slices(inputs(rng, 9, 4)).batch(3).repeat(), InvalidArgumentError),
    ],
)
def test_all_or_nothing(keras_flavour, rng, make, error):
    layers = keras_flavour.keras.layers
    model = sequential(
        keras_flavour, layers.BatchNormalization(), layers.Dense(3), layers.BatchNormalization(), shape=(4,)
    )
    recalibrate(model, inputs(rng, 50, 4))
    before = model.get_weights()
    with pytest.raises(error):
        recalibrate(model, make(rng))
    assert all(map(np.array_equal, before, model.get_weights()))
    assert all("call" not in vars(layer) for layer in model._flatten_layers())


def classifier(flavour, rng, samples=400):
    """A model whose classes can be told, and its data; trained by construction."""
    labels = rng.integers(0, 2, samples)
    x = (rng.normal(size=(samples, 4)) + 4 * labels[:, None]).astype("float32")
    layers = flavour.keras.layers
    model = sequential(flavour, layers.BatchNormalization(), layers.Dense(2), shape=(4,))
    recalibrate(model, x)
    model.layers[-1].set_weights([np.tile([[-1.0, 1.0]], (4, 1)), np.zeros(2)])
    return model, x, labels


def test_destroyed_statistics_give_back_the_accuracy(keras_flavour, rng):
    model, x, labels = classifier(keras_flavour, rng)
    bn = model.layers[-2]
    bn.moving_mean.assign(bn.moving_mean + 50.0)
    record = recalibrate(model, (x, labels))
    assert record.validation.metric == "share of wrong classes"
    assert record.validation.before > 0.3
    assert record.validation.after < 0.02
    assert record.validation.better is True
    assert "better" in str(record)


def test_a_worse_model_is_refused_unless_forced(keras_flavour, rng):
    model, x, labels = classifier(keras_flavour, rng)
    before, other = model.get_weights(), x + 30
    with pytest.raises(WorseStatisticsError, match="force=True") as caught:
        recalibrate(model, other, validation=(x, labels))
    assert all(map(np.array_equal, before, model.get_weights()))
    assert not caught.value.record
    record = recalibrate(model, other, validation=(x, labels), force=True)
    assert record.kept
    assert record.validation.better is False
    assert_is_of(model.layers[-2], other)


def test_good_statistics_are_not_refused(keras_flavour, rng):
    model, x, _ = classifier(keras_flavour, rng)
    assert recalibrate(model, x)
    assert recalibrate(model, x[:40])


def test_without_labels_a_right_model_is_not_refused_by_chance(keras_flavour, rng):
    """Statistics 0 and 1 are right here, and those of a hundred samples are not better."""
    layers = keras_flavour.keras.layers
    model = sequential(keras_flavour, layers.BatchNormalization(), layers.Dense(2), shape=(4,))
    assert recalibrate(model, rng.normal(size=(100, 4)), batch_size=16)


def test_without_labels_sorted_data_are_refused(keras_flavour, rng):
    """Each batch is of one kind: deeper layers would get statistics of inputs that they never see."""
    layers, x = keras_flavour.keras.layers, rng.normal(size=(320, 6)).astype("float32")
    kinds = rng.normal(size=(5, 6)) * 4
    parts = [layers.Dense(8, "relu"), layers.BatchNormalization()]
    model = sequential(
        keras_flavour,
        layers.BatchNormalization(),
        *parts,
        layers.Dense(8, "relu"),
        layers.BatchNormalization(),
        shape=(6,),
    )
    mixed = (x + kinds[np.arange(320) % 5]).astype("float32")
    recalibrate(model, mixed)
    with pytest.raises(WorseStatisticsError):
        recalibrate(model, mixed[np.argsort(np.arange(320) % 5, kind="stable")])


def test_frozen_layers_are_left(keras_flavour, rng):
    layers, x = keras_flavour.keras.layers, inputs(rng, 64, 4)
    frozen = layers.BatchNormalization(name="frozen", trainable=False)
    model = sequential(keras_flavour, frozen, layers.Dense(3), layers.BatchNormalization(name="free"), shape=(4,))
    record = recalibrate(model, x)
    assert list(record.after) == ["free"]
    assert list(record.left) == ["frozen"]
    assert (averages(frozen)[0] == 0).all()
    model.layers[-1].trainable = False
    with pytest.raises(UnsupportedModelError, match="frozen"):
        recalibrate(model, x)


def test_what_has_no_batchnorm_or_no_second_pass_is_refused(keras_flavour, rng):
    layers, x = keras_flavour.keras.layers, inputs(rng, 64, 4)
    with pytest.raises(UnsupportedModelError, match="it has none"):
        recalibrate(sequential(keras_flavour, layers.Dense(2), shape=(4,)), x)
    model = sequential(keras_flavour, layers.BatchNormalization(), shape=(4,))
    with pytest.raises(InvalidArgumentError, match="exact"):
        recalibrate(model, (each for each in [x]), exact=True)
    with pytest.raises(InvalidArgumentError, match="population, batch"):
        recalibrate(model, x, mode="median")
    with pytest.raises(InvalidArgumentError, match="Strategy"):
        recalibrate(model, x, distributed="two")


def test_chan_merges_any_parts_in_any_order(rng):
    x = rng.normal(size=(1000, 3)) * 1e-3 + 1e3
    parts = np.split(x, [1, 1, 7, 400])
    order = rng.permutation(len(parts))
    total = Running.empty((3,))
    for part in (parts[index] for index in order):
        mean = part.mean(0) if len(part) else np.zeros(3)
        total = merged(total, Running(np.full(3, float(len(part))), mean, ((part - mean) ** 2).sum(0)))
    np.testing.assert_allclose(total.mean, x.mean(0), rtol=1e-13)
    np.testing.assert_allclose(total.variance(unbiased=True), x.var(0, ddof=1), rtol=1e-8)


def test_a_strategy_of_one_worker_is_none(keras_flavour, rng):
    x = inputs(rng, 64, 4)
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        bn = keras_flavour.keras.layers.BatchNormalization()
        model = sequential(keras_flavour, bn, keras_flavour.keras.layers.Dense(2), shape=(4,))
    recalibrate(model, x, distributed=strategy)
    assert_is_of(bn, x)
