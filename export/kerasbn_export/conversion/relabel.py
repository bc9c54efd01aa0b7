"""Finishes a ``.tflite`` file: the model's names and order of inputs and outputs, and named blobs of metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kerasbn_export.conversion.conv3d import fuse_conv3d
from kerasbn_export.conversion.servable import Signature
from kerasbn_export.program.traced import End
from kerasbn_export.tflite.flatbuffer import add_buffer, parse, schema, serialize


def relabel(data: bytes, signatures: Sequence[Signature], metadata: Mapping[str, bytes]) -> bytes:
    """The same file with the inputs and outputs of every signature named and ordered as in the model.

    What the converter leaves beside a convolution of three dimensions goes into it: see
    `kerasbn_export.conversion.conv3d`.

    Args:
        data: A ``.tflite`` file.
        signatures: Its signatures: the names, and of each end the present key and the name it gets.
        metadata: Blobs to store under their names, in place of any that are there under the same name.
    """
    model = parse(data)
    by_name = {signature.signatureKey.decode(): signature for signature in model.signatureDefs}
    for wanted in signatures:
        signature = by_name[wanted.name]
        graph = model.subgraphs[signature.subgraphIndex]
        graph.inputs = _arranged(signature.inputs, graph.inputs, wanted.inputs)
        graph.outputs = _arranged(signature.outputs, graph.outputs, wanted.outputs)
        for end, index in zip(wanted.inputs, graph.inputs, strict=True):
            graph.tensors[index].name = f"{wanted.name}_{end.name}:0".encode()
    fuse_conv3d(model)
    for name, blob in metadata.items():
        _store(model, name, blob)
    return serialize(model)


def _arranged(entries: list[Any], present: list[int], ends: Sequence[End]) -> list[int]:
    """Renames the entries of a signature and puts them in order; gives their tensors in that order."""
    by_key = {entry.name.decode(): entry for entry in entries}
    entries[:] = [by_key[end.key] for end in ends]
    for entry, end in zip(entries, ends, strict=True):
        entry.name = end.name.encode()
    order = [entry.tensorIndex for entry in entries]
    return order if sorted(order) == sorted(present) else list(present)


def _store(model: Any, name: str, blob: bytes) -> None:
    entry = schema().MetadataT()
    entry.name, entry.buffer = name.encode(), add_buffer(model, blob)
    others = [old for old in model.metadata or [] if old.name != entry.name]
    model.metadata = [*others, entry]
