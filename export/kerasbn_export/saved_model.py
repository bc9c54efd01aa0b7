"""Reads what a SavedModel describes: the layers of Keras 2, the operations of its graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerasbn.errors import ModelFileError
from kerasbn_export.reading import read_json, reading


def keras_metadata(folder: Path) -> tuple[Any, ...]:
    """The descriptions of the Keras objects in a SavedModel; empty if it was not saved by Keras 2.

    Keras 2 writes one JSON text per layer to ``keras_metadata.pb``; before TensorFlow 2.5 it wrote them into
    the object graph of ``saved_model.pb``.

    Raises:
        ModelFileError: The files are damaged.
    """
    with reading(folder, "the SavedModel is damaged or cut short", ModelFileError):
        texts = _own_file(folder) if (folder / "keras_metadata.pb").is_file() else _object_graph(folder)
        return tuple(read_json(text) for text in texts)


def _own_file(folder: Path) -> list[str]:
    from tf_keras.protobuf import saved_metadata_pb2

    saved = saved_metadata_pb2.SavedMetadata()
    saved.ParseFromString((folder / "keras_metadata.pb").read_bytes())
    return [node.metadata for node in saved.nodes]


def graph_operations(folder: Path) -> Iterator[str]:
    """The name of every operation in the graph of a SavedModel, functions included.

    Raises:
        ModelFileError: The file is damaged.
    """
    with reading(folder, "the SavedModel is damaged or cut short", ModelFileError):
        saved = read_saved_model(folder)
    for meta in saved.meta_graphs:
        bodies = [meta.graph_def.node, *(function.node_def for function in meta.graph_def.library.function)]
        yield from (node.op for body in bodies for node in body)


def read_saved_model(folder: Path) -> Any:
    """The whole description, as the protobuf that it is."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    return saved


def _object_graph(folder: Path) -> list[str]:
    saved = read_saved_model(folder)
    objects = [node.user_object for graph in saved.meta_graphs for node in graph.object_graph_def.nodes]
    return [found.metadata for found in objects if found.identifier.startswith("_tf_keras") and found.metadata]
