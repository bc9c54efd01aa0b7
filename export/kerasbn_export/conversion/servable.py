"""Writes a model as a SavedModel that the TFLite converter reads without losing anything.

The stock route from a model loses names (Keras 3 calls its outputs ``output_0``), shuffles the inputs and
outputs, and makes the batch dynamic. Here the inference call is traced with named, fixed shapes and its variables
are tracked one by one, which both Kerases survive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbn.errors import UnsupportedModelError
from kerasbn.lazy import LazyModule
from kerasbn_export.conversion.softplus import without_overflow
from kerasbn_export.ends import ModelInput
from kerasbn_export.program.program import Program, functional_program
from kerasbn_export.program.traced import End, keyed, traced

tf: Any = LazyModule("tensorflow")  # importing this module is to import no TensorFlow


@dataclass(frozen=True)
class Signature:
    """One computation of a SavedModel.

    Attributes:
        name: Its name.
        inputs: In the model's order.
        outputs: In the model's order.
    """

    name: str
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]


@dataclass(frozen=True)
class Servable:
    """A SavedModel written for the converter.

    Attributes:
        folder: Where it is.
        signatures: What it computes; most models have one.
        batch_size: The batch it takes; 1 where that is open.
        loops: Whether the graph holds a loop, as a recurrent layer does.
    """

    folder: Path
    signatures: tuple[Signature, ...]
    batch_size: int
    loops: bool


def model_inputs(model: Any, batch_size: int | None = None) -> tuple[ModelInput, ...]:
    """The inputs of a functional model in the order in which Keras flattens them.

    Args:
        model: A functional or Sequential model.
        batch_size: Where the model leaves the batch open, the size to fix it to; None leaves it open.
    """
    return functional_program(model).fixed(batch_size)


def model_outputs(model: Any) -> list[str]:
    """The names of the outputs of a functional model, in the order in which Keras flattens them."""
    return [end.name for end in functional_program(model).outputs]


def write_servable(programs: Sequence[Program], folder: Path, *, batch_size: int | None = 1) -> Servable:
    """Writes computations to `folder` as a SavedModel with one signature for each.

    Args:
        programs: At least one, each with another signature.
        folder: An empty folder.
        batch_size: The batch to fix where a program leaves it open; None leaves it open.

    Raises:
        UnsupportedModelError: An output has another shape than the model says.
    """
    module, signatures, graphs = tf.Module(), [], {}
    module.kept = [kept for program in programs for kept in program.tracked]
    for program in programs:
        inputs, outputs = (keyed([end.name for end in ends]) for ends in (program.inputs, program.outputs))
        signatures.append(Signature(program.signature, inputs, outputs))
        graphs[program.signature] = traced(_by_key(program, outputs), program.fixed(batch_size))
        _check_shapes(program, outputs, graphs[program.signature].structured_outputs)
    module.captured = [variable for graph in graphs.values() for variable in graph.graph.variables]
    tf.saved_model.save(module, str(folder), signatures=graphs)
    without_overflow(folder)
    batch = programs[0].fixed(batch_size)[0].shape[0] or 1
    return Servable(folder, tuple(signatures), batch, any(_loops(graph.graph) for graph in graphs.values()))


def _check_shapes(program: Program, outputs: Sequence[End], found: Mapping[str, Any]) -> None:
    """Whether the model computes the shapes that it says; RandomCrop of Keras 3 crops in training alone."""
    for end, wanted in zip(outputs, program.outputs, strict=True):
        shape = found[end.key].shape
        if not shape.is_compatible_with(wanted.shape):
            raise UnsupportedModelError(
                f"Output {end.name!r} of {program.source} is to have shape {wanted.shape} and has {tuple(shape)}: a "
                "layer computes another shape than it says, as RandomCrop of Keras 3 does outside of training. Take "
                "that layer out of the model before the export, or put a layer in its place that computes that shape."
            )


def _by_key(program: Program, outputs: Sequence[End]) -> Callable[[Sequence[Any]], dict[str, Any]]:
    def serve(tensors: Sequence[Any]) -> dict[str, Any]:
        return {end.key: tf.identity(tensor) for end, tensor in zip(outputs, program.call(tensors), strict=True)}

    return serve


def _loops(graph: Any) -> bool:
    """Whether a graph, or a function that it calls, holds a loop."""
    definition = graph.as_graph_def()
    bodies = [definition.node, *(function.node_def for function in definition.library.function)]
    return any("While" in node.op for body in bodies for node in body)
