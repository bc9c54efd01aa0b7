"""Reads what a SavedModel describes: the layers of Keras 2, the operations of its graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasbn.errors import ModelFileError, UnsafeModelError
from kerasbn_export.files.reading import read_json, reading
from kerasbn_export.loading.safe_graph import find_operations


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


def refuse_operations(folder: Path) -> None:
    """Refuse a SavedModel whose graph holds an operation that may do more than compute.

    Raises:
        ModelFileError: The file is damaged.
        UnsafeModelError: It holds one.
    """
    with reading(folder, "the SavedModel is damaged or cut short", ModelFileError):
        saved = read_saved_model(folder)
    for finding in find_operations(saved):
        raise UnsafeModelError(
            f"{folder}: its {finding.where} holds the operation {finding.operation} ({finding.node!r}), which is not "
            "one of those that only compute or keep values in memory; loading or running the model could run it. "
            "If you trust the file, load it with allow_code=True (on the command line: --allow-code)."
        )


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
