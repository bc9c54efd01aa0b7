"""A BatchNorm is in training mode where its own call says so, or that of a model around it; no other flag reaches it.

Keras 3 hands the flag of one layer on to the layers called after it, in `model(x)` and not in `model.predict`.
"""

import numpy as np
from kerasbn_testing.judging import flat, relative_error
from kerasbn_testing.statistics import data_for, randomise

from kerasbn.flavour import KERAS
from kerasbn_export.capture import capture
from kerasbn_export.folding.fold import fold


def judged(model, rng):
    """The reasons by layer, after the fold was compared with what `model.predict` gives."""
    randomise(model, rng)
    data = data_for(model, rng, batch=8)
    result = fold(model)
    expected, given = (flat(net.predict(data, verbose=0)) for net in (model, result.model))
    if not any(verdict.reason for verdict in result.verdicts):
        assert relative_error(list(map(np.asarray, given)), list(map(np.asarray, expected))) <= 1e-4
    return {verdict.layer: verdict.reason and verdict.reason.value for verdict in result.verdicts}


def test_a_flag_of_another_layer_does_not_count(keras_flavour, rng):
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((5,))
    first = layers.BatchNormalization(name="before")(layers.Dense(4)(inputs))
    flagged = layers.Dropout(0.0)(first, training=True)
    x = layers.BatchNormalization(name="after")(layers.Dense(4)(flagged))
    assert judged(keras_flavour.keras.Model(inputs, x), rng) == {"before": None, "after": None}


def test_a_batchnorm_in_training_mode_is_one_alone(keras_flavour, rng):
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((5,))
    first = layers.BatchNormalization(name="before")(layers.Dense(4)(inputs))
    flagged = layers.BatchNormalization(name="flagged", momentum=1.0)(first, training=True)
    x = layers.BatchNormalization(name="after")(layers.Dense(4)(flagged))
    reasons = judged(keras_flavour.keras.Model(inputs, x), rng)
    assert reasons == {"before": None, "flagged": "training", "after": None}


def test_a_flag_of_its_own_ends_it(keras_flavour, rng):
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((5,))
    x = layers.Dropout(0.0)(layers.Dense(4)(inputs), training=True)
    x = layers.BatchNormalization(name="own")(layers.Dense(4)(x), training=False)
    x = layers.BatchNormalization(name="after")(layers.Dense(4)(layers.Activation("tanh")(x)))
    assert judged(keras_flavour.keras.Model(inputs, x), rng) == {"own": None, "after": None}


def test_a_flag_inside_a_nested_model_stays_there(keras_flavour, rng):
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    inner_inputs = keras.Input((4,))
    x = layers.BatchNormalization(name="inside")(layers.Dense(4)(inner_inputs))
    inner = keras.Model(inner_inputs, layers.Dropout(0.0)(x, training=True), name="inner")
    inputs = keras.Input((4,))
    x = layers.BatchNormalization(name="outside")(layers.Dense(4)(inner(inputs)))
    reasons = judged(keras.Model(inputs, inner(layers.Activation("tanh")(x))), rng)
    assert (reasons["inner/inside"], reasons["outside"]) == (None, None)


def test_every_call_has_its_flag_where_one_has():
    """In another order of the calls, Keras 3 would hand a flag to other layers."""
    keras, layers = KERAS.keras, KERAS.keras.layers
    inputs = keras.Input((5,))
    first = layers.BatchNormalization(name="first")(inputs)
    last = layers.BatchNormalization(name="last")(layers.Dropout(0.0, name="one")(first, training=True))
    flags = {call.layer.name: call.kwargs.get("training") for call in capture(keras.Model(inputs, last))}
    assert {name: flags[name] for name in ("first", "one", "last")} == {"first": False, "one": True, "last": False}
    assert "training" not in capture(keras.Model(inputs, first)).outputs.producer.kwargs
