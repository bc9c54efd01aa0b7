"""What honest models hold is on the lists: every layer of both Kerases, operators, preprocessing, programs."""

import inspect
import json

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.errors import UnsafeModelError
from kerasbn_export.graph.pure_functions import FUNCTIONS
from kerasbn_export.graph.pure_operations import ALLOWED, IN_MEMORY, STATELESS, TABLES, names_in
from kerasbn_export.loading import safe_classes as classes
from kerasbn_export.loading.load import load_model, load_source
from kerasbn_export.loading.safe_graph import CALLS
from kerasbn_export.loading.safety import CLASSES, find_code

GUESSES = {
    "activation": "relu", "units": 2, "filters": 2, "kernel_size": 2, "rate": 0.2, "factor": 0.2, "input_dim": 9,
    "output_dim": 3, "num_heads": 1, "key_dim": 2, "target_shape": (-1, 1), "dims": (1,), "n": 2, "num_tokens": 3,
    "height": 4, "width": 4, "scale": 2, "num_bins": 3, "stddev": 0.2, "axes": 1, "equation": "ab,bc->ac",
    "output_shape": 2, "height_factor": 0.2, "width_factor": 0.2, "shape": (4,), "max_number": 3, "head_dim": 2,
    "num_query_heads": 2, "num_key_value_heads": 1, "output_size": 2, "pool_size": 2, "layers": [], "ratio": 0.2,
}  # fmt: skip
PARTICULAR = {
    "CategoryEncoding": {"num_tokens": 3},
    "Discretization": {"num_bins": 3},
    "RandomPosterization": {"factor": 4},
}
NOT_LAYERS = names_in("Layer Wrapper RNN Lambda JaxLayer FlaxLayer TFSMLayer TorchModuleWrapper AbstractRNNCell")


def layer_classes(keras):
    found = {name: getattr(keras.layers, name) for name in dir(keras.layers) if name not in NOT_LAYERS | {"InputLayer"}}
    return {name: cls for name, cls in found.items() if inspect.isclass(cls) and issubclass(cls, keras.layers.Layer)}


def made(keras, cls):
    """A layer from guessed arguments."""
    layers = keras.layers
    parts = {"layer": layers.Dense(2), "cell": layers.LSTMCell(2), "cells": [layers.GRUCell(2)]}
    options = {
 name: parts.get(name, GUESSES.get(name))
        for name, parameter in inspect.signature(cls.__init__).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD and name != "self"
    }  # fmt: skip
    if cls is layers.Bidirectional:
        options = {"layer": layers.LSTM(2)}
    options |= PARTICULAR.get(cls.__name__, {})
    return cls(**options)


def findings(keras, config):
    return [found.what for found in find_code(config, keras.saving.get_registered_object)]


def test_every_layer_of_both_kerases_is_on_the_list(keras_flavour):
    keras, described = keras_flavour.keras, 0
    for name, cls in layer_classes(keras).items():
        if name == "DenseFeatures":
            continue
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(made(keras, cls))))
        assert findings(keras, config) == [], name
        described += 1
    assert described > 120


@pytest.mark.parametrize("area", ["initializers", "regularizers", "constraints", "losses", "metrics", "optimizers"])
def test_every_part_of_both_kerases_is_on_the_list(area, keras_flavour):
    module = getattr(keras_flavour.keras, area)
    names = {name for name in dir(module) if inspect.isclass(getattr(module, name))} - {"Reduction"}
    assert names <= CLASSES
    assert len(names) > 3


