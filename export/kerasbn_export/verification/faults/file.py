"""A .tflite file taken apart, to damage one of its numbers and put it together again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn_export.arrays import Array

DTYPES = {"int8": "INT8", "int32": "INT32", "int64": "INT64"}

FileDamage = Callable[["File"], "Node | None"]
"""Damages a file in place; gives the operation whose output shows it, None if there is no place for it."""


@dataclass(frozen=True)
class FileFault:
    """A way in which quantised files go wrong.

    Attributes:
        name: Its name, for tables.
        text: What is done wrong, in words.
        damage: The function that does it.
    """

    name: str
    text: str
    damage: FileDamage

    def apply(self, content: bytes) -> tuple[bytes, str] | None:
        """The file with the fault, and the name of the tensor that shows it; None if there is no place for it.

        Args:
            content: A correct ``.tflite`` file.
        """
        file = File(content)
        node = self.damage(file)
        return None if node is None else (file.content(), node.output_name)


def of_file(damage: FileDamage) -> FileFault:
    """A fault of files; its name and text are the function's."""
    return FileFault(damage.__name__.replace("_", " "), (damage.__doc__ or "").strip().replace("``", ""), damage)


class File:
    """The first subgraph of a file.

    Args:
        content: Its bytes.
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.tools import flatbuffer_utils

        self._flatbuffer = flatbuffer_utils
        self.model: Any = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
        self.tensors: list[Any] = self.model.subgraphs[0].tensors

    def content(self) -> bytes:
        """The bytes of the file as it is now."""
        return bytes(self._flatbuffer.convert_object_to_bytearray(self.model))

    @property
    def nodes(self) -> list[Node]:
        """The operations in order."""
        return [Node(self, operator) for operator in self.model.subgraphs[0].operators]

    def linear(self) -> list[Node]:
        """The operations on 8-bit integers that have a kernel and a bias."""
        return [node for node in self.nodes if node.is_linear]

    def kind(self, node: Node) -> str:
        """The name of an operation in the schema."""
        return str(self._flatbuffer.opcode_to_name(self.model, node.operator.opcodeIndex))

    def stored(self, tensor: Any) -> Array:
        """The integers of a constant."""
        dtype = next(name for name, key in DTYPES.items() if self._is(tensor, key))
        data = np.asarray(self.model.buffers[tensor.buffer].data, np.uint8).tobytes()
        array: Array = np.frombuffer(data, dtype).reshape(tensor.shape)
        return array

    def store(self, tensor: Any, array: Array) -> None:
        """Give a constant other integers, and leave tensors alone that share its buffer."""
        from ai_edge_litert import schema_py_generated as schema

        like = self.stored(tensor)
        info = np.iinfo(like.dtype)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.clip(np.rint(array), info.min, info.max).astype(like.dtype).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor.buffer = len(self.model.buffers) - 1

    def _is(self, tensor: Any, key: str) -> bool:
        return bool(tensor.type == getattr(self._flatbuffer.schema_fb.TensorType, key))

    def is_constant(self, tensor: Any, key: str) -> bool:
        """Whether a tensor holds integers of a type in the file."""
        data = self.model.buffers[tensor.buffer].data
        return self._is(tensor, key) and data is not None and len(data) > 0


@dataclass(frozen=True)
class Node:
    """One operation of a file."""

    file: File
    operator: Any

    @property
    def kind(self) -> str:
        """Its name in the schema."""
        return self.file.kind(self)

    @property
    def inputs(self) -> list[Any]:
        """Its tensors, without those left out."""
        return [self.file.tensors[i] for i in self.operator.inputs if i >= 0]

    @property
    def output(self) -> Any:
        """The tensor it gives."""
        return self.file.tensors[self.operator.outputs[0]]

    @property
    def output_name(self) -> str:
        """The name of that tensor."""
        return str(self.output.name.decode())

    @property
    def is_linear(self) -> bool:
        """Whether it is linear, on 8-bit integers, with a kernel and a bias."""
        kernels = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
        return (
            self.kind in kernels
            and len(self.inputs) == 3
            and self.file.is_constant(self.inputs[1], "INT8")
            and self.file.is_constant(self.inputs[2], "INT32")
        )

    @property
    def kernel(self) -> Any:
        """The tensor of its kernel."""
        return self.inputs[1]

    @property
    def bias(self) -> Any:
        """The tensor of its bias."""
        return self.inputs[2]

    @property
    def channel_axis(self) -> int:
        """The axis of the kernel that numbers the output channels."""
        return 3 if self.kind == "DEPTHWISE_CONV_2D" else 0
