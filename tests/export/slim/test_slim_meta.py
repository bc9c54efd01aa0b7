"""What a wrong slimming would do: each step of the way, broken on purpose, is seen in the outputs."""

from dataclasses import replace

import numpy as np
import pytest
from kerasbn_testing.judging import relative_error, run
from kerasbn_testing.statistics import own_name, randomise

from kerasbn_export import remove_constant_channels, verify
from kerasbn_export.slim import cut, remove
from kerasbn_export.slim.channels import Channels
from kerasbn_export.slim.flow import State

pytestmark = pytest.mark.either_keras


def network(flavour, rng):
    """Two padded convolutions, a depthwise layer, a sum and a valid convolution; a third of the gammas are zero."""
    layers = flavour.keras.layers
    tensor = inputs = flavour.keras.Input((8, 8, 3))
    for filters in (9, 9):
        tensor = layers.Conv2D(filters, 3, padding="same", use_bias=False)(tensor)
        tensor = layers.Activation("sigmoid")(layers.BatchNormalization()(tensor))
    tensor = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(tensor))
    branch = layers.BatchNormalization()(layers.Conv2D(9, 1)(tensor))
    tensor = layers.Conv2D(6, 3)(layers.Add()([tensor, branch]))
    model = flavour.keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(tensor)))
    randomise(model, rng)
    for variable in model.weights:
        if own_name(variable) == "gamma":
            variable.assign(np.tile([0.0, 0.9, -1.1], 3))
        if own_name(variable) == "beta":
            variable.assign(rng.uniform(0.5, 1.5, 9))
    return model


def without_constants(layer, *_, **__):
    """The constants that go are forgotten."""
    return layer


def into_the_bias(layer, taken, constants, _, **__):
    """As if nothing were padded."""
    return cut.taking_constants(layer, taken, constants, None, padded=False)


def carried_by_the_wrong_ratio(layer, taken, constants, carrier, *, padded):
    """As if the channel that carries were one."""
    wrong = constants if carrier is None else np.where(np.arange(constants.size) == carrier, 1.0, constants)
    return cut.taking_constants(layer, taken, wrong, carrier, padded=padded)


def forgotten_activation(monkeypatch):
    monkeypatch.setattr("kerasbn_export.slim.passing.evaluate", lambda *given: given[-1])


def constants_at_the_border(monkeypatch):
    monkeypatch.setattr(State, "lose", lambda _, flow, *__: flow.constants)
    monkeypatch.setattr("kerasbn_export.slim.weighted.pads", lambda *_: False)


def untied_branches(monkeypatch):
    monkeypatch.setattr(Channels, "tie", lambda *_: None)


def taking(broken):
    return lambda monkeypatch: monkeypatch.setattr(remove, "taking_constants", broken)


FAULTS = {
    "constants forgotten": taking(without_constants),
    "padding forgotten": taking(into_the_bias),
    "wrong ratio": taking(carried_by_the_wrong_ratio),
    "activation forgotten": forgotten_activation,
    "border forgotten": constants_at_the_border,
    "branches not tied": untied_branches,
}


def error(model, rng):
    result = remove_constant_channels(model)
    assert result
    data = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    return relative_error(run(result.model, data), run(model, data)), result


def test_the_network_is_slimmed_right(keras_flavour, rng):
    model = network(keras_flavour, rng)
    assert error(model, rng)[0] <= 1e-5


@pytest.mark.sweep
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(fault, keras_flavour, rng, monkeypatch):
    model = network(keras_flavour, rng)
    FAULTS[fault](monkeypatch)
    difference, result = error(model, rng)
    assert difference > 1e-3
    assert not verify(model, result.model, layers=False)


def test_a_channel_that_varies_is_seen_where_it_is_taken_for_constant(keras_flavour, rng, monkeypatch):
    model = network(keras_flavour, rng)
    known = State.use

    def use(self, call, flow, *, padded):
        known(self, call, replace(flow, constants=np.nan_to_num(flow.constants)), padded=padded)

    monkeypatch.setattr(State, "use", use)
    assert error(model, rng)[0] > 1e-3
