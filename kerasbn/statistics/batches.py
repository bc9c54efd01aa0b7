"""Data in whatever form `fit` takes them, as batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasbn.errors import InvalidArgumentError

ACCEPTED = (
    "a numpy array, a list or dict of arrays for several inputs, (inputs, labels), a tf.data.Dataset, a "
    "keras.utils.PyDataset, a generator of batches or a function that gives one"
)
KEPT_EVERY, KEPT_SAMPLES = 5, 512
"""Every fifth batch is kept out until there are so many samples: at most a fifth, and of large data less."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Some samples.

    Attributes:
        inputs: As the model takes them.
        labels: As `fit` takes them; None where there are none.
    """

    inputs: Any
    labels: Any = None

    @property
    def size(self) -> int:
        """How many samples."""
        return int(leaves(self.inputs)[0].shape[0])

    def take(self, indices: NDArray[np.intp]) -> Batch:
        """Some of the samples, in an order of their own."""
        labels = None if self.labels is None else mapped(lambda leaf: _rows(leaf, indices), self.labels)
        return Batch(mapped(lambda leaf: _rows(leaf, indices), self.inputs), labels)

    def part(self, begin: int, end: int) -> Batch:
        """Some of the samples."""
        labels = None if self.labels is None else mapped(lambda leaf: leaf[begin:end], self.labels)
        return Batch(mapped(lambda leaf: leaf[begin:end], self.inputs), labels)


def _rows(leaf: Any, indices: NDArray[np.intp]) -> NDArray[Any]:
    return np.asarray(leaf[indices] if isinstance(leaf, np.ndarray) else np.asarray(leaf)[indices])


@dataclass(frozen=True)
class Source:
    """Batches of some data.

    Attributes:
        make: Begins to read them.
        again: Whether they can be read more than once.
        count: How many there are; None if that is not known.
    """

    make: Callable[[], Iterator[Batch]]
    again: bool
    count: int | None

    def __iter__(self) -> Iterator[Batch]:
        for index, batch in enumerate(self.make()):
            _check_batch(batch, index)
            yield batch


def some_of(data: Any, batch_size: int, model: Any, limit: int) -> Source:
    """As `open_data`, but of arrays some samples from everywhere, and of the others the first batches.

    Args:
        data: See `ACCEPTED`.
        batch_size: For arrays.
        model: Whose inputs they are.
        limit: How many samples, about.
    """
    source = open_data(data, batch_size, model)
    if not _is_nest_of_arrays(data):
        return Source(lambda: _up_to(source.make(), limit), source.again, source.count)
    whole, batch_size = _as_batch(data, model), fixed_batch(model) or batch_size
    order = np.random.default_rng(0).permutation(whole.size)[:limit]
    begins = [at for at in range(0, len(order), batch_size) if at + batch_size <= len(order) or not fixed_batch(model)]
    return Source(lambda: (whole.take(np.sort(order[at : at + batch_size])) for at in begins), True, len(begins))


def _up_to(batches: Iterator[Batch], limit: int) -> Iterator[Batch]:
    seen = 0
    for batch in batches:
        yield batch
        seen += batch.size
        if seen >= limit:
            return


def open_data(data: Any, batch_size: int, model: Any, steps: int | None = None) -> Source:
    """The data as batches.

    Args:
        data: See `ACCEPTED`.
        batch_size: For arrays; a Dataset, a PyDataset and a generator have batches of their own.
        model: Whose inputs they are.
        steps: How many batches to take at most.

    Raises:
        InvalidArgumentError: The data are none of these, are empty or without end.
    """
    source = _source(data, batch_size, model)
    if steps is None:
        return source
    count = steps if source.count is None else min(steps, source.count)
    return Source(lambda: (batch for _, batch in zip(range(steps), source.make(), strict=False)), source.again, count)


def _source(data: Any, batch_size: int, model: Any) -> Source:
    if hasattr(data, "element_spec"):
        return _dataset(data, model)
    if _is_nest_of_arrays(data):
        return _arrays(_as_batch(data, model), fixed_batch(model) or batch_size, fixed_batch(model) is not None)
    if hasattr(data, "__getitem__") and not isinstance(data, (str, bytes, list, tuple, dict)):
        return _indexed(data, model)
    if callable(data) and not hasattr(data, "__iter__"):
        return Source(lambda: (_as_batch(each, model) for each in data()), True, None)
    if hasattr(data, "__iter__") and not isinstance(data, (str, bytes, list, tuple, dict)):
        again = iter(data) is not data
        count = len(data) if hasattr(data, "__len__") else None
        return Source(lambda: (_as_batch(each, model) for each in data), again, count)
    raise InvalidArgumentError(f"data={type(data).__name__}; accepted: {ACCEPTED}.")


def _dataset(data: Any, model: Any) -> Source:
    count = int(data.cardinality()) if hasattr(data, "cardinality") else -2
    if count == -1:
        raise InvalidArgumentError("The Dataset has no end (it repeats); give steps=N, or data without repeat().")
    return Source(lambda: (_as_batch(each, model) for each in data), True, count if count >= 0 else None)


def _indexed(data: Any, model: Any) -> Source:
    count = getattr(data, "num_batches", None)
    count = len(data) if count is None and hasattr(data, "__len__") else count
    if count is None:
        raise InvalidArgumentError(f"The {type(data).__name__} does not say how many batches it has; give it a length.")
    return Source(lambda: (_as_batch(data[index], model) for index in range(count)), True, int(count))


def _arrays(whole: Batch, batch_size: int, exact_size: bool) -> Source:
    sizes = {int(leaf.shape[0]) for leaf in leaves(whole.inputs)}
    sizes |= {int(leaf.shape[0]) for leaf in leaves(whole.labels)} if whole.labels is not None else set()
    if len(sizes) != 1 or 0 in sizes:
        raise InvalidArgumentError(f"The arrays have {sorted(sizes)} samples; accepted: the same number, at least one.")
    (size,) = sizes
    begins = [at for at in range(0, size, batch_size) if at + batch_size <= size or not exact_size]
    if not begins:
        raise InvalidArgumentError(f"The model takes batches of {batch_size} samples, and the data have {size}.")
    return Source(lambda: (whole.part(at, min(at + batch_size, size)) for at in begins), True, len(begins))


def _as_batch(element: Any, model: Any) -> Batch:
    """A tuple is (inputs, labels, weights), as for `fit`, unless the model has as many inputs as it has members."""
    if not isinstance(element, tuple):
        return Batch(_arrayed(element))
    nested = any(isinstance(part, (list, tuple, dict)) for part in element)
    if len(element) > 1 and len(element) == _input_count(model) and not nested:
        return Batch(_arrayed(list(element)))
    if len(element) not in (1, 2, 3):
        raise InvalidArgumentError(f"A batch is a tuple of {len(element)}; accepted: (inputs, labels, weights).")
    return Batch(_arrayed(element[0]), _arrayed(element[1]) if len(element) > 1 and element[1] is not None else None)


def _input_count(model: Any) -> int:
    try:
        return len(model.inputs or [None])
    except (AttributeError, TypeError, ValueError):
        return 1


def fixed_batch(model: Any) -> int | None:
    """The number of samples that the model takes at once, if it takes no other."""
    try:
        return model.inputs[0].shape[0]  # type: ignore[no-any-return]
    except (AttributeError, IndexError, TypeError, ValueError):
        return None


def _check_batch(batch: Batch, index: int) -> None:
    for leaf in leaves(batch.inputs):
        if not leaf.shape:
            raise InvalidArgumentError(f"Batch {index} of the data is a single number; give batches of samples.")
        values = np.asarray(leaf)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise InvalidArgumentError(
                f"Batch {index} of the data holds NaN or infinite values; statistics of them mean nothing. The model "
                "is as it was."
            )


def _is_nest_of_arrays(data: Any) -> bool:
    if isinstance(data, (list, tuple, dict)):
        parts = list(data.values()) if isinstance(data, dict) else [each for each in data if each is not None]
        return bool(parts) and all(map(_is_nest_of_arrays, parts))
    return hasattr(data, "shape") and hasattr(data, "dtype")


def leaves(nest: Any) -> list[Any]:
    """The arrays of a nest of lists and dicts."""
    if isinstance(nest, dict):
        return [leaf for each in nest.values() for leaf in leaves(each)]
    if isinstance(nest, (list, tuple)):
        return [leaf for each in nest for leaf in leaves(each)]
    return [nest]


def mapped(function: Callable[[Any], Any], nest: Any) -> Any:
    """The nest with each array replaced."""
    if isinstance(nest, dict):
        return {key: mapped(function, value) for key, value in nest.items()}
    if isinstance(nest, (list, tuple)):
        return [mapped(function, each) for each in nest]
    return function(nest)


def _arrayed(nest: Any) -> Any:
    return mapped(
        lambda leaf: leaf if hasattr(leaf, "shape") and hasattr(leaf, "__getitem__") else np.asarray(leaf), nest
    )


def without_kept(batches: Source, kept: list[Batch]) -> Iterator[Batch]:
    """The batches but for some that are put into ``kept``: every fifth; of fewer one, but never the only one."""
    iterator = iter(batches)
    first = list(islice(iterator, KEPT_EVERY))
    if len(first) < KEPT_EVERY:
        kept += _one_of_few(first)
        yield from (batch for batch in first if batch not in kept)
        return
    for index, batch in enumerate(chain(first, iterator)):
        if index % KEPT_EVERY == 0 and sum(each.size for each in kept) < KEPT_SAMPLES:
            kept.append(batch)
        else:
            yield batch


def _one_of_few(batches: list[Batch]) -> list[Batch]:
    """The largest that leaves as many samples as it has."""
    whole = sum(batch.size for batch in batches)
    fitting = [batch for batch in batches if 2 * batch.size <= whole]
    return [max(fitting, key=lambda batch: batch.size)] if fitting else []


def with_first(source: Source) -> tuple[Source, Batch]:
    """The source as it was, and its first batch."""
    iterator = iter(source)
    try:
        first = next(iterator)
    except StopIteration:
        raise InvalidArgumentError("The data hold no batch.") from None
    if source.again:
        return source, first
    return Source(lambda: chain([first], iterator), False, source.count), first
