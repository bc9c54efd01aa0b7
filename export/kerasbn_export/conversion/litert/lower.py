"""From a SavedModel to StableHLO, with its weights as constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from kerasbn.lazy import LazyModule
from kerasbn_export.conversion.litert.respell import respelled
from kerasbn_export.conversion.servable import Servable, Signature

tf: Any = LazyModule("tensorflow")


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
    """Every signature of a SavedModel whose shapes are known.

    Args:
        servable: The SavedModel.
    """
    loaded = tf.saved_model.load(str(servable.folder))
    return [_lowered(signature, loaded.signatures[signature.name]) for signature in servable.signatures]


def _lowered(signature: Signature, function: Any) -> Lowered:
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    graph = respelled(frozen.graph)
    inputs = [tensor.op.name for tensor in frozen.inputs]
    names = [tensor.name for tensor in frozen.outputs]

    used = {name.partition(":")[0] for node in graph.node for name in node.input}

    def call(*tensors: Any) -> Any:
        given = {name: tensor for name, tensor in zip(inputs, tensors, strict=True) if name in used}
        return tf.graph_util.import_graph_def(graph, input_map=given, return_elements=names, name="")

    zeros = [tf.zeros(tensor.shape, tensor.dtype) for tensor in frozen.inputs]
    compiled = tf.function(call, jit_compile=True, autograph=False)
    text = compiled.experimental_get_compiler_ir(*zeros)(stage="stablehlo")
    return Lowered(signature.name, tuple(inputs), tuple(sorted(end.key for end in signature.outputs)), text)
