"""BatchNorms of tf_keras whose axis is a list, one entry or several: folded where they can be, else with a verdict."""

import pytest
import tf_keras
from kerasbn_testing.judging import assert_folds
from kerasbn_testing.statistics import data_for, randomise

import kerasbn.tf_keras
from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.folding.verdict import Reason

L = tf_keras.layers
NORMS = {"stock": L.BatchNormalization, "ours": kerasbn.tf_keras.BatchNormalization}
IMAGE = (4, 4, 3)


def conv(axis):
    return [L.Conv2D(5, 2), ("norm", axis), L.ReLU(), L.Conv2D(3, 1)]


GOES = {
    "one axis": (IMAGE, conv([3])),
    "one axis, as a tuple": (IMAGE, conv((3,))),
    "one axis, from the back": (IMAGE, conv([-1])),
    "two axes into a Dense": (IMAGE, [L.ReLU(), ("norm", [1, 3]), L.Flatten(), L.Dense(3)]),
    "all axes into a Dense": (IMAGE, [L.ReLU(), ("norm", [1, 2, 3]), L.Flatten(), L.Dense(3)]),
    "two axes into an EinsumDense": (
        (6, 4), [L.EinsumDense("abc,cbd->abd", (6, 5), bias_axes="bd"), ("norm", [1, 2]), L.ReLU()]
    ),
}  # fmt: skip
STAYS = {
    "two axes behind a Conv2D": ((8, 8, 3), conv([1, 3])),
    "two axes, the last first": ((8, 8, 3), conv([3, 1])),
    "two axes behind a Conv3D": ((4, 4, 4, 3), [L.Conv3D(4, 2), ("norm", [1, 4]), L.ReLU()]),
    "two axes behind a depthwise": ((5, 5, 4), [L.DepthwiseConv2D(2), ("norm", [2, 3]), L.ReLU()]),
    "two axes behind a Dense": ((6, 4), [L.Dense(5), ("norm", [1, 2]), L.ReLU()]),
    "two axes of one size behind a Conv2D": ((6, 6, 3), [L.Conv2D(5, 2), ("norm", [2, 3]), L.ReLU()]),
    "two axes in two BatchNorms": ((8, 8, 3), [L.Conv2D(5, 1), ("norm", [1, 3]), L.ReLU(), ("norm", [1, 3])]),
}


def network(shape, layers, norm, rng):
    inputs = outputs = tf_keras.Input(shape)
    for layer in layers:
        fresh = norm(axis=layer[1]) if isinstance(layer, tuple) else type(layer).from_config(layer.get_config())
        outputs = fresh(outputs)
    model = tf_keras.Model(inputs, outputs)
    randomise(model, rng)
    return model


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", GOES)
def test_it_goes_where_algebra_allows(rng, name, norm):
    model = network(*GOES[name], NORMS[norm], rng)
    assert_folds(model, data_for(model, rng))


@pytest.mark.sweep
@pytest.mark.parametrize("name", STAYS)
def test_else_it_has_a_verdict_and_its_file_is_verified(rng, tmp_path, name):
    model = network(*STAYS[name], L.BatchNormalization, rng)
    data = data_for(model, rng)
    assert_folds(model, data, kept=None)
    assert {verdict.reason for verdict in fold(model).verdicts} <= {Reason.AXIS, Reason.NOT_AFFINE}
    export_tflite(model, tmp_path / "m.tflite")
    assert verify(model, tmp_path / "m.tflite", data=data)
