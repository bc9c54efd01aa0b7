"""Training on real digits, at a rate that is too much without BatchNorm: a subset of benchmarks/layer_training.py."""

import functools

import pytest
from layer_training import accuracy, cnn, digits


@pytest.fixture
def accuracy_with(keras_flavour):
    def train(norm):
        make = functools.partial(cnn, keras_flavour, (8, 8, 1), norm, (16, 16, 16, 16))
        return accuracy(keras_flavour, make, digits(), 1, 0.2, 32, 4)

    return train


@pytest.mark.either_keras
def test_a_large_rate_trains_as_with_the_stock_layer_and_not_without(keras_flavour, accuracy_with):
    ours = accuracy_with(keras_flavour.batch_normalization)
    assert ours > 0.9
    # Of 360 digits to test with, where another seed moves the accuracy by 1 to 2 %.
    assert ours == pytest.approx(accuracy_with(keras_flavour.keras.layers.BatchNormalization), abs=0.05)
    assert accuracy_with(None) < 0.5
