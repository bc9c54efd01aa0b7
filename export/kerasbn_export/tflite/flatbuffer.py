"""A ``.tflite`` file as the tree of objects that its schema describes, to read and to change.

The one reader and the one writer: `parse` and `serialize` undo each other. `opened` is for files that somebody else
made, and looks at what they say of themselves first.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

import numpy as np

from kerasbn.errors import ModelFileError
from kerasbn_export.arrays import Array
from kerasbn_export.files.reading import reading
from kerasbn_export.tflite.check import check_model

IDENTIFIER = b"TFL3"


def schema() -> Any:
    """The module with the classes and enumerations of the schema."""
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def parse(content: bytes) -> Any:
    """The file as objects; every buffer has its content, also where the file keeps that apart."""
    from ai_edge_litert.tools import flatbuffer_utils

    return flatbuffer_utils.read_model_from_bytearray(content)


def opened(content: bytes, label: str) -> Any:
    """The file as objects, once what it says of itself holds together.

    Args:
        content: The file.
        label: What to call it in messages.

    Raises:
        ModelFileError: The bytes are no ``.tflite`` file, or a damaged one.
    """
    check_identifier(content, label)
    with reading(label, "the .tflite file is damaged or cut short", ModelFileError):
        model = parse(content)
        check_model(model)
        return model


def check_identifier(content: bytes, label: str) -> None:
    """Whether the bytes begin as a ``.tflite`` file.

    Raises:
        ModelFileError: They do not.
    """
    if content[4:8] != IDENTIFIER:
        raise ModelFileError(f"{label}: no .tflite file, it begins with {content[:8]!r}.")


def serialize(model: Any) -> bytes:
    """The bytes of the file."""
    from ai_edge_litert.tools import flatbuffer_utils

    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


@cache
def enumeration(name: str) -> dict[int, str]:
    """The names of an enumeration of the schema, by number."""
    members = vars(getattr(schema(), name)).items()
    return {number: word for word, number in members if not word.startswith("_")}


def has_any(content: bytes, kinds: Collection[str]) -> bool:
    """Whether a file has one of some operations, by their names; it is not read as a whole."""
    model = schema().Model.GetRootAs(content, 0)
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    present = {max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) for code in codes}
    return any(getattr(schema().BuiltinOperator, kind) in present for kind in kinds)


def op_name(model: Any, op: Any) -> str:
    """The name of an operation, as ``CONV_2D``."""
    code = model.operatorCodes[op.opcodeIndex]
    return enumeration("BuiltinOperator")[max(code.builtinCode, code.deprecatedBuiltinCode)]


def dtype_name(tensor: Any) -> str:
    """The type of a tensor's numbers as numpy writes it."""
    return enumeration("TensorType")[tensor.type].lower()


def new_code(model: Any, name: str, version: int = 1) -> int:
    """The number of a new code for a builtin operation."""
    code = schema().OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema().BuiltinOperator, name)
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def add_buffer(model: Any, data: bytes | Array) -> int:
    """The number of a new buffer with some content."""
    buffer = schema().BufferT()
    buffer.data = np.frombuffer(data if isinstance(data, bytes) else data.tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def own_buffer(model: Any, tensor: Any) -> Any:
    """The buffer of a tensor; a new one where others share it."""
    if sum(other.buffer == tensor.buffer for graph in model.subgraphs for other in graph.tensors) > 1:
        tensor.buffer = add_buffer(model, b"")
    return model.buffers[tensor.buffer]


def content_of(model: Any, holder: Any) -> bytes:
    """What the buffer of a tensor or of a blob of metadata holds."""
    data = model.buffers[holder.buffer].data
    return b"" if data is None else bytes(data)