def test_nothing_in_the_tables_of_keras_is_forgotten():
    """What Keras 2 makes from a name alone is on one of the lists, or carries code; so is what Keras 3 makes."""
    import keras
    from tf_keras.src.layers import serialization

    serialization.populate_deserializable_objects()
    tables = {name for name, found in serialization.LOCAL.ALL_OBJECTS.items() if inspect.isclass(found)}
    tables |= {name for name in dir(keras.layers) if inspect.isclass(getattr(keras.layers, name))}
    operators = names_in("TFOpLambda SlicingOpLambda ClassMethod InstanceMethod InstanceProperty TensorFlowOpLayer")
    assert tables - CLASSES - classes.CARRIERS - operators == {"InputSpec"}
    assert not CLASSES & (classes.CARRIERS | operators)


def test_the_operations_are_what_the_registry_says():
    """The stateless ones are stateless there; all exist; those that read, write or call Python are not among them."""
    from tensorflow.python.framework import op_def_registry

    stateful = {name: op_def_registry.get(name).is_stateful for name in ALLOWED}
    assert not [name for name in STATELESS if stateful[name]]
    assert len(IN_MEMORY | TABLES) < 220
    harm = """
        Abort CacheDataset Copy CopyHost DebugIdentity DecodeProtoV2 EagerPyFunc EncodeProto ImmutableConst
        MatchingFiles PrintV2 PyFunc PyFuncStateless ReadFile RestoreV2 SaveV2 TextLineDataset WriteFile XlaCallModule
        XlaCustomCall
    """
    assert not ALLOWED & names_in(harm)
    kinds = {name: {attribute.type for attribute in op_def_registry.get(name).attr} for name in ALLOWED}
    assert {name for name, types in kinds.items() if types & {"func", "list(func)"}} == CALLS


def test_the_functions_of_operators_exist_and_none_of_them_takes_a_file():
    for name in sorted(FUNCTIONS - {f"raw_ops.{op}" for op in STATELESS}):
        assert not {"read_file", "write_file", "gfile", "get_file", "load"} & set(name.split("."))
    for name in names_in("math.add nn.relu reshape __operators__.getitem keras.activations.relu raw_ops.Relu concat"):
        assert name in FUNCTIONS
    for name in names_in(
        "print io.write_file py_function debugging.experimental.enable_dump_debug_info keras.utils.get_file"
    ):
        assert name not in FUNCTIONS


# Files


def saved(flavour, model, folder):
    """The model as every file that its Keras writes without loss."""
    model.save(folder / "m.keras")
    yield folder / "m.keras"
    if flavour.name == "tf_keras":
        model.save(folder / "m", save_format="tf")
    else:
        model.export(folder / "m", verbose=False)
    yield folder / "m"


def loads(flavour, model, folder):
    for path in saved(flavour, model, folder):
        load_source(path)


def test_augmentation_and_preprocessing(keras_flavour, tmp_path):
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    image, words = keras.Input((8, 8, 3)), keras.Input((1,), dtype="string")
    y = image
    for layer in (layers.RandomFlip(), layers.RandomRotation(0.1), layers.RandomContrast(0.1), layers.Resizing(4, 4)):
        y = layer(y)
    normalization = layers.Normalization()
    normalization.adapt(np.ones((2, 4, 4, 3), "float32"))
    text = layers.TextVectorization(max_tokens=9, output_sequence_length=3)
    text.adapt(["a b", "b c"])
    embedded = layers.Embedding(9, 2)(text(words))
    outputs = [layers.Dropout(0.1)(normalization(y)), embedded, layers.StringLookup(vocabulary=["a", "b"])(words)]
    loads(keras_flavour, keras.Model([image, words], outputs), tmp_path)


def test_a_recurrent_layer_with_dropout(keras_flavour, tmp_path):
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    x = keras.Input((5, 3))
    loads(keras_flavour, keras.Model(x, layers.LSTM(2, dropout=0.1)(x)), tmp_path)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")  # that is what is tested
