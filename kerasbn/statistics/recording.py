"""Forward passes in which every BatchNorm tells the statistics of its inputs, and no weight moves.

While a `Recorder` is open, the BatchNorms of a model normalize with the statistics of the batch, or with their own
averages as at inference, and hand on what they measured. Everything else runs as at inference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from inspect import signature
from typing import Any

import numpy as np

from kerasbn.moments import Moments, at_least_one, count, expanded
from kerasbn.statistics.layers import BatchNorm
from kerasbn.statistics.running import Running, merged


class Sums:
    """The statistics of one BatchNorm so far, in float64 on the host."""

    def __init__(self, shape: tuple[int, ...], unbiased: bool) -> None:
        self._shape, self._unbiased = shape, unbiased
        self.clear()

    def clear(self) -> None:
        """Forgets them."""
        self.running = self.batches = Running.empty(self._shape)

    def add(self, found: Moments) -> None:
        """Adds the statistics of one batch."""
        mean, variance, number = (np.asarray(each, np.float64) for each in (found.mean, found.variance, found.count))
        number = np.broadcast_to(number, mean.shape)
        batch = Running(number, mean, variance * number)
        self.running = merged(self.running, batch)
        there, stored, old = (number > 0).astype(np.float64), batch.variance(unbiased=self._unbiased), self.batches
        self.batches = Running(old.count + there, old.mean + mean * there, old.m2 + stored * there)

    def read(self) -> tuple[Running, Running]:
        """Over all elements; and the sums over the batches of their means and variances."""
        return self.running, self.batches


class Recorder:
    """What every BatchNorm measures on the batches that a model is run on.

    Args:
        model: The model.
        norms: Those of its BatchNorms that take part.
    """

    def __init__(self, model: Any, norms: Sequence[BatchNorm]) -> None:
        self.model, self.norms = model, norms
        self.tensorflow = _on_tensorflow(norms[0].flavour if norms else None)
        self.calls: list[tuple[BatchNorm, Any, Any]] = []
        self.training_flags: dict[str, Any] = {}
        self._in_batch_mode, self._recording = True, True
        self._graphs = import_module("kerasbn.statistics.tensorflow_graphs") if self.tensorflow else None
        self._ops = norms[0].normalization.ops if norms else None
        self.half = 0
        self._sums = [
            {norm.path: Sums(norm.layout.weight_shape, norm.unbiased) for norm in self.norms} for _ in range(2)
        ]
        self._found: list[tuple[BatchNorm, Moments]] = []
        self._inner = self._graphs.InnerSums() if self._graphs else None

    def clear(self) -> None:
        """Forgets what was measured."""
        for half in self._sums:
            for sums in half.values():
                sums.clear()

    def measured(self, half: int | None = None) -> dict[str, tuple[Running, Running]]:
        """By path, what `Sums.read` gives: of the batches while ``half`` was 0 or 1, or of all."""
        if half is not None:
            return {path: sums.read() for path, sums in self._sums[half].items()}
        return {path: _together(one.read(), self._sums[1][path].read()) for path, one in self._sums[0].items()}

    def runner(self, *, batch_mode: bool, record: bool) -> Callable[[Any], Any]:
        """The model as a function of its inputs, compiled where it can be; one that records gives back nothing.

        Args:
            batch_mode: Whether the BatchNorms normalize with the statistics of the batch.
            record: Whether they record them.
        """
        slots: list[BatchNorm] = []

        def run(inputs: Any) -> Any:
            with self._open(batch_mode=batch_mode, record=record):
                outputs = call_for_inference(self.model, inputs)
            slots[:] = [norm for norm, _ in self._found]
            # One tensor for all of them: few operations, and one copy to the host.
            return self._graphs.joined([each for _, each in self._found]) if record and self._graphs else outputs

        def recorded(inputs: Any) -> None:
            values = compiled(inputs)
            for norm, found in self._apart(slots, values) if self._graphs else self._found:
                self._sums[self.half][norm.path].add(found)

        compiled = self._graphs.compiled(run) if self._graphs else run
        return recorded if record else compiled

    def _apart(self, slots: list[BatchNorm], values: Any) -> Iterator[tuple[BatchNorm, Moments]]:
        counts, means, variances = np.asarray(values)
        at = 0
        for norm in slots:
            part, shape = slice(at, at + norm.layout.channels), norm.layout.weight_shape
            if self._inner is None or not self._inner.has(norm):
                mean, variance, number = (each[part].reshape(shape) for each in (means, variances, counts))
                yield norm, Moments(mean, variance, number)
            at += norm.layout.channels
        if self._inner is not None:
            yield from self._inner.taken()

    @contextmanager
    def _open(self, *, batch_mode: bool, record: bool) -> Iterator[None]:
        """Puts our ``call`` in the place of the layers' own, and takes it away again."""
        self._in_batch_mode, self._recording = batch_mode, record
        self.calls.clear()
        self._found.clear()
        if self._inner is not None:
            self._inner.begin()
        patched = {id(norm.layer): (norm.layer, self._unconverted(self._call_of(norm))) for norm in self.norms}
        patched |= {id(each): (each, self._unconverted(_flat_time(each, self._ops))) for each in self._time_wrappers()}
        try:
            for layer, call in patched.values():
                vars(layer)["call"] = call
            yield
        finally:
            for layer, _ in patched.values():
                vars(layer).pop("call", None)

    def _unconverted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        return self._graphs.unconverted(call) if self._graphs else call

    def _call_of(self, norm: BatchNorm) -> Callable[..., Any]:
        def call(inputs: Any, training: Any = None, mask: Any = None) -> Any:
            self.training_flags.setdefault(norm.path, training)
            return self._normalized(norm, inputs, mask)

        return call

    def _normalized(self, norm: BatchNorm, inputs: Any, mask: Any) -> Any:
        layer, ops, normalization = norm.layer, norm.normalization.ops, norm.normalization
        x = ops.cast(inputs, norm.compute_dtype)
        wide = None if mask is None or not norm.takes_masks else expanded(ops, mask, x, norm.layout)
        gamma, beta = layer.gamma, layer.beta
        if self._in_batch_mode or self._recording:
            y, found = normalization.training(x, gamma, beta, wide)
            if self._recording:
                self._record(norm, found._replace(mean=_mean(norm, x)) if self.tensorflow and wide is None else found)
        if not self._in_batch_mode:
            y = normalization.inference(x, gamma, beta, _here(layer.moving_mean), _here(layer.moving_variance))
        self.calls.append((norm, x, y))
        return y

    def _record(self, norm: BatchNorm, found: Moments) -> None:
        if self._inner is not None and self._inner.is_here():
            self._inner.add(norm, found)
        else:
            self._found.append((norm, found))

    def _time_wrappers(self) -> list[Any]:
        """The wrappers that may call a BatchNorm for each step apart."""
        if not self.tensorflow:
            return []
        ours = {id(norm.layer) for norm in self.norms}
        wrapper = self.norms[0].flavour.keras.layers.TimeDistributed
        layers = [each for each in self.model._flatten_layers() if type(each) is wrapper]
        return [each for each in layers if any(id(inner) in ours for inner in each._flatten_layers())]


