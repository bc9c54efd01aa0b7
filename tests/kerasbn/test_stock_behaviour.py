"""What the stock layers do that ours follows, or does not on purpose: if one of these fails, Keras has changed."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.flavour import KERAS, TF_KERAS

SHAPES = {2: (6, 3), 3: (6, 2, 3), 4: (6, 2, 2, 3), 5: (6, 2, 1, 2, 3)}


def moving_variance(layer, x):
    layer(tf.constant(x), training=True)
    return layer.moving_variance.numpy()


@pytest.mark.parametrize("rank", SHAPES)
@pytest.mark.parametrize("ours", [True, False])
def test_which_variance_is_averaged(keras_flavour, rank, ours, rng, assert_close):
    x = rng.normal(size=SHAPES[rank]).astype("float32")
    make = keras_flavour.batch_normalization if ours else keras_flavour.keras.layers.BatchNormalization
    unbiased = keras_flavour.name == "tf_keras" and rank in (4, 5)
    expected = x.var(tuple(range(rank - 1)), ddof=int(unbiased))
    assert_close(moving_variance(make(momentum=0.0), x), expected, 1e-5)


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("fused", [None, False])
@pytest.mark.parametrize("rank", SHAPES)
def test_the_convention_is_an_option(keras_flavour, rank, fused, unbiased, rng, assert_close):
    x = rng.normal(size=SHAPES[rank]).astype("float32")
    layer = keras_flavour.batch_normalization(momentum=0.0, fused=fused, unbiased_variance=unbiased)
    expected = x.var(tuple(range(rank - 1)), ddof=int(unbiased))
    assert_close(moving_variance(layer, x), expected, 1e-5)


def test_small_epsilons_are_taken_as_given(keras_flavour, rng, assert_close):
    """The kernel of older TensorFlows raised them to 1.001e-5, in inference too."""
    x = rng.normal(size=(6, 2, 2, 3)).astype("float32")
    tiny = np.array([1e-5, 1e-6, 1e-7])
    for make in (keras_flavour.batch_normalization, keras_flavour.keras.layers.BatchNormalization):
        layer = make(epsilon=1e-7)
        layer.build(x.shape)
        layer.set_weights([np.ones(3), np.zeros(3), np.zeros(3), tiny])
        assert_close(layer(x), x / np.sqrt(tiny + 1e-7), 1e-5)


def test_tf_keras_ignores_masks_where_it_is_fused(rng, assert_close):
    x, mask = rng.normal(size=(6, 2, 2, 3)).astype("float32"), rng.random((6, 2, 2)) < 0.5
    stock = TF_KERAS.keras.layers.BatchNormalization(momentum=0.0)
    with pytest.warns(UserWarning, match="Masking is not supported"):
        stock(x, training=True, mask=mask)
    ours = TF_KERAS.batch_normalization(momentum=0.0)
    ours(x, training=True, mask=mask)
    assert_close(stock.moving_mean.numpy(), x.mean((0, 1, 2)), 1e-5)
    assert_close(ours.moving_mean.numpy(), x[mask].mean(0), 1e-5)


def test_the_sum_of_the_stock_layer_drifts(rng):
    """A third of a million rows at |mean|/sigma = 1000: the stock layer's variance is wrong by more than itself."""
    x = (rng.normal(size=(320_000, 3)) + 1000).astype("float32")
    exact = x.astype("float64").var(0)
    stock = moving_variance(KERAS.keras.layers.BatchNormalization(momentum=0.0), x)
    ours = moving_variance(KERAS.batch_normalization(momentum=0.0), x)
    assert np.abs(stock / exact - 1).max() > 1
    assert np.abs(ours / exact - 1).max() < 1e-3
