"""Writes operations of a frozen graph in a form that the converter spells well.

XLA knows no layers: it writes a pooling as a window with a sum, a GELU as 45 operations, and some forms of a
convolution so that the converter takes them for another. What TFLite has itself goes around that as a call, which no
one on the way looks into.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasbn.lazy import LazyModule
from kerasbn_export.conversion.litert.dilated import dilated
from kerasbn_export.conversion.litert.layers import LAYERS
from kerasbn_export.conversion.litert.nodes import Plain, Spelled
from kerasbn_export.conversion.litert.passes import TARGET
from kerasbn_export.conversion.litert.patterns import gelu, prelu

tf: Any = LazyModule("tensorflow")  # importing this module is to import no TensorFlow

Spelling = Callable[[Any], "Plain | Spelled | None"]
"""From an operation to what is put in its place; None leaves it."""

SPELLINGS: Mapping[str, Spelling] = {**LAYERS, "BatchToSpaceND": dilated, "Mul": gelu, "AddV2": prelu}
"""By the type of the operation."""


def respelled(graph: Any) -> Any:
    """The definition of a graph without its placeholders, in the form that the converter spells well.

    Args:
        graph: A frozen graph.
    """
    definition = graph.as_graph_def()
    nodes = {node.name: node for node in definition.node}
    constants = _constants(graph)
    for operation in graph.get_operations():
        spelling = None if operation in constants else SPELLINGS.get(operation.type)
        spelled = spelling(operation) if spelling and _is_known(operation) else None
        if spelled is not None:
            _write(definition, nodes[operation.name], spelled, operation)
    kept = [node for node in definition.node if node.op != "Placeholder"]
    del definition.node[:]
    definition.node.extend(kept)
    return definition


def _constants(graph: Any) -> set[Any]:
    """The operations that depend on no input: the converter computes them itself."""
    found: set[Any] = set()
    for operation in graph.get_operations():
        if operation.type != "Placeholder" and found.issuperset(tensor.op for tensor in operation.inputs):
            found.add(operation)
    return found


def _is_known(operation: Any) -> bool:
    """Whether it computes in float32, and all shapes around it are known: XLA reads whole numbers as shapes."""
    return all(tensor.dtype == tf.float32 for tensor in operation.outputs) and all(
        tensor.shape.is_fully_defined() for tensor in (*operation.inputs, *operation.outputs)
    )


def _write(definition: Any, node: Any, spelled: Plain | Spelled, operation: Any) -> None:
    """Makes a node another operation under the same name."""
    names, types = [], []
    for place, operand in enumerate(spelled.operands):
        name, dtype = _operand(definition, f"{node.name}/operand_{place}", operand)
        names.append(name)
        types.append(dtype.as_datatype_enum)
    node.ClearField("input")
    node.input.extend(names)
    node.attr.clear()
    if isinstance(spelled, Plain):
        node.op = spelled.op
        for name, value in spelled.attributes.items():
            node.attr[name].CopyFrom(value)
        return
    node.op = "XlaCustomCallV2"
    node.attr["call_target_name"].s = TARGET.encode()
    node.attr["backend_config"].s = json.dumps(
        {"op": spelled.op, "attributes": dict(spelled.attributes), "missing": spelled.missing}
    ).encode()
    node.attr["has_side_effect"].b = False
    node.attr["operand_dtypes"].list.type.extend(types)
    node.attr["result_dtypes"].list.type.extend(output.dtype.as_datatype_enum for output in operation.outputs)
    node.attr["result_shapes"].list.shape.extend(output.shape.as_proto() for output in operation.outputs)


def _operand(definition: Any, name: str, operand: Any) -> tuple[str, Any]:
    """The name and type of what an operation takes, which is written where it is new."""
    if isinstance(operand, Plain):
        node = definition.node.add(name=name)
        _write(definition, node, operand, None)
        return name, tf.as_dtype(operand.attributes["T"].type)
    if not isinstance(operand, (np.ndarray, np.generic)):
        return operand.name, operand.dtype
    tensor = tf.make_tensor_proto(operand)
    node = definition.node.add(name=name, op="Const")
    node.attr["value"].tensor.CopyFrom(tensor)
    node.attr["dtype"].type = tensor.dtype
    return name, tf.as_dtype(tensor.dtype)
