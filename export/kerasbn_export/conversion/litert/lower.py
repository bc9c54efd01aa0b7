"""From a SavedModel to StableHLO, with its weights as constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kerasbn.errors import ConversionError
from kerasbn.lazy import LazyModule
from kerasbn_export.conversion.litert.respell import respelled
from kerasbn_export.conversion.servable import Servable, Signature

tf: Any = LazyModule("tensorflow")  # importing this module is to import no TensorFlow


@dataclass(frozen=True)
class Lowered:
    """One signature as a module of StableHLO.

    Attributes:
        name: Of the signature.
        inputs: The keys of the arguments, in their order.
        outputs: The keys of the results, in their order.
        text: The module.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    text: str


def lowered(servable: Servable) -> list[Lowered]:
    """Every signature of a SavedModel.

    Args:
        servable: The SavedModel, without loops.

    Raises:
        ConversionError: A shape is open, or XLA does not know an operation.
    """
    loaded = tf.saved_model.load(str(servable.folder))
    return [_lowered(signature, loaded.signatures[signature.name]) for signature in servable.signatures]


def _lowered(signature: Signature, function: Any) -> Lowered:
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    _check_shapes(signature, frozen)
    graph = respelled(frozen.graph)
    inputs, results = [tensor.op.name for tensor in frozen.inputs], [tensor.name for tensor in frozen.outputs]
    used = {name.partition(":")[0] for node in graph.node for name in node.input}

    def call(*tensors: Any) -> Any:
        given = {name: tensor for name, tensor in zip(inputs, tensors, strict=True) if name in used}
        return tf.graph_util.import_graph_def(graph, input_map=given, return_elements=results, name="")

    zeros = [tf.zeros(tensor.shape, tensor.dtype) for tensor in frozen.inputs]
    compiled = tf.function(call, jit_compile=True, autograph=False)
    try:
        text = compiled.experimental_get_compiler_ir(*zeros)(stage="stablehlo")
    except Exception as error:  # TensorFlow raises many types here
        raise ConversionError(
            f"XLA cannot lower the model: {_reason(error)}. route='tensorflow' may take it."
        ) from error
    if _arguments(text) < len(inputs):
        raise ConversionError(
            "XLA cannot lower the model: the size of something in it depends on the numbers that it is given. "
            "route='tensorflow' may take it."
        )
    return Lowered(signature.name, tuple(inputs), tuple(sorted(end.key for end in signature.outputs)), text)


def _arguments(text: str) -> int:
    """How many a module takes: what it needs to know beforehand, XLA reads from the samples, and makes a constant."""
    main = next((line for line in text.splitlines() if "@main(" in line), "")
    return main.count("%arg")


def _check_shapes(signature: Signature, frozen: Any) -> None:
    names = {end.key: end.name for end in signature.inputs}
    for tensor in frozen.inputs:
        if not tensor.shape.is_fully_defined():
            raise ConversionError(
                f"route='litert' takes no open shape, and input {names[tensor.op.name]!r} has shape "
                f"{tuple(tensor.shape)}. Fix it in the model's Input (batch_size fixes the batch), or take "
                "route='tensorflow' (--route tensorflow)."
            )


def _reason(error: Exception) -> str:
    """The part of XLA's message that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
