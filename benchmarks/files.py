"""The two .tflite files of a model: the stock converter's, and ours."""

from __future__ import annotations

import contextlib
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
from kerasbn_export.tflite_file import Op, Tensor, TFLiteFile

ELEMENTWISE = frozenset({"MUL", "ADD", "SUB", "DIV"})


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
    """Operations that do nothing but multiply or add constants: what a BatchNorm leaves when it is not folded."""
    return [op for op in file.ops if _is_affine(op)]


def _is_affine(op: Op) -> bool:
    if op.name == "DEPTHWISE_CONV_2D":
        channels = op.inputs[0].shape[-1]
        return op.inputs[1].shape == (1, 1, 1, channels)
    return op.name in ELEMENTWISE and any(tensor.constant and _varies(tensor) for tensor in op.inputs)


def _varies(tensor: Tensor) -> bool:
    """Whether there is more than one number; single ones are other layers' epsilons and factors."""
    return int(np.prod(tensor.shape)) > 1


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