def _together(one: tuple[Running, Running], other: tuple[Running, Running]) -> tuple[Running, Running]:
    return merged(one[0], other[0]), Running(*(a + b for a, b in zip(one[1], other[1], strict=True)))


def call_for_inference(model: Any, inputs: Any) -> Any:
    """What the model computes at inference."""
    takes_flag = getattr(model, "_call_has_training_arg", getattr(model, "_expects_training_arg", True))
    return model(inputs, training=False) if takes_flag else model(inputs)


def _here(variable: Any) -> Any:
    """A moving average as this worker holds it.

    Reading it as a whole waits for all workers, in each of their batches, and they may have other numbers of these.
    """
    parts = getattr(variable, "values", None)
    return parts[0] if isinstance(parts, tuple) else variable


def _mean(norm: BatchNorm, x: Any) -> Any:
    """The mean in float64, where that of the kernel, in float32, is some 1e-8 sigma off: no digits where it is near 0.

    Sums over the samples of a batch are short enough for float32; their sums are taken in float64.
    """
    ops, layout = norm.normalization.ops, norm.layout
    number = at_least_one(ops, count(ops, x, layout), "float64")
    if layout.rank > 2 and 0 in layout.reduction_axes:
        x = ops.sum(ops.cast(x, norm.normalization.dtype), (0,), True)
    total = ops.sum(ops.cast(x, "float64"), layout.reduction_axes)
    return ops.reshape(total / number, layout.weight_shape)


def _flat_time(wrapper: Any, ops: Any) -> Callable[..., Any]:
    """The wrapper's call with its steps as further samples of the batch."""
    inner = wrapper.layer
    takes = signature(inner.call).parameters

    def call(inputs: Any, training: Any = None, mask: Any = None) -> Any:
        steps = ops.shape(inputs)[1]
        arguments = {"training": training} if "training" in takes else {}
        if mask is not None and "mask" in takes:
            arguments["mask"] = ops.reshape(mask, (-1, *ops.shape(mask)[2:]))
        y = inner(ops.reshape(inputs, (-1, *ops.shape(inputs)[2:])), **arguments)
        return ops.reshape(y, (-1, steps, *ops.shape(y)[1:]))

    return call


def _on_tensorflow(flavour: Any) -> bool:
    if flavour is None:
        return False
    return bool(flavour.name == "tf_keras" or flavour.keras.backend.backend() == "tensorflow")
