"""Reads a finished ``.tflite`` file: its operations, inputs, outputs, signature and precision.

Nothing is run, and neither TensorFlow nor an interpreter is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kerasbn.errors import ModelFileError
from kerasbn_export.files.reading import reading
from kerasbn_export.tflite.flatbuffer import content_of, dtype_name, op_name, opened

CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
"""Operations that put numbers on a grid, or take them off it."""
AFFINE_OPS = frozenset({"MUL", "ADD", "SUB", "DIV"})


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file.

    Attributes:
        name: The converter's name for it; intermediate ones carry the paths of Keras layers.
        shape: With -1 where an axis is free.
        dtype: ``"FLOAT32"``, ``"INT8"``, ... as the schema spells it.
        constant: Whether its values are stored in the file, be it in float16 for a float32 tensor.
        scales: How many it has: 0 where it is not quantized, 1, or one for each channel.
        zero_point: The stored number that stands for 0, of the first channel.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    constant: bool
    scales: int = 0
    zero_point: int = 0

    @property
    def per_channel(self) -> bool:
        """Whether it is a constant that varies along exactly one axis."""
        return self.constant and sum(size > 1 for size in self.shape) == 1


@dataclass(frozen=True)
class Op:
    """An operation: its name in the schema, or ``CUSTOM:`` and its own name, and its tensors."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def long(self) -> bool:
        """Whether what it computes has 16 bits."""
        return bool(self.outputs) and all(tensor.dtype == "INT16" for tensor in self.outputs)

    @property
    def affine(self) -> bool:
        """Whether it multiplies or adds a per-channel constant, as a BatchNorm that was not folded does."""
        return self.name in AFFINE_OPS and any(tensor.per_channel for tensor in self.inputs)


