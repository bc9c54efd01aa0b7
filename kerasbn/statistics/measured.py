"""A model, its BatchNorms, and what they measured so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from kerasbn.errors import InvalidArgumentError, UnsupportedModelError
from kerasbn.statistics.batches import Batch, fixed_batch
from kerasbn.statistics.judging import Validation, compare_sums, loss_sums, losses
from kerasbn.statistics.layers import BatchNorm
from kerasbn.statistics.progress import told
from kerasbn.statistics.recording import Recorder
from kerasbn.statistics.records import Statistics
from kerasbn.statistics.running import Array, Running, merged
from kerasbn.statistics.state import write
from kerasbn.statistics.workers import Workers, merged_rows

Measured = dict[str, tuple[Running, Running]]


class Measurement:
    """What the BatchNorms of a model measure.

    Args:
        model: The model.
        norms: Those of its BatchNorms that take part.
        workers: Who else measures.
    """

    def __init__(self, model: Any, norms: list[BatchNorm], workers: Workers) -> None:
        self.model, self.norms, self.workers = model, norms, workers
        self.recorder = Recorder(model, norms)
        self.samples = self.batches = 0
        self.only: Batch | None = None
        self._runners: dict[tuple[bool, bool], Callable[[Any], Any]] = {}

    def clear(self) -> None:
        """Forgets what was measured."""
        self.recorder.clear()
        self.samples = self.batches = 0

    def runner(self, *, batch_mode: bool, record: bool = False) -> Callable[[Any], Any]:
        """The model with its BatchNorms in training mode or at inference, compiled once."""
        key = (batch_mode, record)
        if key not in self._runners:
            self._runners[key] = self.recorder.runner(batch_mode=batch_mode, record=record)
        return self._runners[key]

    def run(self, batches: Iterable[Batch], count: int | None = None, *, batch_mode: bool = True) -> None:
        """Runs the model on batches and lets its BatchNorms measure; ``only`` is the batch, if there was no other."""
        record = self.runner(batch_mode=batch_mode, record=True)

        def work() -> None:
            for batch in told(batches, "statistics", count):
                _called(record, batch, self.batches)
                self.only = batch if self.batches == 0 else None
                self.samples += batch.size
                self.batches += 1

        self.workers.together(work)

    def run_halves(self, batches: Iterable[Batch], count: int | None) -> Iterator[Batch]:
        """Runs the model on batches, every second of which goes into the other half; gives each of them."""
        for index, batch in enumerate(told(batches, "statistics", count)):
            for half, part in enumerate(self._parts(batch)) if index == 0 else [(index % 2, batch)]:
                self.recorder.half = half
                _called(self.runner(batch_mode=True, record=True), part, index)
                self.samples += part.size
                self.batches += 1
            yield batch

    def _parts(self, batch: Batch) -> list[Batch]:
        """The first batch in two, so that neither half is empty; whole where the model takes no other size."""
        middle = batch.size // 2
        if middle < 1 or fixed_batch(self.model):
            return [batch]
        return [batch.part(0, middle), batch.part(middle, batch.size)]

    def stored(self) -> dict[str, Statistics]:
        """The moving averages as they are."""
        return {norm.path: stored(norm) for norm in self.norms}

    def measured(self, half: int | None = None) -> Measured:
        """The statistics over all workers, or of one half of the batches."""
        own = self.recorder.measured(half)
        if not self.workers.several:
            return own
        return {norm.path: (self._merged(own[norm.path][0]), self._summed(own[norm.path][1])) for norm in self.norms}

    def _merged(self, found: Running) -> Running:
        rows = self.workers.rows(np.concatenate([each.ravel() for each in found]))
        total = merged_rows(list(rows))
        return Running(*(each.reshape(found.mean.shape) for each in np.split(total, 3)))

    def _summed(self, found: Running) -> Running:
        return Running(*self.workers.rows(np.stack(found)).sum(axis=0))

    def counts(self) -> tuple[int, int]:
        """Samples and batches over all workers."""
        samples, batches = self.workers.rows(np.array([self.samples, self.batches], np.float64)).sum(axis=0)
        return int(samples), int(batches)

    def statistics(
        self, before: Mapping[str, Statistics], *, batch: bool = False, prior: int = 0, half: int | None = None
    ) -> dict[str, Statistics]:
        """What the moving averages are to be.

        Args:
            before: The averages as they were: what a prior is of, and what stays where nothing was measured.
            batch: Whether to take the mean over the batches of their statistics instead of those of all elements.
            prior: How many samples the averages of before count for.

            half: Of which half of the batches; None: of all.

        Raises:
            InvalidArgumentError: They are not finite, or of one element.
            UnsupportedModelError: No BatchNorm was reached.
        """
        samples, measured = self.counts()[0], self.measured(half)
        reached = {norm.path: norm for norm in self.norms if np.any(measured[norm.path][0].count > 0)}
        if not reached:
            raise UnsupportedModelError(
                f"No BatchNormalization of model {self.model.name!r} was reached by the data. A call inside a "
                "tf.function of the model's own cannot be followed; leave that decorator out."
            )
        made = {}
        for norm in self.norms:
            old = before[norm.path]
            if norm.path not in reached:
                made[norm.path] = old
                continue
            population, batches = measured[norm.path]
            _check(norm, population)
            new = (
                _of_batches(batches)
                if batch
                else Statistics(population.mean, population.variance(unbiased=norm.unbiased))
            )
            if prior:
                new = (
                    _mixed(old, new, prior / (prior + samples))
                    if batch
                    else _with_prior(norm, old, population, prior / samples)
                )
            made[norm.path] = _where_counted(population.count, new, old)
        return made

    def unreached(self) -> list[str]:
        """The BatchNorms that the data did not reach."""
        return [path for path, (found, _) in self.measured().items() if not np.any(found.count > 0)]

    def compare(
        self, kept: list[Batch], before: Mapping[str, Statistics], after: Mapping[str, Statistics]
    ) -> Validation:
        """The model with the statistics of before and of after, on samples that were kept out; after stays."""
        infer, train = self.runner(batch_mode=False), self.runner(batch_mode=True)
        if self.workers.several:
            kept = kept[: int(self.workers.rows(np.array([len(kept)], np.float64)).min())]
        found = []
        for statistics in (before, after):
            self.put(statistics)
            found.append(losses(kept, infer, train))
        sums = loss_sums(found[0][1], found[1][1])
        return compare_sums(found[0][0], self.workers.rows(sums).sum(axis=0))

    def put(self, statistics: Mapping[str, Statistics]) -> None:
        """Writes statistics into the BatchNorms."""
        for norm in self.norms:
            write(norm, statistics[norm.path])


def stored(norm: BatchNorm) -> Statistics:
    """The moving averages of a BatchNorm."""
    return Statistics(_weight(norm, "moving_mean"), _weight(norm, "moving_variance"))


def _weight(norm: BatchNorm, name: str) -> Array:
    found = norm.read(name)
    if found is None:
        raise UnsupportedModelError(f"BatchNormalization {norm.path!r} has no {name}.")
    return found


def _called(run: Callable[[Any], Any], batch: Batch, index: int) -> None:
    try:
        run(batch.inputs)
    except (TypeError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InvalidArgumentError(f"The model does not take batch {index} of the data: {first}") from error


def _check(norm: BatchNorm, found: Running) -> None:
    if not (np.isfinite(found.mean).all() and np.isfinite(found.m2).all()):
        raise InvalidArgumentError(
            f"BatchNormalization {norm.path!r} got values that are not finite from these data; the model is as it was. "
            "Look for NaN in the weights before it, or for inputs that are not scaled as in training."
        )
    if np.max(found.count) < 2:
        raise InvalidArgumentError(
            f"BatchNormalization {norm.path!r} got one element for each channel; a variance needs two. Give more data."
        )


def _of_batches(sums: Running) -> Statistics:
    number = np.maximum(sums.count, 1.0)
    return Statistics(sums.mean / number, sums.m2 / number)


def _mixed(old: Statistics, new: Statistics, share: float) -> Statistics:
    mean = share * old.mean + (1 - share) * new.mean
    return Statistics(mean, share * old.variance + (1 - share) * new.variance)


def _with_prior(norm: BatchNorm, old: Statistics, found: Running, share: float) -> Statistics:
    """The old statistics as so many elements more, for each one that was measured."""
    count = found.count * share
    whole = merged(found, Running(count, old.mean, old.variance * count))
    return Statistics(whole.mean, whole.variance(unbiased=norm.unbiased))


def _where_counted(count: Array, new: Statistics, old: Statistics) -> Statistics:
    return Statistics(np.where(count > 0, new.mean, old.mean), np.where(count > 0, new.variance, old.variance))
