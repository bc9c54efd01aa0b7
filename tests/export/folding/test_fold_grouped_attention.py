"""BatchNorms around attention of grouped queries: Keras 3 has it, under another name than its class's."""

import numpy as np
import pytest
from kerasbn_testing.statistics import randomise

from kerasbn.flavour import KERAS, TF_KERAS
from kerasbn_export import fold

SEQUENCE = (5, 6)
WAYS = [
    ({"use_gate": True}, lambda layer, x, y: layer(x, y)),
    ({"use_gate": False}, lambda layer, x, y: layer(y, x)),
    ({"use_gate": True, "sliding_window": 2}, lambda layer, x, _: layer(x, x)),
]


def attention(flavour, options):
    grouped = getattr(flavour.keras.layers, "GroupQueryAttention", None)
    return flavour.keras.layers.MultiHeadAttention(2, 3) if grouped is None else grouped(3, 4, 2, **options)


def model_of(flavour, options, attend):
    """A BatchNorm, attention between it and the input, and a BatchNorm."""
    layers = flavour.keras.layers
    inputs = flavour.keras.Input(SEQUENCE)
    x = layers.BatchNormalization()(layers.Activation("tanh")(inputs))
    x = layers.BatchNormalization()(attend(attention(flavour, options), x, inputs))
    return flavour.keras.Model(inputs, layers.Activation("tanh")(x))


@pytest.mark.either_keras
@pytest.mark.parametrize(("options", "attend"), WAYS)
def test_they_go_into_its_projections(keras_flavour, rng, options, attend):
    model = model_of(keras_flavour, options, attend)
    randomise(model, rng)
    folded = fold(model)
    assert all(verdict.gone for verdict in folded.verdicts), folded.verdicts
    assert {rule for verdict in folded.verdicts for rule in verdict.rules} == {"attention"}
    data = rng.normal(size=(3, *SEQUENCE)).astype("float32")
    expected = model.predict(data, verbose=0)
    np.testing.assert_allclose(folded.model.predict(data, verbose=0), expected, rtol=0, atol=5e-6)


@pytest.mark.parametrize("flavour", [KERAS, TF_KERAS])
def test_every_listed_layer_is_a_stock_one_and_no_changed_one_is(flavour):
    layers = flavour.keras.layers
    made = attention(flavour, {})
    listed = flavour.stock_name(made)
    assert getattr(layers, listed) is type(made)
    assert flavour.stock_name(type("Mine", (type(made),), {"call": type(made).call})(3, 4, 2)) is None
