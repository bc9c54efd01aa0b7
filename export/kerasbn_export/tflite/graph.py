"""The operations and tensors of a .tflite file, as far as the verifier asks about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kerasbn.errors import ModelFileError
from kerasbn_export.arrays import Array
from kerasbn_export.files.reading import reading
from kerasbn_export.precision import coarsest
from kerasbn_export.tflite.flatbuffer import dtype_name, enumeration, op_name, opened
from kerasbn_export.tflite.quantization import Quantization

_NUMPY = ("float16", "float32", "int8", "uint8", "int16", "int32", "int64")

RESHAPING = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")
"""Operations that move no number."""

TRANSPOSED_OPS = ("TRANSPOSE_CONV", "CONV_3D_TRANSPOSE")
"""Operations whose first input is the shape of their output."""

LINEAR_OPS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "CONV_3D", "CONV_3D_TRANSPOSE")


@dataclass(frozen=True)
class Tensor:
    """A tensor: its name, dtype, shape, quantisation if it is one scale for all, and whether it is a constant."""

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    quantization: Quantization | None
    constant: bool


@dataclass(frozen=True)
class Operation:
    """An operation with the indices of its tensors; absent optional inputs are left out."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str = "NONE"
    """What is fused into it."""


@dataclass(frozen=True)
class Stored:
    """The real values of a constant in float64, and the step of the grid they lie on: 0 in float32."""

    values: Array
    step: Array


class TFLiteGraph:
    """The first subgraph of a file; the bodies of its loops count for its precision alone.

    Args:
        content: The bytes of the file.
        name: What to call the file in messages.

    Raises:
        ModelFileError: The bytes are no .tflite model.
    """

    def __init__(self, content: bytes, name: str) -> None:
        model = opened(content, name)
        with reading(name, "the .tflite file is damaged or cut short", ModelFileError):
            subgraph = model.subgraphs[0]
            bodies = [_body(graph, model) for graph in model.subgraphs]
            self.tensors, self.operations = bodies[0]
            self._bodies = bodies
            self.keeps_state = any(raw.isVariable for graph in model.subgraphs for raw in graph.tensors)
            self._stored = [(raw.quantization, model.buffers[raw.buffer].data) for raw in subgraph.tensors]
        self.inputs = [int(i) for i in subgraph.inputs]
        self.outputs = [int(i) for i in subgraph.outputs]

    @cached_property
    def producers(self) -> dict[int, Operation]:
        """The operation that gives each tensor."""
        return {index: operation for operation in self.operations for index in operation.outputs}

    def users(self, index: int) -> list[Operation]:
        """The operations that take a tensor."""
        return [operation for operation in self.operations if index in operation.inputs]

    @cached_property
    def dependent(self) -> list[int]:
        """The tensors that depend on the inputs, in the order they are computed; the inputs are not among them."""
        known = set(self.inputs)
        order: list[int] = []
        for operation in self.operations:
            if known.intersection(operation.inputs):
                known.update(operation.outputs)
                order.extend(operation.outputs)
        return order

    @cached_property
    def precision(self) -> str:
        """The least exact kind of arithmetic in the file, as a key of ``GATES``."""
        all_tensors = (tensor for tensors, _ in self._bodies for tensor in tensors)
        found = ["float16"] if any(tensor.constant and tensor.dtype == "float16" for tensor in all_tensors) else []
        kinds = (_arithmetic(operation, tensors) for tensors, operations in self._bodies for operation in operations)
        return coarsest("float32", *found, *kinds)

    def constant(self, index: int) -> Stored | None:
        """A constant, also one that is dequantised at run time; None if it is none."""
        producer = self.producers.get(index)
        if producer is not None and producer.name == "DEQUANTIZE":
            index = producer.inputs[0]
        tensor, (quantization, data) = self.tensors[index], self._stored[index]
        if not tensor.constant or data is None or tensor.dtype not in _NUMPY:
            return None
        stored = np.frombuffer(np.asarray(data, np.uint8).tobytes(), tensor.dtype).reshape(tensor.shape)
        if tensor.quantization:
            return _dequantized(stored, quantization)
        half = tensor.dtype == "float16"
        return Stored(stored.astype(np.float64), np.spacing(np.abs(stored)).astype(np.float64) if half else np.zeros(1))

    def beyond(self, index: int, known: Collection[int] = ()) -> tuple[int, float]:
        """The tensor that an operation computed whose numbers this one is to hold, reshaped or in another type.

        Args:
            index: A tensor.
            known: Tensors to stop at.

        Returns:
            That tensor, and the coarsest step of a grid that the numbers were put on since; 0 if on none.
        """
        step = self.step(index)
        while index not in known and (producer := self.producers.get(index)) is not None:
            if producer.name not in (*RESHAPING, "DEQUANTIZE") and not self._puts_on_a_grid(producer):
                break
            index = producer.inputs[0]
            step = max(step, self.step(index))
        return index, step

    def aliases(self, index: int) -> list[int]:
        """The tensor and those before it that hold the same numbers."""
        found = [index]
        while (producer := self.producers.get(found[-1])) is not None and self._copies(producer):
            found.append(producer.inputs[0])
        return found

    def takes(self, operation: Operation, sources: Collection[int]) -> bool:
        """Whether an operation takes some tensors, inputs of the file and constants only."""
        known = {alias for source in sources for alias in self.aliases(source)}
        return all(self._comes_from(i, known) for i in operation.inputs)

    def _comes_from(self, index: int, known: Collection[int]) -> bool:
        if self.tensors[index].constant or self.constant(index) is not None:
            return True
        source, step = self.beyond(index, known)
        return source in self.inputs or (source in known and step == self.step(source))

    def reshaped(self, indices: Iterable[int]) -> set[int]:
        """Those of some tensors that are only reshaped into others of them."""
        some = set(indices)
        copies = [self.producers[i] for i in some if i in self.producers and self.producers[i].name in RESHAPING]
        return {operation.inputs[0] for operation in copies} & some

    def _copies(self, operation: Operation) -> bool:
        """Whether the numbers stay what they are; a reshape that is given another grid makes others of them."""
        before, after = self.tensors[operation.inputs[0]], self.tensors[operation.outputs[0]]
        return operation.name == "DEQUANTIZE" or (
            operation.name in RESHAPING and before.quantization == after.quantization
        )

    def step(self, index: int) -> float:
        """The step of a tensor's grid; 0 if it has none."""
        quantization = self.tensors[index].quantization
        return quantization.scale if quantization else 0.0

    def _puts_on_a_grid(self, operation: Operation) -> bool:
        """Whether it rounds to one grid, and to none that is nearly as coarse as another before."""
        if operation.name != "QUANTIZE":
            return False
        before, after = self.tensors[operation.inputs[0]], self.tensors[operation.outputs[0]]
        return not before.quantization or {before.dtype, after.dtype} == {"int8", "int16"}

    def before_activation(self, index: int) -> int | None:
        """The tensor that goes into the softmax or sigmoid which gives an output; None if neither gives it."""
        operation = self.producers.get(index)
        while operation is not None and operation.name in ("DEQUANTIZE", "QUANTIZE", "RESHAPE"):
            operation = self.producers.get(operation.inputs[0])
        if operation is None or operation.name not in ("SOFTMAX", "LOGISTIC"):
            return None
        return operation.inputs[0]

    def calibrated(self, index: int) -> Quantization | None:
        """The quantisation of an input, where it stands or right behind the QUANTIZE that takes it."""
        if self.tensors[index].quantization:
            return self.tensors[index].quantization
        users = self.users(index)
        behind = [self.tensors[user.outputs[0]].quantization for user in users if user.name == "QUANTIZE"]
        return behind[0] if len(behind) == len(users) == 1 else None

    def ids(self, index: int) -> int:
        """How many ids the tables take that an input is looked up in; 0 if it is looked up in none."""
        behind = [index, *(i for user in self.users(index) if user.name == "CAST" for i in user.outputs)]
        tables = [
            user.inputs[0] for i in behind for user in self.users(i) if user.name in ("GATHER", "EMBEDDING_LOOKUP")
        ]
        sizes = [self.tensors[table].shape[0] for table in tables if self.tensors[table].constant]
        return min(sizes, default=0)