def test_operators_of_keras_2(tmp_path):
    import tf_keras

    x, ragged = tf_keras.Input((8,)), tf_keras.Input((None,), ragged=True)
    y = tf.nn.relu6(2 * x[:, :4] - 1) / 3
    y = tf.concat([tf_keras.activations.hard_sigmoid(y), tf.where(y > 0, y, 0.0)], -1)
    z = tf.image.resize(tf.reshape(y, (-1, 2, 4, 1)), (4, 4)) + tf.random.normal((1,))
    masked = tf.boolean_mask(y, y[:, 0] > 0)
    flat = [
        ragged.to_tensor(),
        ragged.values,
        ragged.row_lengths(),
        tf.RaggedTensor.from_row_lengths(ragged.values, ragged.row_lengths()).to_tensor(),
    ]
    model = tf_keras.Model([x, ragged], [z, masked, *flat])
    for name in ("m.keras", "m.h5", "m"):
        model.save(tmp_path / name)
        load_model(tmp_path / name)


def test_operations_of_keras_3(tmp_path):
    import keras

    x = keras.Input((8,))
    y = keras.ops.relu(2 * x[:, :4] - 1) / 3
    y = keras.ops.concatenate([y, keras.ops.where(y > 0, y, 0.0)])
    y = keras.ops.map(keras.ops.relu, keras.ops.image.resize(keras.ops.reshape(y, (-1, 2, 4, 1)), (4, 4)))
    model = keras.Model(x, keras.layers.Dense(2, activation=keras.ops.silu)(y))
    model.save(tmp_path / "m.keras")
    load_model(tmp_path / "m.keras")


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")  # Keras 3 does not build it
def test_what_the_user_registered(keras_flavour, tmp_path):
    keras = keras_flavour.keras

    @keras.saving.register_keras_serializable("honest", name=f"Renamed{keras_flavour.name}")
    class Mine(keras.layers.Dense):
        pass

    @keras.saving.register_keras_serializable("honest")
    def twice(x):
        return 2 * x

    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    inner.compile("adam", "mse", metrics=["mae"])
    model = keras.Sequential([keras.Input((4,)), inner, Mine(2, activation=twice), keras_flavour.batch_normalization()])
    loads(keras_flavour, model, tmp_path)


