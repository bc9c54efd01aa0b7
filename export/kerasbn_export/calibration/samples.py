"""Calibration data: what a quantized model's ranges are measured on, checked before the slow part.

Accepted are an array, a list of arrays (one per input), a dict of arrays by input name, both nested as the model takes
them, the path of a ``.npy`` or ``.npz`` file with arrays or named arrays, a folder of images (see
`kerasbn_export.calibration.image_folder`), and a generator, a ``tf.data.Dataset`` or a function that returns one, whose
items are samples or batches in any of these forms. Every form ends as one array per input with the samples on the first
axis. The text ``"random"`` asks for standard normal numbers, and ``"data-free"`` for samples that are made from the
model's BatchNorms (see `kerasbn_export.calibration.data_free`); nothing else makes numbers up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasbn.errors import CalibrationError
from kerasbn_export.calibration.array_file import SUFFIXES, read_arrays
from kerasbn_export.calibration.array_values import as_array, as_dtype
from kerasbn_export.calibration.image_folder import STRETCH, read_images
from kerasbn_export.calibration.named_arrays import in_order
from kerasbn_export.ends import ModelInput, shown_shape
from kerasbn_export.files.reading import told_of
from kerasbn_export.graph.structure import leaves

RANDOM, DATA_FREE = "random", "data-free"
"""The two words for data that are not the user's: see the module's docstring."""
LIMIT = 1000
"""Samples taken from a source that may be endless."""
RANDOM_SAMPLES = 100
LARGEST = 1e30
"""TensorFlow's calibrator dies where an activation is infinite."""
WANTED = (
    "an array, a list with one array per input, a dict of arrays by input name, a .npy or .npz file, a folder of "
    'images, a generator of samples, or the text "data-free" or "random"'
)


@dataclass(frozen=True)
class Calibration:
    """Samples that fit a model.

    Attributes:
        arrays: One array per input, in the order of the inputs, all with the same length.
        source: Where they come from, for the report: ``"array"``, ``"generator"``, ``"random"``, ``"data-free"`` with
            what they were made from, or a file's name.
        seed: What they were drawn from, where they were.
        names: Of the inputs, in the order of the arrays; empty where they are not known.
    """

    arrays: tuple[NDArray[Any], ...]
    source: str
    seed: int | None = None
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __str__(self) -> str:
        if self.source == RANDOM:
            return f"{len(self)} random number samples (seed {self.seed})"
        if self.made:
            return f"{len(self)} samples made {self.source} (seed {self.seed})"
        return f"{len(self)} samples from {self.source}"

    @property
    def made(self) -> bool:
        """Whether no real input is among them."""
        return self.source == RANDOM or self.source.startswith(DATA_FREE)

    def batches(self, size: int) -> Iterator[list[NDArray[Any]]]:
        """The samples in batches of exactly `size`; the last one is filled up from the start."""
        for start in range(0, len(self), size):
            rows = np.arange(start, start + size) % len(self)
            yield [array[rows] for array in self.arrays]


def read_calibration(
    data: Any,
    inputs: Sequence[ModelInput],
    *,
    seed: int = 0,
    limit: int = LIMIT,
    image_range: tuple[float, float] | None = None,
    image_resize: str = STRETCH,
) -> Calibration:
    """Brings calibration data into one form and checks that they fit.

    Args:
        data: See the module's docstring.
        inputs: The inputs of the model, in its order.
        seed: The seed of ``"random"``.
        limit: How many samples are taken from a generator or a folder; arrays are taken whole.
        image_range: What the values 0 and 255 of images in a folder become.
        image_resize: What happens to images of other proportions: see `kerasbn_export.calibration.image_folder`.

    Raises:
        CalibrationError: There are none, their number, names, shapes or dtypes do not fit, or a value is NaN
            or infinite; or an input takes text.
    """
    _refuse_text(inputs)
    if isinstance(data, str | Path) and Path(data).suffix.lower() in SUFFIXES:
        with told_of(data):
            return replace(read_calibration(read_arrays(data), inputs), source=Path(data).name)
    if isinstance(data, str | Path) and data not in (RANDOM, DATA_FREE) and Path(data).is_dir():
        images = read_images(Path(data), _only(inputs), image_range, limit, image_resize)
        return checked([images], inputs, f"the images in {Path(data).name}")
    if data is None:
        raise CalibrationError(f"No calibration data were given; accepted: {WANTED}.")
    if isinstance(data, str):
        return _random(data, inputs, seed)
    if hasattr(data, "shape") or isinstance(data, Mapping) or _is_arrays(data):
        return checked(_by_input(data, inputs), inputs, "array")
    if callable(data):
        data = data()
    if not isinstance(data, Iterable):
        raise CalibrationError(
            f"Calibration data of type {type(data).__name__} are not understood; accepted: {WANTED}."
        )
    return _from_samples(data, inputs, limit)


def _refuse_text(inputs: Sequence[ModelInput]) -> None:
    for wanted in inputs:
        if wanted.dtype == "string":
            raise CalibrationError(
                f"The model wants {wanted}, which is text; a quantized file takes numbers only. Look the words up "
                "before the model (StringLookup or TextVectorization outside of it), and export what takes the numbers."
            )


