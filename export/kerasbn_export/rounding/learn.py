"""Learned rounding of a whole int8 file, layer by layer.

Each layer is learned behind those that were learned before: it takes what the quantized network gives it, and is to
give what the float network gives, behind its activation. A layer is changed only where that is better on rows that
nothing was learned from. Only int8 weights change, each by one step at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn.errors import CalibrationError
from kerasbn_export.arrays import Array
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.rounding.layers import Layer, bias_of, layers_of, range_of, stored_weights, write_weights
from kerasbn_export.rounding.relaxation import Problem, learned_weights
from kerasbn_export.rounding.rows import MEMORY, Rows, bytes_of_rows, rows, spread
from kerasbn_export.tflite.flatbuffer import parse, serialize

FEWEST = 32
"""Samples below which nothing is learned that other samples have, too."""
JUDGED = 8
"""One batch of rows in so many judges a layer."""


@dataclass(frozen=True)
class LayerRounding:
    """What became of a layer.

    Attributes:
        layer: The name of its output in the file.
        before: The mean square of its error, on rows that nothing was learned from.
        after: The same with the learned weights.
        changed: How many weights went the other way.
        taken: Whether they are in the file.
    """

    layer: str
    before: float
    after: float
    changed: int
    taken: bool


@dataclass(frozen=True)
class Learned:
    """A file with other int8 weights.

    Attributes:
        data: Its content.
        layers: Those whose float weights are known.
    """

    data: bytes
    layers: tuple[LayerRounding, ...]


def check_enough(samples: Calibration) -> None:
    """Refuses to learn from a handful.

    Raises:
        CalibrationError: There are too few samples.
    """
    if len(samples) < FEWEST:
        raise CalibrationError(
            f"Rounding is learned from about 500 samples and at least {FEWEST}; found {len(samples)}. Give more, or "
            "leave learned rounding out."
        )


def learned(
    quantized: bytes, reference: bytes, samples: Calibration, on_step: Callable[[str], None] = lambda _: None
) -> Learned:
    """The int8 file with the rounding of its weights learned.

    Args:
        quantized: An int8 file whose weights are rounded to the nearest.
        reference: The float32 file of the same model; its tensors have the same names.
        samples: What is learned from.
        on_step: Called with the name of each layer as it begins.
    """
    samples = spread(samples)
    model, data, exact = parse(quantized), quantized, parse(reference)
    layers, found = list(layers_of(model, exact)), list[LayerRounding]()
    for group in _groups(layers):
        for layer, wanted in zip(group, _given(group, reference, samples), strict=True):
            on_step(f"learn rounding: layer {len(found) + 1} of {len(layers)}")
            learning, judging = (_problem(model, layer, part) for part in _split(layer, data, wanted, samples))
            better, record = _learned_layer(layer.name, learning, judging, stored_weights(model, layer))
            found.append(record)
            if record.taken:
                write_weights(model, layer, better)
                data = serialize(model)
    return Learned(data, tuple(found))


def _learned_layer(name: str, learning: Problem, judging: Problem, stored: Array) -> tuple[Array, LayerRounding]:
    """Other weights for a layer, and whether they are better than those stored."""
    better = learned_weights(learning)
    before, after = judging.error(stored), judging.error(better)
    return better, LayerRounding(name, before, after, int(np.sum(better != stored)), taken=after < before)


def _groups(layers: Sequence[Layer]) -> Iterator[list[Layer]]:
    """The layers in groups whose outputs fit in memory together, so that the float file need not run for each."""
    group: list[Layer] = []
    for layer in layers:
        if group and sum(map(bytes_of_rows, (*group, layer))) > MEMORY:
            yield group
            group = []
        group.append(layer)
    if group:
        yield group


def _given(group: Sequence[Layer], reference: bytes, samples: Calibration) -> list[list[Array]]:
    """What each layer of the float file gives, batch by batch."""
    passed = rows(group, reference, [(None, layer.exact_output) for layer in group], samples)
    return [[part.y for part in parts] for parts in zip(*passed, strict=True)]


def _split(layer: Layer, data: bytes, wanted: Sequence[Array], samples: Calibration) -> tuple[Rows, Rows]:
    """The rows to learn from and those to judge by: what the quantized layer takes, and what it is to give."""
    taken = rows([layer], data, [(layer.source, layer.output)], samples)
    parts = [Rows(found.x, y) for (found,), y in zip(taken, wanted, strict=True)]
    learning = [part for at, part in enumerate(parts) if at % JUDGED] or parts
    return _shuffled(learning), _shuffled(parts[::JUDGED])


def _shuffled(parts: Sequence[Rows]) -> Rows:
    """Parts as one, their rows in random order."""
    x, y = (np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("x", "y"))
    order = np.random.default_rng(0).permutation(x.shape[1])
    return Rows(x[:, order], y[:, order])


def _problem(model: Any, layer: Layer, part: Rows) -> Problem:
    bias, ends = layer.per_group(bias_of(model, layer)), range_of(model, layer.output)
    within = Rows(part.x, np.clip(part.y, *ends).astype(np.float32))
    return Problem(within, layer.weights / layer.scale, layer.scale, bias, *ends)
