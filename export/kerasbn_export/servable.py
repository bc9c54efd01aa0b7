"""Writes a Keras model as a SavedModel that the TFLite converter reads without losing anything.

The stock route from a model loses names (Keras 3 calls its outputs ``output_0``), shuffles the inputs and
outputs, and makes the batch dynamic. Here the inference call is traced with named, fixed shapes and its variables
are tracked one by one, which both Kerases survive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbn.flavour import KERAS, flavour_of
from kerasbn.lazy import LazyModule
from kerasbn_export.calibration import ModelInput
from kerasbn_export.structure import leaves, map_leaves

tf: Any = LazyModule("tensorflow")  # importing this module is to import no TensorFlow


@dataclass(frozen=True)
class End:
    """An input or output: its name in the model, and in the SavedModel, whose names are more restricted."""

    name: str
    key: str


@dataclass(frozen=True)
class Servable:
    """A SavedModel written for the converter.

    Attributes:
        folder: Where it is.
        inputs: In the model's order.
        outputs: In the model's order.
        batch_size: The batch it takes; 1 where that is open.
        loops: Whether the graph holds a loop, as a recurrent layer does.
    """

    folder: Path
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    batch_size: int
    loops: bool


def model_inputs(model: Any, batch_size: int | None = None) -> tuple[ModelInput, ...]:
    """The inputs of a functional model in the order in which Keras flattens them.

    Args:
        model: A functional or Sequential model.
        batch_size: Where the model leaves the batch open, the size to fix it to; None leaves it open.
    """
    tensors = list(leaves(_structure(model)))
    return tuple(
        ModelInput(name, _with_batch(tuple(tensor.shape), batch_size), str(getattr(tensor.dtype, "name", tensor.dtype)))
        for name, tensor in zip(_input_names(model), tensors, strict=True)
    )


def write_servable(model: Any, folder: Path, *, batch_size: int | None = 1) -> Servable:
    """Writes `model` to `folder` as a SavedModel with one signature, ``serving_default``.

    Args:
        model: A functional or Sequential model of either Keras.
        folder: An empty folder.
        batch_size: See `model_inputs`.
    """
    inputs = model_inputs(model, batch_size)
    ends = _ends([wanted.name for wanted in inputs])
    results = _ends(model_outputs(model))
    originals = list(leaves(_structure(model)))

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def serve(tensors: Sequence[Any]) -> dict[str, Any]:
        given = {id(original): tensor for original, tensor in zip(originals, tensors, strict=True)}
        outputs = model(map_leaves(lambda leaf: given[id(leaf)], _structure(model)), training=False)
        return {end.key: tf.identity(tensor) for end, tensor in zip(results, leaves(outputs), strict=True)}

    specs = [tf.TensorSpec(wanted.shape, wanted.dtype, name=end.key) for wanted, end in zip(inputs, ends, strict=True)]
    module = tf.Module()
    module.kept = [_tensorflow_variable(variable) for variable in model.variables]
    module.serve = serve
    traced = serve.get_concrete_function(specs)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": traced})
    return Servable(folder, ends, results, inputs[0].shape[0] or 1, _loops(traced.graph))


def _structure(model: Any) -> Any:
    """The symbolic inputs, nested as the model takes them."""
    sequential = flavour_of(model).keras.Sequential
    return model.inputs[0] if isinstance(model, sequential) else model.input


def _input_names(model: Any) -> list[str]:
    structure = _structure(model)
    if isinstance(structure, dict) and not any(isinstance(value, dict | list | tuple) for value in structure.values()):
        return [str(key) for key in sorted(structure)]
    return [str(tensor.name) for tensor in leaves(structure)]


def model_outputs(model: Any) -> list[str]:
    """The names of the outputs of a functional model, in the order in which Keras flattens them."""
    return list(_distinct(_output_names(model)))


def _output_names(model: Any) -> list[str]:
    if isinstance(model, flavour_of(model).keras.Sequential):
        return [str(model.layers[-1].name)]
    structure = model.output
    if isinstance(structure, dict) and not any(isinstance(value, dict | list | tuple) for value in structure.values()):
        return [str(key) for key in sorted(structure)]
    return [str(name) for name in model.output_names]


def _ends(names: Sequence[str]) -> tuple[End, ...]:
    """Distinct names, each with a distinct key that TensorFlow takes as an identifier."""
    return tuple(map(End, _distinct(names), _distinct([re.sub(r"\W", "_", f"x{name}") for name in names])))


def _distinct(names: Sequence[str]) -> Iterator[str]:
    taken: set[str] = set()
    for name in names:
        free, number = name, 0
        while free in taken:
            number += 1
            free = f"{name}_{number}"
        taken.add(free)
        yield free


def _with_batch(shape: tuple[int | None, ...], batch_size: int | None) -> tuple[int | None, ...]:
    return (batch_size, *shape[1:]) if shape and shape[0] is None else shape


def _tensorflow_variable(variable: Any) -> Any:
    return variable.value if type(variable).__module__.startswith(KERAS.name + ".") else variable


def _loops(graph: Any) -> bool:
    """Whether a graph, or a function that it calls, holds a loop."""
    definition = graph.as_graph_def()
    bodies = [definition.node, *(function.node_def for function in definition.library.function)]
    return any("While" in node.op for body in bodies for node in body)