@dataclass(frozen=True)
class FileSignature:
    """One computation of a file, with its ends in the order of its subgraph.

    Attributes:
        name: Its name; empty where the file has no signature.
        input_names: As the signature names them; the tensors' names where there is none.
        inputs: The tensors.
        output_names: The same for the outputs.
        outputs: The tensors.
    """

    name: str
    input_names: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    output_names: tuple[str, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class TFLiteFile:
    """What a ``.tflite`` file holds.

    Attributes:
        size: In bytes.
        ops: Of all subgraphs, in order.
        main_ops: How many of them are of the main subgraph; they come first.
        signatures: At least one; that of the main subgraph comes first.
        metadata: The named blobs.
    """

    size: int
    ops: tuple[Op, ...]
    main_ops: int
    signatures: tuple[FileSignature, ...]
    metadata: Mapping[str, bytes]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Of the main subgraph, in order."""
        return self.signatures[0].inputs

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Of the main subgraph, in order."""
        return self.signatures[0].outputs

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs of the main subgraph."""
        return self.signatures[0].input_names

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs of the main subgraph."""
        return self.signatures[0].output_names

    @property
    def op_counts(self) -> dict[str, int]:
        """How often each operation occurs, the most frequent first."""
        return dict(Counter(op.name for op in self.ops).most_common())

    @property
    def affine_ops(self) -> tuple[Op, ...]:
        """The operations that multiply or add a per-channel constant."""
        return tuple(op for op in self.ops if op.affine)

    @property
    def custom_ops(self) -> tuple[str, ...]:
        """The operations that the plain interpreter does not have."""
        return tuple(name for name in self.op_counts if name.startswith("CUSTOM:"))

    @property
    def float_ops(self) -> tuple[Op, ...]:
        """The operations that compute in float, conversions from and to float not counted."""
        return tuple(
            op
            for op in self.ops
            if op.name not in {"QUANTIZE", "DEQUANTIZE"} and any(tensor.dtype == "FLOAT32" for tensor in op.outputs)
        )

    @property
    def float_op_counts(self) -> dict[str, int]:
        """How often each of the `float_ops` occurs."""
        return dict(Counter(op.name for op in self.float_ops).most_common())

    @property
    def precision(self) -> str:
        """The coarsest of ``float32``, ``float16``, ``dynamic``, ``int8`` and ``int16x8``, by the tensors' types."""
        results = {tensor.dtype for op in self.ops for tensor in op.outputs}
        weights = {tensor.dtype for op in self.ops for tensor in op.inputs if tensor.constant}
        if "INT8" in results:
            return "int8"
        if "INT16" in results and "INT8" in weights:
            return "int16x8"
        if "FLOAT16" in weights:
            return "float16"
        return "dynamic" if "INT8" in weights else "float32"


def read_tflite(source: str | Path | bytes, name: str = "the data") -> TFLiteFile:
    """Reads a ``.tflite`` file.

    Args:
        source: Its path or its content.
        name: What to call it in messages, where it is its content.

    Raises:
        ModelFileError: The file is missing or is no ``.tflite``.
    """
    if isinstance(source, (bytes, bytearray)):
        data = bytes(source)
    else:
        name, data = str(source), _read(source)
    model = opened(data, name)
    with reading(name, "the .tflite file is damaged or cut short", ModelFileError):
        return _parse(model, len(data))


def read_ops(source: str | Path | bytes) -> dict[str, int]:
    """The operations of a ``.tflite`` file with their counts; see `read_tflite`."""
    return read_tflite(source).op_counts


def _read(path: str | Path) -> bytes:
    with reading(path, "cannot be read", ModelFileError, missing="cannot be read: No such file"):
        return Path(path).read_bytes()


def _parse(model: Any, size: int) -> TFLiteFile:
    tensors = [_tensors(model, subgraph) for subgraph in model.subgraphs]
    ops = [
        _op(model, op, tensors[index]) for index, subgraph in enumerate(model.subgraphs) for op in subgraph.operators
    ]
    defined = sorted(model.signatureDefs or [], key=lambda signature: signature.subgraphIndex)
    signatures = [_signature(model, signature.subgraphIndex, signature, tensors) for signature in defined]
    if not defined or defined[0].subgraphIndex != 0:
        signatures.insert(0, _signature(model, 0, None, tensors))
    return TFLiteFile(
        size=size,
        ops=tuple(ops),
        main_ops=len(model.subgraphs[0].operators),
        signatures=tuple(signatures),
        metadata={_text(entry.name): content_of(model, entry) for entry in model.metadata or []},
    )


def _signature(model: Any, index: int, signature: Any, tensors: list[list[Tensor]]) -> FileSignature:
    graph, own = model.subgraphs[index], tensors[index]
    return FileSignature(
        name=_text(signature.signatureKey) if signature else "",
        input_names=_names(signature.inputs if signature else [], graph.inputs, own),
        inputs=tuple(own[index] for index in graph.inputs),
        output_names=_names(signature.outputs if signature else [], graph.outputs, own),
        outputs=tuple(own[index] for index in graph.outputs),
    )


def _tensors(model: Any, subgraph: Any) -> list[Tensor]:
    tensors = [_tensor(model, tensor) for tensor in subgraph.tensors]
    for op in subgraph.operators:  # a float16 constant is used through a DEQUANTIZE, and stays a constant
        if op_name(model, op) == "DEQUANTIZE" and tensors[op.inputs[0]].constant:
            tensors[op.outputs[0]] = replace(tensors[op.outputs[0]], constant=True)
    return tensors


def _tensor(model: Any, tensor: Any) -> Tensor:
    shape = tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape
    scales, zero_points = _scaling(tensor)
    return Tensor(
        name=_text(tensor.name),
        shape=tuple(int(size) for size in shape) if shape is not None else (),
        dtype=dtype_name(tensor).upper(),
        constant=bool(content_of(model, tensor)) and not tensor.isVariable,
        scales=len(scales),
        zero_point=int(zero_points[0]) if len(zero_points) else 0,
    )


def _scaling(tensor: Any) -> tuple[Any, Any]:
    """Its scales and zero points; empty where it is not quantized."""
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None:
        return (), ()
    return quantization.scale, () if quantization.zeroPoint is None else quantization.zeroPoint


def _op(model: Any, op: Any, tensors: list[Tensor]) -> Op:
    custom = model.operatorCodes[op.opcodeIndex].customCode
    return Op(
        name=f"CUSTOM:{_text(custom)}" if custom else op_name(model, op),
        inputs=tuple(tensors[index] for index in op.inputs if index >= 0),
        outputs=tuple(tensors[index] for index in op.outputs if index >= 0),
    )


def _names(entries: list[Any], indices: list[int], tensors: list[Tensor]) -> tuple[str, ...]:
    """The names of the ends; one tensor may be several of them, which its entries name in order."""
    known: dict[int, list[str]] = {}
    for entry in entries or []:
        known.setdefault(int(entry.tensorIndex), []).append(_text(entry.name))
    return tuple(known[index].pop(0) if known.get(index) else tensors[index].name for index in indices)


def _text(value: bytes | str | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""
