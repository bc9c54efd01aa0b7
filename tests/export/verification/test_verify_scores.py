"""What stands before the last softmax or sigmoid is known to the referee, too, behind an activation that is none."""

import numpy as np
import pytest

from kerasbn_export.capture import capture
from kerasbn_export.verification.network.network import Network
from kerasbn_export.verification.sides.keras_runner import KerasRunner

pytestmark = pytest.mark.either_keras


@pytest.mark.parametrize("last", ["sigmoid", "softmax"])
@pytest.mark.parametrize("casts", [0, 1, 2])
def test_both_know_the_scores(keras_flavour, rng, last, casts):
    layers = keras_flavour.keras.layers
    x = inputs = keras_flavour.keras.Input((5,))
    x = layers.Activation(last)(layers.Concatenate()([layers.Dense(3)(x), layers.Dense(2)(x)]))
    for _ in range(casts):
        x = layers.Activation("linear", dtype="float32")(x)
    model = keras_flavour.keras.Model(inputs, [x, layers.Dense(2)(x)])
    data = [rng.normal(size=(4, 5)).astype("float32")]
    seen = KerasRunner(model, "model").run_with_scores(data)
    known = Network(capture(model)).run_with_scores(data)
    assert seen[1][1] is known[1][1] is None
    np.testing.assert_allclose(known[1][0], seen[1][0], atol=1e-5)
    np.testing.assert_allclose(known[0][0], seen[0][0], atol=1e-5)