def test_a_subclassed_model_of_classes_that_nobody_registered(keras_flavour, tmp_path):
    keras = keras_flavour.keras

    class Free(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = keras.layers.Dense(2), Free()

        def call(self, x):
            return self.second(self.first(x))

    model = Model()
    model(np.ones((2, 4), "float32"))
    if keras_flavour.name == "tf_keras":
        model.save(tmp_path / "m", save_format="tf")
    else:
        model.export(tmp_path / "m", verbose=False)
    load_source(tmp_path / "m")


@pytest.mark.filterwarnings("ignore:The `keras.initializers.serialize")  # Keras 2 warns, and applications use them
def test_the_initializers_of_tensorflow_in_keras_2(tmp_path):
    import tf_keras

    layer = tf_keras.layers.Dense(2, bias_initializer=tf.constant_initializer(1), activation=tf.nn.silu)
    tf_keras.Sequential([tf_keras.Input((4,)), layer]).save(tmp_path / "m.keras")
    load_model(tmp_path / "m.keras")


class Program(tf.Module):
    """Everything that stays in memory: variables, tables, random numbers, loops, prints to the terminal, training."""

    def __init__(self, vocabulary):
        self.variable = tf.Variable(1.0)
        self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [1.0]), 0.0)
        lines = (tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
        self.words = tf.lookup.StaticVocabularyTable(tf.lookup.TextFileInitializer(str(vocabulary), *lines), 1)
        self.random = tf.random.Generator.from_seed(1)

    @tf.function(input_signature=[tf.TensorSpec([None])])
    def serve(self, x):
        tf.print("hello", x)
        tf.debugging.Assert(tf.reduce_all(x > -1e9), [x])
        for _ in tf.range(3):
            x = x + tf.random.normal([])
        if tf.reduce_sum(x) > 0:
            x = 2 * x
        return {"y": x * self.variable + self.table.lookup(tf.constant("a")) + self.random.normal([])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def look_up(self, x):
        return {"y": self.words.lookup(x)}

    @tf.function(input_signature=[tf.TensorSpec([2])])
    def train(self, x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(x * self.variable)
        self.variable.assign_sub(tape.gradient(loss, self.variable))
        return {"loss": loss}


@pytest.fixture
def program(tmp_path):
    (tmp_path / "words.txt").write_text("a\nb\n")
    module = Program(tmp_path / "words.txt")
    signatures = {"serve": module.serve, "look_up": module.look_up, "train": module.train}
    tf.saved_model.save(module, str(tmp_path / "program"), signatures=signatures)
    return tmp_path / "program"


def test_a_program_that_stays_in_memory(program):
    assert len(load_source(program, signature="*")) == 3


def changed(program, change):
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    description = SavedModel.FromString((program / "saved_model.pb").read_bytes())
    change(description.meta_graphs[0])
    (program / "saved_model.pb").write_bytes(description.SerializeToString())


def named(meta, part):
    return next(function for function in meta.graph_def.library.function if part in function.signature.name)


def call_the_saver(meta):
    """A signature calls the function with which TensorFlow writes a checkpoint."""
    node = named(meta, "serve").node_def.add(name="evil", op="StatefulPartitionedCall")
    node.attr["f"].func.name = named(meta, "traced_save").signature.name


def read_another_file(meta):
    meta.asset_file_def[0].filename = "../../../etc/passwd"


def read_a_named_file(meta):
    body = next(f for f in meta.graph_def.library.function if any("TextFile" in node.op for node in f.node_def))
    node = next(node for node in body.node_def if "TextFile" in node.op)
    node.input[1] = "path:output:0"
    body.node_def.add(name="path", op="Const").attr["value"].tensor.string_val.append(b"/etc/passwd")


def print_to_a_file(meta):
    node = next(node for f in meta.graph_def.library.function for node in f.node_def if node.op == "PrintV2")
    node.attr["output_stream"].s = b"file:///tmp/x"


def save_while_restoring(meta):
    """What restores, which TensorFlow 1 runs when it loads, writes."""
    named(meta, "traced_restore").node_def.add(name="evil", op="SaveV2")


def shadow_an_operation(meta):
    meta.graph_def.library.function.add().signature.name = "WriteFile"
    named(meta, "serve").node_def.add(name="evil", op="WriteFile")


def unknown_operation(meta):
    named(meta, "serve").node_def.add(name="evil", op="SomebodysCustomOp")


CHANGES = {
    "SaveV2": call_the_saver,
    "SaveV2 ": save_while_restoring,
    "InitializeTableFromTextFileV2": read_another_file,
    "InitializeTableFromTextFileV2 ": read_a_named_file,
    "PrintV2": print_to_a_file,
    "WriteFile": shadow_an_operation,
    "SomebodysCustomOp": unknown_operation,
}


@pytest.mark.parametrize("operation", CHANGES)
def test_what_is_allowed_in_its_place_is_refused_in_another(operation, program):
    changed(program, CHANGES[operation])
    with pytest.raises(UnsafeModelError, match=rf"its function '.*' holds the operation {operation.strip()} \("):
        load_source(program)


def test_a_program_of_tensorflow_1(tmp_path):
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2])
        y = tf.matmul(x, v1.get_variable("v", [2, 2], use_resource=False))
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x}, {"y": y})
    assert load_source(tmp_path / "m")[0].outputs[0].name == "y"

    def write_when_restored(meta):
        node = meta.graph_def.node.add(name="evil", op="SaveV2")
        restore = next(n for n in meta.graph_def.node if n.name == meta.saver_def.restore_op_name)
        restore.input.append(f"^{node.name}")

    changed(tmp_path / "m", write_when_restored)
    with pytest.raises(UnsafeModelError, match="its main graph holds the operation SaveV2"):
        load_source(tmp_path / "m")
