"""Rows of a layer's matrix product: what it takes at positions drawn at random, for all of its channels.

Positions of one sample are alike, so that a few of each sample say as much as all, and memory does not grow with the
size of an image. The same seed draws the same positions in the quantized file and in the float file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.rounding.layers import Layer, Window
from kerasbn_export.rounding.probe import batches

MOST_SAMPLES = 512
ROWS = 8192
"""Drawn for a layer, about, unless there are more samples."""
MEMORY = 2**27
"""Bytes that the rows of a layer may take."""

Ends = tuple[int | None, int]
"""The tensors that a layer takes and gives; None where what it takes is not asked for."""


@dataclass(frozen=True)
class Rows:
    """What a layer takes, ``(groups, rows, taps)``, and what it gives there, ``(groups, rows, channels)``."""

    x: Array
    y: Array


def spread(samples: Calibration) -> Calibration:
    """The samples, from the first to the last, no more than `MOST_SAMPLES`."""
    chosen = np.unique(np.linspace(0, len(samples) - 1, MOST_SAMPLES).round().astype(int))
    return replace(samples, arrays=tuple(array[chosen] for array in samples.arrays))


def rows(
    layers: Sequence[Layer], content: bytes, ends: Sequence[Ends], samples: Calibration
) -> Iterator[tuple[Rows, ...]]:
    """The rows of some layers, batch by batch.

    Args:
        layers: The layers.
        content: The quantized file or the float file.
        ends: The tensors of it that each layer takes and gives.
        samples: What the file is run on.
    """
    generators = [np.random.default_rng(0) for _ in layers]
    wanted = [index for pair in ends for index in pair if index is not None]
    for values in batches(content, wanted, samples):
        found = dict(zip(wanted, values, strict=True))
        yield tuple(
            _drawn(layer, None if source is None else found[source], found[output], rng, len(samples))
            for layer, (source, output), rng in zip(layers, ends, generators, strict=True)
        )


def bytes_of_rows(layer: Layer) -> int:
    """What the outputs of a layer take in memory."""
    return 4 * ROWS * layer.scale.size


def _drawn(layer: Layer, source: Array | None, output: Array, rng: np.random.Generator, samples: int) -> Rows:
    """What is taken and given at some positions."""
    flat = output.reshape(-1, output.shape[-1])
    most = min(ROWS, MEMORY // (4 * layer.weights.shape[1] * layer.groups))
    count = max(1, most * len(output) // samples) if layer.window else len(flat)
    at = rng.choice(len(flat), min(count, len(flat)), replace=False)
    y = flat[at].reshape(len(at), layer.groups, -1).transpose(1, 0, 2)
    if source is None:
        x = np.zeros((layer.groups, len(at), 0))
    elif layer.window is None:
        x = source.reshape(len(flat), -1)[np.newaxis, at]
    else:
        x = _patches(source, layer.window, layer.groups, output.shape, at)
    return Rows(np.ascontiguousarray(x, np.float32), np.ascontiguousarray(y, np.float32))


def _patches(source: Array, window: Window, groups: int, shape: tuple[int, ...], at: Array) -> Array:
    """What a window shows at positions of the output: ``(groups, positions, taps)``."""
    sample, *places = np.unravel_index(at, shape[:3])
    index, inside = [], []
    for axis, place in enumerate(places):
        size, step, gap = window.size[axis], window.strides[axis], window.dilations[axis]
        reach = (shape[1 + axis] - 1) * step + (size - 1) * gap + 1
        before = max(0, reach - source.shape[1 + axis]) // 2 if window.same else 0
        taken = place[:, np.newaxis] * step - before + np.arange(size) * gap
        inside.append((taken >= 0) & (taken < source.shape[1 + axis]))
        index.append(np.clip(taken, 0, source.shape[1 + axis] - 1))
    patches = source[sample[:, None, None], index[0][:, :, None], index[1][:, None, :]]
    patches = patches * (inside[0][:, :, None] & inside[1][:, None, :])[..., None]
    parted = patches.reshape(len(at), -1, groups, patches.shape[-1] // groups)
    taken_by_group: Array = parted.transpose(2, 0, 1, 3).reshape(groups, len(at), -1)
    return taken_by_group
