"""The contract of a finished file holds for what we export, and notices each way in which it can be broken."""

from dataclasses import replace

import numpy as np
import pytest
from kerasbn_testing.statistics import randomise

from kerasbn.errors import ConversionError
from kerasbn_export import export_tflite, verify
from kerasbn_export.conversion.contract import Contract
from kerasbn_export.conversion.convert import convert
from kerasbn_export.devices.profiles import find_device
from kerasbn_export.ends import ModelInput
from kerasbn_export.folding.verdict import Action, Reason, Verdict
from kerasbn_export.program.program import functional_program
from kerasbn_export.tflite.file import Op, Tensor, read_tflite

pytestmark = pytest.mark.either_keras


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


def contract_of(model, verdicts, **options):
    return Contract((functional_program(model),), 1, "float32", verdicts, **options)


def with_ends(file, **changes):
    """The file with something else in its signature."""
    return replace(file, signatures=(replace(file.signatures[0], **changes),))


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


def retyped(tensors, **changes):
    return (replace(tensors[0], **changes), *tensors[1:])


BREACHES = {
    "signature": (
        lambda file: with_ends(file, name="predict"),
        r"its signatures are \['predict'\], asked for were \['serving_default'\]",
    ),
    "input name": (lambda file: with_ends(file, input_names=("x",)), r"its inputs are \[\('x', .*asked for .*'image'"),
    "input shape": (
        lambda file: with_ends(file, inputs=retyped(file.inputs, shape=(-1, 6, 6, 3))),
        r"its inputs are \[\('image', \(-1, 6, 6, 3\)\)\], asked for were \[\('image', \(1, 6, 6, 3\)\)\]",
    ),
    "input type": (
        lambda file: with_ends(file, inputs=retyped(file.inputs, dtype="INT8")),
        "input 'image' is int8, asked for was float32",
    ),
    "output name": (lambda file: with_ends(file, output_names=("y",)), r"its outputs are \('y',\), asked .*'pool'"),
    "output shape": (
        lambda file: with_ends(file, outputs=retyped(file.outputs, shape=(1, 2, 3, 4))),
        r"output 'pool' has shape \(1, 2, 3, 4\), asked for was \(-1, 2, 2, 4\)",
    ),
    "output type": (
        lambda file: with_ends(file, outputs=retyped(file.outputs, dtype="INT32")),
        "output 'pool' is int32, asked for was float32",
    ),
    "variable": (
        lambda file: replace(file, ops=(stray("READ_VARIABLE", "functional/conv/w"),)),
        r"READ_VARIABLE of Conv2D 'conv' reads a variable \(functional/conv/w",
    ),
    "custom op": (
        lambda file: replace(file, ops=(stray("CUSTOM:FlexErf", "functional/pool/erf"),)),
        "CUSTOM:FlexErf of MaxPooling2D 'pool' is no builtin operation",
    ),
    "statistics": (
        lambda file: replace(file, ops=(stray("MEAN", "functional/norm/moments/mean", constant=False),)),
        "MEAN of BatchNorm 'norm' computes the statistics of the batch at run time",
    ),
    "scale": (
        lambda file: replace(file, ops=(stray("MUL", "functional/conv/mul"),)),
        "MUL by a per-channel constant is left behind Conv2D 'conv'",
    ),
}


@pytest.mark.sweep
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
    contract, file = contract_of(model, None), read_tflite(convert(model))
    ids = replace(contract.programs[0], inputs=(ModelInput("image", (1, 6, 6, 3), "int32"),))
    replace(contract, programs=(ids,)).check(with_ends(file, inputs=retyped(file.inputs, dtype="INT32")))


def test_a_linear_layer_in_float_is_a_breach_of_a_quantized_file_only(model):
    """A file in which the converter left it so is what it makes without calibration."""
    file = read_tflite(convert(model))
    contract_of(model, None).check(file)
    with pytest.raises(ConversionError, match=r"CONV_2D of Conv2D 'conv' computes in float, though TFLite has"):
        contract_of(model, None, quantized=True).check(file)


def test_what_has_no_integer_kernel_may_stay_in_float(model):
    file = read_tflite(convert(model))
    others = tuple(op for op in file.ops if op.name != "CONV_2D")
    assert {op.name for op in others} == {"MUL", "ADD", "MAX_POOL_2D"}
    contract_of(model, None, quantized=True).check(replace(file, ops=others, main_ops=len(others)))


def test_a_loop_is_left_as_it_is(model):
    """The converter quantizes the main subgraph only."""
    contract_of(model, None, quantized=True).check(replace(read_tflite(convert(model)), main_ops=0))


