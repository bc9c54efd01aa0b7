"""Model files that run code when they are loaded or run without a check: each then writes the file `pwned`.

A kind is a way by which code gets in; a file is one place and format of that way. They are written here, never fetched.
"""

import base64
import json
import marshal
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import h5py
import keras
import tensorflow as tf
import tf_keras

PWNED = "pwned"
MODULE = "evil_module"
OURS = "kerasbn>BatchNormalization"
INPUT_SHAPES = {"keras": "batch_shape", "tf_keras": "batch_input_shape"}
VERSIONS = {"keras": keras.__version__, "tf_keras": "2.15.0"}


@dataclass(frozen=True)
class HostileFile:
    """A file, and what the message that refuses it must name.

    Attributes:
        kind: The way by which code gets in.
        path: Where the file is.
        names: A layer, function or operation.
    """

    kind: str
    path: Path
    names: str


def write_hostile_files(folder: Path) -> list[HostileFile]:
    """Writes all of them to a folder, and beside them the module that some of them import."""
    mark = folder / PWNED
    made = "act = Evil = Init = Policy = type('Evil', (), {'from_config': classmethod(dict)})"
    (folder / f"{MODULE}.py").write_text(f"open({str(mark)!r}, 'w').close()\n{made}\n")
    files = [*_configurations(folder, mark), *_graphs(folder, mark)]
    mark.unlink(missing_ok=True)  # what was saved has run once
    return files


# Configurations


def bytecode(mark: str) -> str:
    """The code of a lambda that writes the mark, as Keras keeps it."""
    code = compile(f"lambda x: (open({mark!r}, 'w').close(), x)[1]", "<evil>", "eval").co_consts[0]
    return base64.b64encode(marshal.dumps(code)).decode()


def entry(class_name: str, module: str | None = "keras.layers", /, alias: str | None = None, **config: object) -> dict:
    """The description of a layer or of a part of one."""
    described: dict = {"class_name": class_name, "config": config}
    return described if module is None else {**described, "module": module, "registered_name": alias}


def function(name: str, module: str, alias: str | None = None) -> dict:
    """The description of a function."""
    return {"class_name": "function", "config": name, "module": module, "registered_name": alias or name}


def sequential(*layers: dict) -> dict:
    """The description of a Sequential model."""
    return entry("Sequential", "keras", name="model", layers=list(layers))


def with_input(flavour: str, config: dict) -> dict:
    """The description with an input that this Keras reads."""
    first = entry("InputLayer", name="x", **{INPUT_SHAPES[flavour]: [None, 4]})
    layers = [first, *config["config"]["layers"]]
    return {**config, "config": {**config["config"], "layers": layers}}


def dense(**options: object) -> dict:
    return entry("Dense", name="suspect", units=2, **options)


def python_lambda(mark: str) -> dict:
    return entry("__lambda__", "builtins", value=[bytecode(mark), None, None])


