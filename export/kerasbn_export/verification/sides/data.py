"""The inputs that both sides are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasbn.errors import InvalidArgumentError, ModelFileError, NotComparableError
from kerasbn_export.arrays import Array
from kerasbn_export.calibration.array_file import read_arrays
from kerasbn_export.calibration.array_values import as_array, as_dtype
from kerasbn_export.calibration.named_arrays import in_order
from kerasbn_export.files.reading import told_of
from kerasbn_export.verification.sides.ports import Port

OPEN_SIZE = 32
"""The size drawn for a dimension that both sides leave open."""


def random_data(
    reference: Sequence[Port], candidate: Sequence[Port], first: int, samples: int, *, seed: int, scale: float
) -> list[Array]:
    """Seeded inputs that both sides accept, in the order of the reference's.

    Floats are normal. Where the candidate's input is quantised they are moved and stretched into its calibrated range,
    clipped to it, and put on its grid, so that no side sees other numbers than the other. Ids are valid in every
    embedding that takes them.

    Args:
        reference: The inputs of the reference.
        candidate: The candidate's counterpart of each.
        first: The number of the first sample, which has a seed of its own.
        samples: How many samples.
        seed: The seed.
        scale: The standard deviation.

    Raises:
        NotComparableError: An input takes text.
    """
    _refuse_text(reference)
    rng = np.random.default_rng([seed, first] if first else seed)
    return [_draw(rng, a, b, samples, scale) for a, b in zip(reference, candidate, strict=True)]


def _draw(rng: np.random.Generator, reference: Port, candidate: Port, samples: int, scale: float) -> Array:
    sizes = zip(reference.shape[1:], candidate.shape[1:], strict=True)
    shape = (samples, *(a or b or OPEN_SIZE for a, b in sizes))
    limit = min((limit for limit in (reference.limit, candidate.limit) if limit), default=0)
    if limit or "float" not in reference.dtype:
        return _draw_whole(rng, shape, reference.dtype, limit)
    values = scale * rng.standard_normal(shape)
    for quantization in (reference.quantization, candidate.quantization):
        if quantization:
            low, high = quantization.range
            inside = (low + high) / 2 + np.clip(values / 3, -1, 1) * (high - low) / 2
            values = quantization.restore(quantization.store(inside)).astype(np.float64)
    return values.astype(reference.dtype)


def _draw_whole(rng: np.random.Generator, shape: tuple[int, ...], dtype: str, limit: int) -> Array:
    if not limit:
        limit = 256 if dtype == "uint8" else 2
    return rng.integers(0, limit, shape).astype(dtype)


def given_data(data: Any, ports: Sequence[Port]) -> list[Array]:
    """The user's inputs as one array per input of the reference.

    Args:
        data: An array; arrays in a list, in a dict by input name, or nested as the model takes them; or the path of an
            ``.npy`` or ``.npz``.
        ports: The inputs of the reference.

    Raises:
        ModelFileError: A path that is missing or holds no arrays.
        InvalidArgumentError: The arrays do not fit the inputs, or hold NaN or infinity.
        NotComparableError: There is no sample in them, or an input takes text.
    """
    _refuse_text(ports)
    if isinstance(data, (str, Path)):
        with told_of(data):
            return given_data(_load(Path(data)), ports)
    arrays = [as_array(array, "data", InvalidArgumentError) for array in _in_order(data, ports)]
    for array, port in zip(arrays, ports, strict=True):
        _check(array, port)
    counts = {len(array) for array in arrays}
    if len(counts) > 1:
        raise InvalidArgumentError(f"The inputs have different numbers of samples: {sorted(counts)}.")
    if counts == {0}:
        raise NotComparableError("The data hold no sample: comparing nothing proves nothing.")
    return [
        as_dtype(array, port.dtype, f"data for the input {port}", InvalidArgumentError)
        for array, port in zip(arrays, ports, strict=True)
    ]


def _refuse_text(ports: Sequence[Port]) -> None:
    for port in ports:
        if port.dtype == "string":
            raise NotComparableError(
                f"The input {port} takes text, and only numbers can be compared layer by layer. Look the words up "
                "before the model (StringLookup or TextVectorization outside of it); compare what takes the numbers."
            )


def _load(path: Path) -> Any:
    try:
        return read_arrays(path)
    except InvalidArgumentError as error:
        raise ModelFileError(str(error)) from error


def _in_order(data: Any, ports: Sequence[Port]) -> list[Any]:
    if isinstance(data, Mapping) and len(data) == len(ports) == 1:
        return list(data.values())
    found = in_order(data, [port.names for port in ports])
    if found is not None:
        return found
    wanted = "; ".join(map(str, ports))
    if isinstance(data, Mapping):
        raise InvalidArgumentError(
            f"Data are named {', '.join(sorted(map(str, data)))}; the reference's inputs are {wanted}. "
            "Every input needs one array of its name."
        )
    count = len(data) if isinstance(data, (list, tuple)) else 1
    raise InvalidArgumentError(
        f"Data for {count} input(s) were given; the reference has {len(ports)}: {wanted}. A list needs one array per "
        "input; a single array goes without a list."
    )


def _check(array: Array, port: Port) -> None:
    sizes = port.shape[1:]
    if array.ndim != len(port.shape) or any(a not in (None, b) for a, b in zip(sizes, array.shape[1:], strict=True)):
        raise InvalidArgumentError(f"Data of shape {array.shape} do not fit the input {port}; samples come first.")
    if array.dtype.kind not in "biuf":
        raise InvalidArgumentError(f"Data of dtype {array.dtype} do not fit the input {port}; give real numbers.")
    if not np.all(np.isfinite(array)):
        raise InvalidArgumentError(f"Data for the input {port} hold NaN or infinity; give finite numbers.")
