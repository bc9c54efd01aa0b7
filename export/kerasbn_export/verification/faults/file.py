"""A .tflite file taken apart, to damage one of its numbers and put it together again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.tflite.flatbuffer import add_buffer, content_of, dtype_name, op_name, parse, serialize

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
        self.model: Any = parse(content)
        self.tensors: list[Any] = self.model.subgraphs[0].tensors

    def content(self) -> bytes:
        """The bytes of the file as it is now."""
        return serialize(self.model)

    @property
    def nodes(self) -> list[Node]:
        """The operations in order."""
        return [Node(self, operator) for operator in self.model.subgraphs[0].operators]

    def linear(self) -> list[Node]:
        """The operations on 8-bit integers that have a kernel and a bias."""
        return [node for node in self.nodes if node.is_linear]

    def kind(self, node: Node) -> str:
        """The name of an operation in the schema."""
        return op_name(self.model, node.operator)

    def stored(self, tensor: Any) -> Array:
        """The integers of a constant."""
        array: Array = np.frombuffer(content_of(self.model, tensor), dtype_name(tensor)).reshape(tensor.shape)
        return array

    def store(self, tensor: Any, array: Array) -> None:
        """Give a constant other integers, and leave tensors alone that share its buffer."""
        info = np.iinfo(dtype_name(tensor))
        tensor.buffer = add_buffer(self.model, np.clip(np.rint(array), info.min, info.max).astype(info.dtype))

    def is_constant(self, tensor: Any, dtype: str) -> bool:
        """Whether a tensor holds integers of a type in the file."""
        return dtype_name(tensor) == dtype and bool(content_of(self.model, tensor))


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
            and self.file.is_constant(self.inputs[1], "int8")
            and self.file.is_constant(self.inputs[2], "int32")
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