@pytest.mark.parametrize("device", ["tflm", "ethos-u55"])
def test_an_operation_that_the_device_does_not_have_is_a_breach(model, device):
    file = read_tflite(convert(model))
    contract = contract_of(model, None, device=find_device(device))
    contract.check(file)
    spoiled = replace(file, ops=(*file.ops, stray("CONV_3D", "functional/conv/conv3d")))
    with pytest.raises(ConversionError, match=rf"CONV_3D of Conv2D 'conv' is no .* Micro has, which {device} runs"):
        contract.check(spoiled)
    contract_of(model, None, device=find_device("xnnpack")).check(spoiled)


def test_operations_of_tensorflow_are_fine_if_allowed(model):
    file = replace(read_tflite(convert(model)), ops=(stray("CUSTOM:FlexErf", "w"),))
    contract_of(model, None, select_ops=True).check(file)
    with pytest.raises(ConversionError, match="CUSTOM:MyOp at 'w' is no builtin operation"):
        contract_of(model, None, select_ops=True).check(replace(file, ops=(stray("CUSTOM:MyOp", "w"),)))


@pytest.fixture(params=["as it is", "under an activation", "under another name"])
def model_that_ends_in_batchnorm(request, keras_flavour):
    """The file calls an output ``StatefulPartitionedCall``: no name tells of the layer."""
    layers = keras_flavour.keras.layers
    x = keras_flavour.keras.Input((6, 6, 3))
    y = keras_flavour.batch_normalization(name="norm")(layers.MaxPooling2D(name="pool")(x))
    y = layers.ReLU(name="relu")(y) if request.param == "under an activation" else y
    model = keras_flavour.keras.Model(x, {"renamed": y} if request.param == "under another name" else y)
    model.get_layer("norm").set_weights([np.array([0.5, -1, 2]), np.ones(3), np.ones(3), np.array([0.01, 1, 9])])
    return model


def test_the_layer_behind_an_output_is_known_by_the_graph(model_that_ends_in_batchnorm):
    file = read_tflite(convert(model_that_ends_in_batchnorm))
    last = next(op for op in file.ops if op.outputs[0].name == file.outputs[0].name)
    assert last.name == "ADD"
    contract_of(model_that_ends_in_batchnorm, (kept(),)).check(file)
    only = replace(file, ops=(last,), main_ops=1)
    with pytest.raises(ConversionError, match="ADD is left of BatchNorm 'norm', which has no verdict"):
        contract_of(model_that_ends_in_batchnorm, ()).check(only)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_dense_of_one_input_channel_is_a_product(keras_flavour, rng, tmp_path, precision):
    """The converter writes it as a MUL, which is not what is left of a BatchNorm."""
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((5, 1))
    model = keras_flavour.keras.Model(inputs, layers.ReLU()(layers.BatchNormalization()(layers.Dense(4)(inputs))))
    randomise(model, rng)
    x = rng.normal(size=(32, 5, 1)).astype("float32")
    calibration = x if precision == "int8" else None
    result = export_tflite(model, tmp_path / "m.tflite", precision=precision, calibration=calibration)
    assert result.ops["MUL"] == 1
    assert verify(model, tmp_path / "m.tflite", data=x)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("activation", ["sparsemax", "of its own"])
def test_an_activation_may_multiply_channels(keras_flavour, rng, tmp_path, precision, activation):
    if activation == "sparsemax" and keras_flavour.name == "tf_keras":
        activation = "softmax"  # it has no sparsemax
    elif activation == "of its own":

        def activation(x):
            return x * np.array([1.0, 2.0, 3.0, 4.0], "float32")

    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((6,))
    x = layers.Dense(4, activation=activation)(layers.BatchNormalization()(layers.Dense(5)(inputs)))
    model = keras_flavour.keras.Model(inputs, layers.Dense(3)(x))
    randomise(model, rng)
    x = rng.normal(size=(64, 6)).astype("float32")
    calibration = x if precision == "int8" else None
    result = export_tflite(model, tmp_path / "m.tflite", precision=precision, calibration=calibration)
    assert verify(model, result.path, data=x)


def test_an_input_that_nothing_reads_has_no_grid(keras_flavour, rng, tmp_path):
    layers, keras = keras_flavour.keras.layers, keras_flavour.keras
    used, unused = keras.Input((6,), name="used"), keras.Input((3,), name="unused")
    model = keras.Model([used, unused], layers.Dense(2)(layers.BatchNormalization()(layers.Dense(4)(used))))
    randomise(model, rng)
    data = [rng.normal(size=(64, size)).astype("float32") for size in (6, 3)]
    result = export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data)
    assert verify(model, result.path, data=data)