def _arithmetic(operation: Operation, tensors: Sequence[Tensor]) -> str:
    dtypes = {tensors[i].dtype for i in operation.inputs if tensors[i].quantization}
    computed = [tensors[i] for i in operation.inputs if not tensors[i].constant]
    if any(tensor.dtype in ("int8", "uint8") and tensor.quantization for tensor in computed):
        return "int8"
    if any(tensor.dtype == "int16" and tensor.quantization for tensor in computed):
        return "int16x8"
    weights = {tensors[i].dtype for i in operation.inputs if tensors[i].constant}
    if operation.name in LINEAR_OPS and weights & {"int8", "uint8", "int4"}:
        return "dynamic"
    return "dynamic" if dtypes & {"int8", "uint8"} else "float32"


def _body(graph: Any, model: Any) -> tuple[list[Tensor], list[Operation]]:
    """The tensors and operations of one subgraph: the file itself, or what a loop in it repeats."""
    tensors = [_tensor(i, raw, model) for i, raw in enumerate(graph.tensors)]
    return tensors, [_operation(raw, model) for raw in graph.operators]


def _tensor(index: int, raw: Any, model: Any) -> Tensor:
    dtype = dtype_name(raw)
    data = model.buffers[raw.buffer].data
    shape = () if raw.shape is None else tuple(int(size) for size in raw.shape)
    constant = (data is not None and len(data) > 0) or bool(model.buffers[raw.buffer].size)
    return Tensor(index, (raw.name or b"").decode(), dtype, shape, _quantization(raw.quantization, dtype), constant)


def _quantization(raw: Any, dtype: str) -> Quantization | None:
    if raw is None or raw.scale is None or len(raw.scale) == 0:
        return None
    zero = 0 if raw.zeroPoint is None or len(raw.zeroPoint) == 0 else int(raw.zeroPoint[0])
    return Quantization(float(np.float32(raw.scale[0])), zero, dtype)


def _dequantized(stored: Array, quantization: Any) -> Stored:
    view = [1] * stored.ndim
    if stored.ndim:  # a constant may be one number
        view[quantization.quantizedDimension] = -1
    zero = 0.0 if quantization.zeroPoint is None else np.asarray(quantization.zeroPoint, np.float64)
    scale = np.asarray(quantization.scale, np.float64).reshape(view)
    return Stored((stored - np.reshape(zero, view)) * scale, scale)


def _operation(raw: Any, model: Any) -> Operation:
    present = tuple(int(i) for i in raw.inputs if i >= 0)
    fused = getattr(raw.builtinOptions, "fusedActivationFunction", 0)
    activation = enumeration("ActivationFunctionType")[fused]
    return Operation(op_name(model, raw), present, tuple(int(i) for i in raw.outputs), activation)
