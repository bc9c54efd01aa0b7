"""Masks: what is False counts towards no statistic."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.errors import InvalidArgumentError


@pytest.fixture
def masked(rng):
    x = rng.normal(3, 2, (6, 7, 4)).astype("float32")
    mask = rng.random((6, 7)) < 0.6
    return x, mask


def test_statistics_are_of_the_unmasked(keras_flavour, masked, assert_close):
    x, mask = masked
    layer = keras_flavour.batch_normalization(momentum=0.0)
    y = layer(np.where(mask[..., None], x, 1e9).astype("float32"), training=True, mask=mask)
    kept = x[mask]
    assert_close(layer.moving_mean.numpy(), kept.mean(0), 1e-5)
    assert_close(layer.moving_variance.numpy(), kept.var(0), 1e-5)
    assert_close(np.asarray(y)[mask], (kept - kept.mean(0)) / np.sqrt(kept.var(0) + 1e-3), 1e-5)


def test_equal_to_stock(keras_flavour, masked, make_weights, rng, step, assert_close):
    x, mask = masked
    ours = keras_flavour.batch_normalization(momentum=0.5)
    stock = keras_flavour.keras.layers.BatchNormalization(momentum=0.5)
    for layer in (ours, stock):
        layer.build(x.shape)
    ours.set_weights(make_weights(ours, rng))
    stock.set_weights(ours.get_weights())
    found, expected = step(ours, tf.constant(x), mask=mask), step(stock, tf.constant(x), mask=mask)
    assert_close(found.y, expected.y, 1e-5)
    assert_close(found.dx, expected.dx, 1e-5)
    for each, other in zip(found.dweights + found.averages, expected.dweights + expected.averages, strict=True):
        assert_close(each, other, 1e-5)


def test_a_full_mask_is_no_mask(keras_flavour, masked, step, assert_close):
    x, mask = masked
    layers = [keras_flavour.batch_normalization(axis=1, momentum=0.5) for _ in range(2)]
    found, expected = step(layers[0], tf.constant(x), mask=np.ones_like(mask)), step(layers[1], tf.constant(x))
    assert_close(found.y, expected.y, 1e-5)
    assert_close(found.dx, expected.dx, 1e-5)
    for average, other in zip(found.averages, expected.averages, strict=True):
        assert_close(average, other, 1e-5)


def test_channels_first_counts_by_channel(keras_flavour, masked, assert_close):
    """With axis 1 a mask of (batch, channels) may leave channels different numbers of elements, or none."""
    x, mask = masked
    mask[:, 2] = False
    layer = keras_flavour.batch_normalization(axis=1, momentum=0.0, unbiased_variance=True)
    layer(x, training=True, mask=mask)
    kept = [x[mask[:, c], c] for c in range(7)]
    means = [each.mean() if each.size else 0 for each in kept]
    variances = [each.var(ddof=1) if each.size else 1 for each in kept]
    assert_close(layer.moving_mean.numpy(), means, 1e-5)
    assert_close(layer.moving_variance.numpy(), variances, 1e-5)


@pytest.mark.parametrize("axis", [-1, 1, [1, 2]])
def test_gradients_and_statistics_are_those_of_plain_operations(
    keras_flavour, axis, masked, rng, make_weights, step, assert_close
):
    """The kernel's few passes, and what is masked is not a number."""
    x, mask = masked
    layers = [keras_flavour.batch_normalization(axis=axis, momentum=0.5, fused=fused) for fused in (None, False)]
    for layer in layers:
        layer.build(x.shape)
    layers[0].set_weights(make_weights(layers[0], rng))
    layers[1].set_weights(layers[0].get_weights())
    found, expected = (step(layer, tf.constant(x), mask=mask) for layer in layers)
    for each, other in zip(
        [found.y, found.dx, *found.dweights, *found.averages],
        [expected.y, expected.dx, *expected.dweights, *expected.averages],
        strict=True,
    ):
        assert_close(each, other, 2e-5)
    layers[0](np.where(mask[..., None], x, np.nan).astype("float32"), training=True, mask=mask)
    layers[1](x, training=True, mask=mask)
    for each, other in zip(layers[0].get_weights(), layers[1].get_weights(), strict=True):
        assert_close(each, other, 2e-5)


def test_nothing_left_moves_nothing(keras_flavour, masked):
    x, mask = masked
    layer = keras_flavour.batch_normalization(momentum=0.5)
    y = layer(x, training=True, mask=np.zeros_like(mask))
    assert np.isfinite(np.asarray(y)).all()
    assert layer.moving_mean.numpy().tolist() == [0] * 4
    assert layer.moving_variance.numpy().tolist() == [1] * 4


def test_masks_arrive_from_the_layer_before(keras_flavour, masked, assert_close):
    keras = keras_flavour.keras
    x, mask = masked
    x = np.where(mask[..., None], x, 0).astype("float32")
    layer = keras_flavour.batch_normalization(momentum=0.0)
    model = keras.Sequential([keras.layers.Input((7, 4)), keras.layers.Masking(0.0), layer])
    model(x, training=True)
    assert_close(layer.moving_mean.numpy(), x[mask].mean(0), 1e-5)


def test_a_mask_of_another_rank_is_refused(keras_flavour, masked):
    x, _ = masked
    layer = keras_flavour.batch_normalization(name="bn")
    with pytest.raises((InvalidArgumentError, ValueError), match=r"'bn' got a mask of shape \(6,\)"):
        layer(x, training=True, mask=np.ones(6, bool))
