"""The bound of rounding in float32: a kernel that begins its sums with the bias is within it, a wrong one is not."""

import numpy as np
import pytest

from kerasbn_export.capture import capture
from kerasbn_export.verification.layers.steps import steps
from kerasbn_export.verification.network.network import Network

pytestmark = pytest.mark.either_keras

TERMS = 4096


@pytest.fixture(params=[False, True], ids=["Dense", "BatchNorm"])
def layer(request, keras_flavour, rng):
    """A bias of 1 and products of a thousandth, in a layer alone or out of a BatchNorm; kernel, bias and inputs."""
    layers = keras_flavour.keras.layers
    given = keras_flavour.keras.Input((TERMS,))
    kernel, bias = rng.normal(0, 1e-3 / np.sqrt(TERMS), (TERMS, 64)), np.ones(64)
    dense = layers.Dense(64, use_bias=not request.param)
    x = dense(given)
    if request.param:
        norm = keras_flavour.batch_normalization(epsilon=1e-3)
        x = norm(x)
        norm.set_weights([np.ones(64), np.ones(64), np.zeros(64), np.full(64, 1 - 1e-3)])
    dense.set_weights([kernel, bias] if not request.param else [kernel])
    return keras_flavour.keras.Model(given, x), kernel, bias, rng.normal(size=(1, TERMS))


def bounded(model, inputs):
    """What the last value is to be, and its bound."""
    network = Network(capture(model))
    values = network.start([inputs])
    (first, *_) = network.computing()
    values.update(network.evaluate(first, values))
    *_, last = steps(network, values, first, frozenset({"BatchNormalization"}), clones=False, bounded=True)
    return last.array, last.bound.array


def test_a_sum_that_begins_with_its_bias_is_no_fault(layer):
    model, kernel, bias, inputs = layer
    right, bound = bounded(model, inputs)
    found = bias.astype(np.float32)
    for term in (inputs.astype(np.float32).T * kernel.astype(np.float32)).astype(np.float32):
        found = (found + term).astype(np.float32)
    error = np.abs(found - right)
    assert np.all(error <= bound)
    assert error.max() > 8 * 2**-24  # more than what rounding the result alone explains


def test_a_bias_off_by_a_hundredth_of_a_percent_is_one(layer):
    model, _, _, inputs = layer
    right, bound = bounded(model, inputs)
    assert np.all(np.abs(1e-4 * right) > bound)
