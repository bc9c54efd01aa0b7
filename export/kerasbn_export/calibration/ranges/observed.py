"""The values of tensors: runs the calibrated float file over the samples, one batch at a time, and keeps every tensor.

TFLite computes an ADD or a MUL in the memory of its input where it can. The converter's calibrator reads that memory
too late, and takes the range of a sum for that of the product before it. A vision transformer lost 3 dB in int8.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kerasbn.errors import ConversionError
from kerasbn_export.arrays import Array
from kerasbn_export.calibration.ranges.histogram import Counting
from kerasbn_export.calibration.ranges.places import Place
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.tflite.flatbuffer import dtype_name, parse, serialize
from kerasbn_export.tflite.interpreter import BACKENDS


def count_values(
    calibrated: bytes,
    wanted: Sequence[Place],
    samples: Calibration,
    keys: Sequence[str],
    *,
    batch_size: int,
    symmetric: bool,
    on_sample: Callable[[int, int], None] = lambda *_: None,
) -> list[Counting]:
    """The values of the source of each place.

    Args:
        calibrated: The float file.
        wanted: The places.
        samples: What it is run on.
        keys: The names of the inputs in the file's signature, in the order of the samples' arrays.
        batch_size: How many samples it takes at a time.
        symmetric: Whether the grid is the same on both sides of 0: then magnitudes are counted.
        on_sample: Called with the number of samples done and of all.

    Raises:
        ConversionError: LiteRT cannot run the float file.
    """
    found = [Counting(max(-p.low, p.high) if symmetric else p.high - p.low) for p in wanted]
    try:
        for interpreter in _runs(calibrated, samples, keys, batch_size, on_sample):
            for place, counting in zip(wanted, found, strict=True):
                values = interpreter.get_tensor(place.source)
                counting.add(np.abs(values) if symmetric else values)
    except (RuntimeError, ValueError) as error:
        raise ConversionError(
            f"LiteRT cannot run the float file whose values the ranges are chosen by: {error}. Leave ranges out."
        ) from error
    return found


def with_observed_ranges(
    calibrated: bytes,
    samples: Calibration,
    keys: Sequence[str],
    *,
    batch_size: int,
    on_sample: Callable[[int, int], None],
) -> bytes | None:
    """The same file with the smallest and the largest value of each tensor that has a range.

    Returns:
        None where the file cannot be run so: it has loops, keeps a state, or a value is not finite.
    """
    model = parse(calibrated)
    graph = model.subgraphs[0]
    if len(model.subgraphs) > 1 or any(tensor.isVariable for tensor in graph.tensors):
        return None
    ranged = [i for i, tensor in enumerate(graph.tensors) if dtype_name(tensor) == "float32" and _has_range(tensor)]
    low, high = np.full(len(ranged), np.inf), np.full(len(ranged), -np.inf)
    try:
        for interpreter in _runs(calibrated, samples, keys, batch_size, on_sample):
            values = [interpreter.get_tensor(index) for index in ranged]
            low = np.minimum(low, [array.min(initial=np.inf) for array in values])
            high = np.maximum(high, [array.max(initial=-np.inf) for array in values])
    except (RuntimeError, ValueError):
        return None
    if not np.isfinite([low, high]).all():
        return None
    for index, *ends in zip(ranged, low, high, strict=True):
        quantization = graph.tensors[index].quantization
        quantization.min, quantization.max = (np.array([end], np.float32) for end in ends)
    return serialize(model)


def _runs(
    calibrated: bytes,
    samples: Calibration,
    keys: Sequence[str],
    batch_size: int,
    on_sample: Callable[[int, int], None],
) -> Iterator[Any]:
    """The interpreter, after each batch."""
    interpreter = _opened(calibrated)
    indices = _inputs(interpreter, keys)
    for number, arrays in enumerate(samples.batches(batch_size)):
        on_sample(number * batch_size, len(samples))
        _run(interpreter, indices, arrays)
        yield interpreter


def _has_range(tensor: Any) -> bool:
    quantization = tensor.quantization
    return quantization is not None and quantization.min is not None and len(quantization.min) == 1


def _opened(content: bytes) -> Any:
    """An interpreter that keeps all tensors; XNNPACK would hide those inside."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Warning: Enabling `experimental_preserve_all_tensors`")  # on purpose
        return Interpreter(
            model_content=content,
            experimental_op_resolver_type=getattr(OpResolverType, BACKENDS["builtin"]),
            experimental_preserve_all_tensors=True,
        )


def _inputs(interpreter: Any, keys: Sequence[str]) -> list[int]:
    """The tensor of each input; the file has an order of its own."""
    details = interpreter.get_signature_runner().get_input_details()
    return [int(details[key]["index"]) for key in keys]


def _run(interpreter: Any, indices: Sequence[int], arrays: Sequence[Array]) -> None:
    for index, array in zip(indices, arrays, strict=True):
        interpreter.resize_tensor_input(index, array.shape)
    interpreter.allocate_tensors()
    interpreter.reset_all_variables()
    for index, array in zip(indices, arrays, strict=True):
        interpreter.set_tensor(index, np.ascontiguousarray(array))
    interpreter.invoke()