def _random(name: str, inputs: Sequence[ModelInput], seed: int) -> Calibration:
    if name == DATA_FREE:
        raise CalibrationError("Data-free calibration makes its samples from a model; only an export knows one.")
    if name != RANDOM:
        raise CalibrationError(f"Calibration {name!r} is not known; accepted: {WANTED}.")
    rng = np.random.default_rng(seed)
    for wanted in inputs:
        if not np.issubdtype(np.dtype(wanted.dtype), np.floating) or None in wanted.shape[1:]:
            raise CalibrationError(f"Random calibration needs a fixed shape and a float dtype; found {wanted}.")
    arrays = [rng.standard_normal((RANDOM_SAMPLES, *_sizes(wanted))) for wanted in inputs]
    return replace(checked(arrays, inputs, RANDOM), seed=seed)


def _only(inputs: Sequence[ModelInput]) -> ModelInput:
    if len(inputs) != 1:
        raise CalibrationError(f"A folder of images fits a model with one input; found {', '.join(map(str, inputs))}.")
    return inputs[0]


def _sizes(wanted: ModelInput) -> tuple[int, ...]:
    return tuple(size for size in wanted.shape[1:] if size is not None)


def _is_arrays(data: Any) -> bool:
    """Whether a list holds the inputs, some of them perhaps nested, and not samples that hold them."""
    if not isinstance(data, list | tuple):
        return False
    return any(hasattr(item, "shape") for item in data) and all(hasattr(leaf, "shape") for leaf in leaves(data))


def _by_input(data: Any, inputs: Sequence[ModelInput]) -> list[NDArray[Any]]:
    """One array per input, whichever way they were given."""
    found = in_order(data, [wanted.names for wanted in inputs])
    if found is not None:
        return [as_array(array, "calibration data", CalibrationError) for array in found]
    if isinstance(data, Mapping):
        names = sorted(wanted.name for wanted in inputs)
        raise CalibrationError(f"Calibration data are named {sorted(map(str, data))}; the model's inputs are {names}.")
    count = len(data) if isinstance(data, list | tuple) else 1
    raise CalibrationError(
        f"Calibration data hold {count} array{'s' * (count != 1)}; the model has {len(inputs)} "
        f"input{'s' * (len(inputs) != 1)}: {', '.join(map(str, inputs))}."
    )


def _from_samples(samples: Iterable[Any], inputs: Sequence[ModelInput], limit: int) -> Calibration:
    columns: list[list[NDArray[Any]]] = [[] for _ in inputs]
    taken = 0
    for index, sample in enumerate(islice(samples, limit)):
        rows = [
            _rows(array, wanted, f"sample {index}")
            for array, wanted in zip(_by_input(sample, inputs), inputs, strict=True)
        ]
        for column, row in zip(columns, rows, strict=True):
            column.append(row)
        taken += len(rows[0])
        if taken >= limit:
            break
    if not taken:
        raise CalibrationError("The calibration generator yields no samples.")
    return checked([np.concatenate(column)[:limit] for column in columns], inputs, "generator")


def _rows(array: NDArray[Any], wanted: ModelInput, where: str) -> NDArray[Any]:
    """A sample or a batch of samples, as a batch."""
    if array.ndim == len(wanted.shape) - 1:
        array = array[None]
    _check_array(array, wanted, where)
    return array


def checked(arrays: Sequence[NDArray[Any]], inputs: Sequence[ModelInput], source: str) -> Calibration:
    """The samples as a `Calibration`, in the dtypes of the inputs.

    Args:
        arrays: One for each input, in order.
        inputs: What they have to fit.
        source: See `Calibration`.

    Raises:
        CalibrationError: They do not fit; see `read_calibration`.
    """
    for array, wanted in zip(arrays, inputs, strict=True):
        _check_array(array, wanted, "calibration data")
    lengths = {wanted.name: len(array) for array, wanted in zip(arrays, inputs, strict=True)}
    if len(set(lengths.values())) != 1:
        raise CalibrationError(f"The inputs have different numbers of calibration samples: {lengths}.")
    if all(array.size > 1 and array.min() == array.max() for array in arrays):
        raise CalibrationError("The calibration data are constant: no range can be measured on them.")
    typed = [
        as_dtype(array, wanted.dtype, f"calibration data for {wanted}", CalibrationError)
        for array, wanted in zip(arrays, inputs, strict=True)
    ]
    for array, wanted in zip(typed, inputs, strict=True):
        if np.abs(array).max() > LARGEST:
            raise CalibrationError(
                f"The calibration data for {wanted} reach {np.abs(array).max():g}, and what a network computes from "
                f"numbers beyond {LARGEST:g} leaves the range of float32; give them in the unit that it was trained in."
            )
    return Calibration(tuple(typed), source, names=tuple(wanted.name for wanted in inputs))


def _check_array(array: NDArray[Any], wanted: ModelInput, where: str) -> None:
    if not np.can_cast(array.dtype, wanted.dtype, "same_kind"):
        raise CalibrationError(f"The {where} are {array.dtype}; the model wants {wanted}.")
    if not _fits(array.shape, wanted.shape):
        raise CalibrationError(
            f"The {where} have shape {shown_shape(array.shape)}; the model wants {wanted} (the first axis counts "
            "samples)."
        )
    if not array.size:
        raise CalibrationError(f"The {where} are empty: shape {shown_shape(array.shape)} for {wanted}.")
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise CalibrationError(f"The {where} for {wanted} hold NaN or infinity, first in row {row}.")


def _fits(found: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(found) == len(wanted) and all(
        want is None or have == want for have, want in zip(found[1:], wanted[1:], strict=True)
    )
