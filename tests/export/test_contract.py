"""The contract of a finished file holds for what we export, and notices each way in which it can be broken."""

from dataclasses import replace

import numpy as np
import pytest

from kerasbn.errors import ConversionError
from kerasbn_export.calibration import ModelInput
from kerasbn_export.contract import Contract
from kerasbn_export.convert import convert
from kerasbn_export.servable import model_inputs, model_outputs
from kerasbn_export.tflite_file import Op, Tensor, read_tflite
from kerasbn_export.verdict import Action, Reason, Verdict


def model_with_batchnorm(flavour):
    """The converter leaves MUL and ADD of this BatchNorm: an activation comes before it."""
    layers = flavour.keras.layers
    image = flavour.keras.Input((6, 6, 3), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    x = flavour.batch_normalization(name="norm")(x)
    model = flavour.keras.Model(image, layers.MaxPooling2D(name="pool")(x))
    statistics = [
        np.array([0.5, -1, 0, 2]),
        np.array([1, 2, 3, 4]),
        np.array([9, -9, 1, 0]),
        np.array([0.01, 1, 9, 99]),
    ]
    model.get_layer("norm").set_weights(statistics)
    return model


def kept(name="norm"):
    return Verdict(name, Action.KEPT, reason=Reason.ACTIVATION, sentence="because")


def contract_of(model, verdicts):
    return Contract(model, model_inputs(model, 1), tuple(model_outputs(model)), "float32", verdicts)


@pytest.fixture
def model(keras_flavour):
    return model_with_batchnorm(keras_flavour)


def test_a_batchnorm_that_is_left_is_fine_if_a_verdict_says_so(model):
    file = read_tflite(convert(model))
    assert len(file.affine_ops) == 2
    for verdicts in (None, (kept(),), (kept("block/norm"),)):
        contract_of(model, verdicts).check(file)


@pytest.mark.parametrize("verdicts", [(), (Verdict("norm", Action.FOLDED),), (kept("another"),)])
def test_a_batchnorm_that_is_left_without_a_verdict_is_a_breach(model, verdicts):
    with pytest.raises(ConversionError, match=r"MUL is left of BatchNorm 'norm'.*ADD is left of BatchNorm 'norm'"):
        contract_of(model, verdicts).check(read_tflite(convert(model)))


def stray(name, tensor_name, *, constant=True):
    value = Tensor(tensor_name, (1, 4, 4, 4), "FLOAT32", constant=False)
    return Op(name, (value, Tensor("c", (4,), "FLOAT32", constant)), (value,))


BREACHES = {
    "input name": (lambda file: replace(file, input_names=("x",)), r"its inputs are \[\('x', .*asked for .*'image'"),
    "input shape": (
        lambda file: replace(file, inputs=(replace(file.inputs[0], shape=(-1, 6, 6, 3)),)),
        r"its inputs are \[\('image', \(-1, 6, 6, 3\)\)\], asked for were \[\('image', \(1, 6, 6, 3\)\)\]",
    ),
    "input type": (
        lambda file: replace(file, inputs=(replace(file.inputs[0], dtype="INT8"),)),
        "input 'image' is int8, asked for was float32",
    ),
    "output name": (lambda file: replace(file, output_names=("y",)), r"its outputs are \('y',\), asked .*'pool'"),
    "variable": (lambda file: replace(file, ops=(stray("READ_VARIABLE", "w"),)), r"READ_VARIABLE reads a variable \(w"),
    "custom op": (lambda file: replace(file, ops=(stray("CUSTOM:FlexErf", "w"),)), "CUSTOM:FlexErf is no builtin one"),
    "statistics": (
        lambda file: replace(file, ops=(stray("MEAN", "functional/norm/moments/mean", constant=False),)),
        "MEAN of BatchNorm 'norm' computes the statistics of the batch at run time",
    ),
    "scale": (
        lambda file: replace(file, ops=(stray("MUL", "functional/conv/mul"),)),
        "MUL by a per-channel constant is left behind Conv2D 'conv'",
    ),
}


@pytest.mark.parametrize("case", BREACHES)
def test_each_other_breach_is_noticed_and_named(model, case):
    spoil, message = BREACHES[case]
    contract, file = contract_of(model, (kept(),)), read_tflite(convert(model))
    contract.check(file)
    with pytest.raises(ConversionError, match=message) as caught:
        contract.check(spoil(file))
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "op",
    [
        stray("ADD", "functional/conv/BiasAdd"),
        stray("MUL", "functional/pool/mul"),
        stray("MUL", "conv", constant=False),
    ],
)
def test_what_a_layer_does_by_itself_is_no_breach(model, op):
    contract_of(model, ()).check(replace(read_tflite(convert(model)), ops=(op,)))


def test_integer_inputs_keep_their_type(model):
    contract = replace(contract_of(model, None), inputs=(ModelInput("image", (1, 6, 6, 3), "int32"),), io_dtype="int8")
    file = read_tflite(convert(model))
    contract.check(replace(file, inputs=(replace(file.inputs[0], dtype="INT32"),)))
