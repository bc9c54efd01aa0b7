"""Rule 9 as a map behind the convolution: exact for every geometry, and only where it is the smallest form."""

import numpy as np
import pytest
from kerasbn_testing.judging import assert_folds
from kerasbn_testing.statistics import data_for, randomise

from kerasbn_export import export_tflite
from kerasbn_export.folding.passes import border_map
from kerasbn_export.folding.verdict import Action
from kerasbn_export.tflite.file import read_tflite


def conv(filters, size, **options):
    return lambda layers: layers.Conv2D(filters, size, **{"padding": "same", **options})


def bn_then(keras, shape, *makers):
    """A BatchNorm that cannot go backwards, and what follows."""
    inputs = keras.Input(shape)
    outputs = keras.layers.BatchNormalization(name="bn")(keras.layers.Activation("tanh")(inputs))
    for make in makers:
        outputs = make(keras.layers)(outputs)
    return keras.Model(inputs, outputs)


DRAWN = {
    "same": ((2, 2, 16), conv(3, 3)),
    "strided": ((5, 4, 32), conv(2, 3, strides=2)),
    "even kernel": ((2, 3, 20), conv(2, (2, 4))),
    "one axis padded": ((4, 9, 16), conv(5, (3, 1))),
    "dilated": ((3, 3, 32), conv(2, 2, dilation_rate=2)),
    "grouped": ((2, 2, 16), conv(4, 3, groups=4)),
    "an activation inside": ((2, 2, 16), conv(3, 3, activation="relu")),
    "without bias": ((2, 2, 16), conv(3, 3, use_bias=False, activation="sigmoid")),
    "depthwise": ((1, 1, 4), lambda layers: layers.DepthwiseConv2D(3, padding="same")),
    "causal": ((3, 16), lambda layers: layers.Conv1D(2, 3, padding="causal", dilation_rate=2)),
    "three dimensions": ((2, 1, 2, 30), lambda layers: layers.Conv3D(2, 3, padding="same")),
    "ZeroPadding": (
        (2, 2, 30), lambda layers: layers.ZeroPadding2D(((1, 0), (2, 1))), conv(2, 2, padding="valid", strides=2),
    ),
    "ZeroPadding and same": ((2, 2, 40), lambda layers: layers.ZeroPadding2D(1), conv(2, 3)),
    "ZeroPadding1D": ((3, 40), lambda layers: layers.ZeroPadding1D(2), lambda layers: layers.Conv1D(2, 3)),
}  # fmt: skip


def custom(x):
    return x * 0.5


KEPT = {
    "a larger map": ((6, 6, 16), conv(3, 3)),
    "unknown sizes": ((None, None, 16), conv(3, 3)),
    "a function of the user's": ((2, 2, 16), conv(3, 3, activation=custom)),
}


OFFSET = 1e-7
"""The bound in float64: Keras' own Rescaling rounds its offset to float32."""


def bn_of(model):
    return next(layer for layer in model.layers if layer.name == "bn")


@pytest.mark.sweep
@pytest.mark.parametrize("case", DRAWN)
def test_the_map_is_drawn(keras_flavour, rng, case):
    model = bn_then(keras_flavour.keras, *DRAWN[case])
    randomise(model, rng)
    judged = assert_folds(model, data_for(model, rng), kept=["bn"], float64=OFFSET)
    verdict = judged.verdicts["bn"]
    assert verdict.action is Action.LOWERED
    assert "border-map" in verdict.rules
    assert (verdict.ops_before, verdict.ops_after) == (2, 1)
    assert type(bn_of(judged.model)).__name__ == "Rescaling"


@pytest.mark.parametrize("case", KEPT)
def test_where_it_is_no_gain_another_form_is_taken(keras_flavour, rng, case):
    model = bn_then(keras_flavour.keras, *KEPT[case])
    randomise(model, rng)
    data = rng.normal(size=(2, *(5 if size is None else size for size in KEPT[case][0]))).astype("float32")
    judged = assert_folds(model, data, kept=["bn"])
    assert "border-map" not in judged.verdicts["bn"].rules


def test_what_is_also_seen_elsewhere_stays(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((2, 2, 16))
    normal = keras.layers.BatchNormalization(name="bn")(keras.layers.Activation("tanh")(inputs))
    model = keras.Model(inputs, [keras.layers.Conv2D(3, 3, padding="same")(normal), normal])
    randomise(model, rng)
    judged = assert_folds(model, data_for(model, rng), kept=["bn"])
    assert "border-map" not in judged.verdicts["bn"].rules


def test_a_convolution_called_twice_keeps_its_weights(keras_flavour, rng):
    keras = keras_flavour.keras
    inputs = [keras.Input((2, 2, 16)), keras.Input((2, 2, 16))]
    shared = keras.layers.Conv2D(3, 3, padding="same")
    normal = keras.layers.BatchNormalization(name="bn")(keras.layers.Activation("tanh")(inputs[0]))
    model = keras.Model(inputs, keras.layers.Add()([shared(normal), shared(inputs[1])]))
    randomise(model, rng)
    judged = assert_folds(model, data_for(model, rng), kept=["bn"])
    assert "border-map" not in judged.verdicts["bn"].rules


@pytest.mark.either_keras
def test_the_file_has_one_operation_more_than_the_convolution_and_fewer_numbers_than_stock(
    keras_flavour, rng, tmp_path
):
    model = bn_then(keras_flavour.keras, (2, 2, 64), conv(3, 3, activation="relu"))
    randomise(model, rng)
    ours = read_tflite(export_tflite(model, tmp_path / "ours.tflite").path)
    plain = read_tflite(export_tflite(model, tmp_path / "plain.tflite", fold=False).path)
    assert ours.op_counts == {"TANH": 1, "CONV_2D": 1, "ADD": 1}
    assert plain.op_counts == {"TANH": 1, "CONV_2D": 1, "ADD": 1, "MUL": 1}


BROKEN = {
    "zeros_before": ("same", lambda *_: 0),
    "zeros_added": ("ZeroPadding", lambda *_: [(0, 0)] * 2),
    "_hidden": ("same", lambda *_: np.zeros((1, 1, 3))),
    "stock_activation": ("an activation inside", lambda _: "linear"),
}


@pytest.mark.parametrize("part", BROKEN)
def test_without_one_of_its_parts_the_judge_sees_a_difference(keras_flavour, rng, monkeypatch, part):
    case, broken = BROKEN[part]
    model = bn_then(keras_flavour.keras, *DRAWN[case])
    randomise(model, rng)
    monkeypatch.setattr(border_map, part, broken)
    with pytest.raises(AssertionError):
        assert_folds(model, data_for(model, rng), kept=["bn"], float64=OFFSET)