def suspects(mark: str) -> Iterator[tuple[str, dict, str]]:
    """Each kind with a description of a layer in it, and what the message must name."""
    evil = function("act", MODULE)
    yield "Lambda layer", entry("Lambda", name="suspect", function=python_lambda(mark)), "suspect"
    old = {"function": [bytecode(mark), None, None], "function_type": "lambda", "module": "builtins"}
    yield "Lambda layer", entry("Lambda", None, name="suspect", **old), "suspect"
    yield "Lambda layer", entry("Lambda", "mine", alias=OURS, name="suspect", **old), "suspect"
    for key in ("activation", "kernel_initializer", "kernel_regularizer", "kernel_constraint"):
        yield "Python lambda", dense(**{key: python_lambda(mark)}), "suspect"
        yield "function of a module", dense(**{key: evil}), f"{MODULE}.act"
        yield "class of a module", dense(**{key: entry("Init", MODULE)}), f"{MODULE}.Init"
    yield "class of a module", entry("Evil", MODULE, name="suspect"), f"{MODULE}.Evil"
    inside = entry("TimeDistributed", name="outer", layer=entry("Evil", MODULE, name="suspect"))
    yield "nested deep", inside, f"{MODULE}.Evil"
    yield "nested deep", entry("RNN", name="outer", cell=[[entry("Evil", MODULE, name="suspect")]]), f"{MODULE}.Evil"
    inner = entry("Sequential", "keras", name="inner", layers=[dense(activation=evil)])
    yield "nested deep", inner, f"{MODULE}.act"
    compiled = {**sequential(dense()), "compile_config": {"optimizer": entry("Evil", MODULE), "loss": evil}}
    yield "nested deep", compiled, f"{MODULE}.Evil"
    yield "dtype policy", dense(dtype=entry("Policy", MODULE, name="float32")), f"{MODULE}.Policy"
    yield "name of ours", dense(activation=function("act", MODULE, OURS)), f"{MODULE}.act"
    yield "name of ours", entry("Evil", MODULE, alias=OURS, name="suspect"), f"{MODULE}.Evil"
    hidden = "tf_keras.src.layers.core.lambda_layer"
    yield "name of ours", entry("Dense", hidden, alias="Lambda", name="suspect", **old), "Lambda"
    spec = {"class_name": "__typespec__", "spec_name": "Evil", "module": MODULE, "registered_name": None, "config": []}
    yield "type of an input", entry("InputLayer", name="suspect", type_spec=spec), f"{MODULE}.Evil"
    for name in ("get_file", "load_model"):
        part = "utils" if name == "get_file" else "saving"
        yield "tool of Keras", dense(activation=function(name, f"keras.{part}")), f"keras.{part}.{name}"
    yield "tool of Python", dense(activation=function("eval", "builtins")), "eval"
    yield "tool of Python", dense(activation=function("system", "os")), "os.system"
    yield (
        "layer that loads a file",
        entry("TFSMLayer", name="suspect", filepath=str(Path(mark).parent / "sm")),
        "suspect",
    )


def operators(mark: str) -> Iterator[tuple[dict, list]]:
    """Operators read as layers of Keras 2, each with the constants that it is called on."""
    write = [["_CONSTANT_VALUE", -1, mark, {"contents": "x"}]]
    for name in (
        "io.write_file",
        "compat.v1.write_file",
        "raw_ops.WriteFile",
        "io.gfile.GFile",
        "py_function",
        "print",
    ):
        constants = write
        if name == "raw_ops.WriteFile":
            constants = [["_CONSTANT_VALUE", -1, mark, {"filename": mark, "contents": "x"}]]
        if name == "print":
            constants = [["_CONSTANT_VALUE", -1, "x", {"output_stream": f"file://{mark}"}]]
        for layer in ("TFOpLambda", "SlicingOpLambda"):
            yield entry(layer, None, name="suspect", function=name), constants
    yield entry("ClassMethod", None, name="suspect", cls_symbol="io.TFRecordWriter", method_name="__new__"), write
    for layer in ("InstanceMethod", "InstanceProperty"):
        yield entry(layer, None, name="suspect", attr_name="__reduce__"), write
    node = {"name": "suspect", "op": "WriteFile"}
    yield entry("TensorFlowOpLayer", None, name="suspect", node_def=node, constants={"0": mark, "1": "x"}), write


def operator_model(operator: dict, constants: list) -> dict:
    """A model whose operator is called on constants, so that it runs while the model is built."""
    x = {**entry("InputLayer", None, name="x", batch_input_shape=[None, 4]), "name": "x", "inbound_nodes": []}
    suspect = {**operator, "name": "suspect", "inbound_nodes": constants}
    relu = {**entry("ReLU", None, name="relu"), "name": "relu", "inbound_nodes": [[["x", 0, 0, {}]]]}
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["relu", 0, 0]]}
    return entry("Functional", None, name="m", layers=[x, suspect, relu], **ends)


