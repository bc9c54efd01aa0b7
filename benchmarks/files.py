"""The two .tflite files of a model: the stock converter's, and ours."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kerasbn.errors import ConversionError
from kerasbn_export import export_tflite
from kerasbn_export.tflite.file import Op, Tensor, TFLiteFile

ELEMENTWISE = frozenset({"MUL", "ADD", "SUB", "DIV"})
STATISTICS = frozenset({"RSQRT", "SUM"})


def stock_file(model: Any, path: Path, *, calibration: np.ndarray | None = None) -> Path:
    """Writes what ``TFLiteConverter.from_keras_model`` makes of the model as it is.

    Args:
        model: Of either Keras.
        path: The file to write.
        calibration: Samples of its one input for int8; None for float32.

    Raises:
        ConversionError: It fails, as for models that need more than the builtin operations.
    """
    with warnings.catch_warnings(), silent():
        warnings.simplefilter("ignore")
        try:
            converter = tf.lite.TFLiteConverter.from_keras_model(model)
            if calibration is not None:
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.representative_dataset = lambda: ([sample[None]] for sample in calibration)
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
                converter.inference_input_type = converter.inference_output_type = tf.int8
            path.write_bytes(converter.convert())
        except Exception as error:  # the converter raises many types, none of them public
            raise ConversionError(f"The stock converter failed: {type(error).__name__}") from error
    return path


def our_file(model: Any, path: Path, *, calibration: np.ndarray | None = None, fold: bool = True) -> Path:
    """Writes what ``export_tflite`` makes of the model; without folding, the stock conversion of a batch of 1."""
    precision = "float32" if calibration is None else "int8"
    with silent():
        export_tflite(model, path, precision=precision, calibration=calibration, fold=fold)
    return path


def leftovers(file: TFLiteFile) -> list[Op]:
    """Operations that only multiply the data by constants or add them: what a BatchNorm leaves that is not folded.

    Other norms compute on their own statistics, a few numbers per sample; those operations are not counted.
    """
    found, statistics = [], set[str]()
    for op in file.ops:
        if _is_of_statistics(op, statistics):
            statistics.update(tensor.name for tensor in op.outputs)
        elif _is_affine(op):
            found.append(op)
    return found


def _is_of_statistics(op: Op, statistics: set[str]) -> bool:
    """Whether the result is a sum, a 1/sigma, or computed from these and no larger than an operand that is no data."""
    if op.name in STATISTICS:
        return True
    known = [tensor for tensor in op.inputs if tensor.constant or tensor.name in statistics]
    if op.name not in ELEMENTWISE or all(tensor.constant for tensor in known):
        return False
    return any(_size(tensor) == _size(op.outputs[0]) for tensor in known)


def _is_affine(op: Op) -> bool:
    if op.name == "DEPTHWISE_CONV_2D":
        channels = op.inputs[0].shape[-1]
        return op.inputs[1].shape == (1, 1, 1, channels)
    return op.name in ELEMENTWISE and any(tensor.constant and _size(tensor) > 1 for tensor in op.inputs)


def _size(tensor: Tensor) -> int:
    """Its elements, those of one sample where the batch is open."""
    return math.prod(abs(size) for size in tensor.shape)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keeps what the converter and its C++ code write away from the table."""
    saved = {stream: os.dup(stream.fileno()) for stream in (sys.stdout, sys.stderr)}
    with tempfile.TemporaryFile() as nowhere:
        try:
            for stream in saved:
                stream.flush()
                os.dup2(nowhere.fileno(), stream.fileno())
            yield
        finally:
            for stream, descriptor in saved.items():
                stream.flush()
                os.dup2(descriptor, stream.fileno())
                os.close(descriptor)