def write_keras(path: Path, config: object, version: str) -> None:
    """A .keras file with a configuration and no weights."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(config))


def write_h5(path: Path, config: object, version: str) -> None:
    """A .h5 file with a configuration and no weights."""
    with h5py.File(path, "w") as file:
        file.attrs.update(keras_version=version, backend="tensorflow", model_config=json.dumps(config))
        weights = file.create_group("model_weights")
        weights.attrs.update(layer_names=[], backend="tensorflow", keras_version=version)


WRITERS = {".keras": write_keras, ".h5": write_h5}


def _configurations(folder: Path, mark: Path) -> Iterator[HostileFile]:
    for index, (kind, suspect, names) in enumerate(suspects(str(mark))):
        for flavour, suffix in product(VERSIONS, WRITERS):
            path = folder / f"{flavour}_{index}{suffix}"
            WRITERS[suffix](path, with_input(flavour, sequential(suspect)), VERSIONS[flavour])
            yield HostileFile(kind, path, names)
    for index, (operator, constants) in enumerate(operators(str(mark))):
        path = folder / f"operator_{index}.h5"
        write_h5(path, operator_model(operator, constants), VERSIONS["tf_keras"])
        yield HostileFile("operator as a layer", path, "suspect")


# Graphs


class Resource(tf.saved_model.experimental.TrackableResource):
    """Runs something when TensorFlow loads it."""

    def __init__(self, run: Callable[[], object]) -> None:
        super().__init__()
        self.run = run

    def _create_resource(self) -> tf.Tensor:
        return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[])

    def _initialize(self) -> None:
        self.run()


class Writes(tf_keras.layers.Layer):
    """A layer that runs something at each call."""

    def __init__(self, run: Callable[[], object], **options: object) -> None:
        super().__init__(**options)
        self.run = run

    def call(self, x: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([self.run()]):
            return tf.identity(x)


def writing_operations(mark: str) -> dict[str, Callable[[], object]]:
    """What writes the mark when it runs in a graph."""

    def cached() -> tf.Operation:
        data = tf.data.Dataset.range(2).cache(mark).reduce(tf.constant(0, tf.int64), lambda _, x: x)
        return tf.identity(data).op

    def branch() -> tf.Operation:
        return tf.identity(tf.cond(tf.constant(1) > 0, lambda: written(1), lambda: 0)).op

    def loop() -> tf.Operation:
        return tf.identity(tf.while_loop(lambda i: i < 1, lambda i: [written(i) + 1], [tf.constant(0)])[0]).op

    def written(value: object) -> tf.Tensor:
        with tf.control_dependencies([tf.io.write_file(mark, "x")]):
            return tf.identity(value)

    names, slices, data = tf.constant(["v"]), tf.constant([""]), [tf.constant(1.0)]
    return {
        "WriteFile": lambda: tf.io.write_file(mark, "x"),
        "PrintV2": lambda: tf.raw_ops.PrintV2(input="x", output_stream=f"file://{mark}"),
        "SaveV2": lambda: tf.raw_ops.SaveV2(prefix=mark, tensor_names=names, shape_and_slices=slices, tensors=data),
        "Save": lambda: tf.raw_ops.Save(filename=mark, tensor_names=names, data=data),
        "CacheDatasetV2": cached,
        "DebugIdentity": lambda: tf.raw_ops.DebugIdentity(input=1.0, debug_urls=[f"file://{mark}"]).op,
        "WriteFile in a branch": branch,
        "WriteFile in a loop": loop,
    }


def _graphs(folder: Path, mark: Path) -> Iterator[HostileFile]:
    for name, run in writing_operations(str(mark)).items():
        stem = name.replace(" ", "_")
        for place, save in {
            "layer": _in_a_layer,
            "initializer": _in_an_initializer,
            "function": _in_a_function,
        }.items():
            path = folder / f"{place}_{stem}"
            save(run, path)
            yield HostileFile(f"SavedModel, {place}", path, name.partition(" ")[0])


def _in_a_layer(run: Callable[[], object], path: Path) -> None:
    model = tf_keras.Sequential([tf_keras.Input((4,)), Writes(run, name="suspect"), tf_keras.layers.Dense(2)])
    model.save(path, save_format="tf")


def _in_an_initializer(run: Callable[[], object], path: Path) -> None:
    model = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(2)])
    model.kept = Resource(run)
    model.save(path, save_format="tf")


def _in_a_function(run: Callable[[], object], path: Path) -> None:
    def serve(x: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([run()]):
            return 2 * x

    module = tf.Module()
    module.f = tf.function(serve, input_signature=[tf.TensorSpec([None, 4])])
    tf.saved_model.save(module, path, signatures=module.f.get_concrete_function())
