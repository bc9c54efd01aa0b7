"""What data say about moving averages: how far they are from the data's own statistics, and what that costs.

A shift counts from four standard errors on, with samples as their number: the positions of one image are not
independent. The outputs with stored and with measured statistics are compared with what chance alone does: two halves
of the data give two measurements, and the difference between their outputs is four times that of one from the truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn.statistics.batches import KEPT_SAMPLES, Batch, leaves
from kerasbn.statistics.health import MODEL, Finding
from kerasbn.statistics.judging import GAP, UNLIKE_GAP, compare_sums, gap, loss_sums, losses
from kerasbn.statistics.layers import BatchNorm
from kerasbn.statistics.measured import Measurement
from kerasbn.statistics.records import Statistics
from kerasbn.statistics.running import Array
from kerasbn.statistics.weights_alone import RENEW, Thresholds, _finding

STANDARD_ERRORS = 4.0
SAME = 0.15
"""Relative distance up to which an explanation of stored statistics fits."""
CLEARLY = 2.0
"""Times as far off the other explanation must be."""
ONE_CHANNEL = 2.0
"""A single channel may be so many times as far off as the median."""
BEYOND_CHANCE, BEYOND_BATCHES = 2.0, 3.0
"""Times what chance gives, from which on a difference of the outputs counts: few channels make few draws."""
FEWEST = 32
"""Samples from which on anything is said."""
LARGEST = 8192
"""Samples that are enough."""


@dataclass(frozen=True)
class Measured:
    """The statistics of data, by path.

    Attributes:
        whole: Of all of them.
        halves: Of every second batch, and of the others.
        samples: How many there were.
        some: A few of the batches.
    """

    whole: Mapping[str, Statistics]
    halves: tuple[Mapping[str, Statistics], Mapping[str, Statistics]]
    samples: int
    some: list[Batch]


def measure(measurement: Measurement, batches: Iterator[Batch], count: int | None) -> Measured:
    """Runs the model on the data once."""
    before, some, held = measurement.stored(), [], 0
    for batch in measurement.run_halves(batches, count):
        if held < KEPT_SAMPLES:
            some.append(batch)
            held += batch.size
    whole = measurement.statistics(before)
    split = measurement.batches > 1
    halves = [measurement.statistics(before, half=half) if split else whole for half in range(2)]
    return Measured(whole, (halves[0], halves[1]), measurement.samples, some)


def too_few(found: Measured) -> Iterator[Finding]:
    """A note where there are too few samples to tell anything."""
    if found.samples < FEWEST:
        evidence = f"{found.samples} samples are too few to tell anything"
        yield Finding(MODEL, "few-samples", (), found.samples, evidence, f"Give {FEWEST} or more.", "note")


def of_statistics(
    norm: BatchNorm, found: Statistics, old: Statistics, thresholds: Thresholds, samples: int
) -> Iterator[Finding]:
    """The findings of one BatchNorm that stores other statistics than those that were found."""
    epsilon = float(norm.layer.epsilon)
    old_mean, old_variance, mean, variance = (
        each.ravel() for each in (old.mean, old.variance, found.mean, found.variance)
    )
    usable = np.isfinite(old_mean).all() and np.isfinite(old_variance).all() and (old_variance >= 0).all()
    if not usable:
        return
    shift = np.abs(old_mean - mean) / np.sqrt(variance + epsilon)
    ratio = np.abs(np.log((old_variance + epsilon) / (variance + epsilon)))
    moved = shift > STANDARD_ERRORS / np.sqrt(samples)
    spread = ratio > STANDARD_ERRORS * np.sqrt(2 / (samples - 1))
    off = shift * moved, np.exp(ratio * spread)
    values = {
        "shifted-mean": max(float(np.median(off[0])), float(off[0].max()) / ONE_CHANNEL),
        "shifted-variance": max(float(np.median(off[1])), float(off[1].max()) / ONE_CHANNEL),
    }
    severe = {kind: thresholds[kind].severity(value) for kind, value in values.items()}
    explained = _explained(norm, (old_mean, old_variance), (mean, variance), thresholds, off=any(severe.values()))
    if explained is not None:
        yield explained
    if not any(severe.values()):
        return
    where = {"shifted-mean": moved & (shift > np.median(off[0]) * 0.99), "shifted-variance": spread}
    typical = np.exp(np.median(np.log((old_variance + epsilon) / (variance + epsilon))))
    words = {
        "shifted-mean": f"the mean of the data is {np.median(shift):.2g} sigma away in the median channel, "
        f"{shift.max():.3g} in channel {int(np.argmax(shift))}",
        "shifted-variance": f"stored / measured variance is {typical:.3g} in the "
        f"median channel, off by {np.exp(ratio.max()):.3g} in channel {int(np.argmax(ratio))}",
    }
    for kind, value in values.items():
        if severe[kind]:
            advice = f"Inference normalizes otherwise than training did on such data. {RENEW}"
            yield _finding(norm.path, kind, thresholds, value, words[kind], advice, where[kind])


def _explained(
    norm: BatchNorm, old: tuple[Array, Array], new: tuple[Array, Array], thresholds: Thresholds, *, off: bool
) -> Finding | None:
    """Why stored statistics are not those of the data, where one cause fits all channels.

    Args:
        norm: The BatchNorm.
        old: Mean and variance that it stores.
        new: Those of the data.
        thresholds: By kind.
        off: Whether they are further apart than is healthy; swapped ones are told from right ones even so.
    """
    crossed, straight = _distances(old, new[::-1]), _distances(old, new)
    if crossed < 2 * SAME and straight > CLEARLY * crossed:
        evidence = f"the stored mean is the variance of the data and the reverse, to {crossed:.0%}"
        return _finding(
            norm.path, "swapped", thresholds, 1.0, evidence, f"The weights were set in a wrong order. {RENEW}"
        )
    if not off:
        return None
    rest = _rest_of_initial(old, new)
    if rest is not None and thresholds["not-converged"].severity(rest):
        evidence = f"{rest:.0%} of the initial values 0 and 1 is left in them"
        advice = f"Training was too short for its momentum ({norm.layer.momentum}). {RENEW}"
        return _finding(norm.path, "not-converged", thresholds, rest, evidence, advice)
    factor = _factor(old, new)
    size = max(factor, 1 / factor) if factor else 1.0
    if thresholds["scaled-inputs"].severity(size):
        evidence = f"stored statistics are those of the data times {factor:.4g}"
        advice = f"Scale the data as in training, or in the model; or, if these data are right: {RENEW}"
        return _finding(norm.path, "scaled-inputs", thresholds, size, evidence, advice)
    return None


def _rest_of_initial(old: tuple[Array, Array], new: tuple[Array, Array]) -> float | None:
    """The a of ``old = a * initial + (1 - a) * new`` with the initial mean 0 and variance 1; None where none fits."""
    step = np.concatenate([new[0], new[1] - 1])
    found = np.concatenate([old[0], old[1] - 1])
    if not np.dot(step, step) > 0:
        return None
    share = float(np.dot(step, found) / np.dot(step, step))
    fits = np.linalg.norm(found - share * step) < SAME * np.linalg.norm(step) and 0 <= share < 1
    return 1 - share if fits else None


def _factor(old: tuple[Array, Array], new: tuple[Array, Array]) -> float | None:
    """The k of ``mean = k * new mean, variance = k² * new variance``; None where none fits."""
    alive = new[1] > 0
    if not alive.any() or not (old[1][alive] > 0).all():
        return None
    logs = np.log(old[1][alive] / new[1][alive]) / 2
    factor = float(np.exp(np.median(logs)))
    spread = float(np.median(np.abs(logs - np.median(logs))))
    sigma = np.sqrt(old[1][alive])
    off = float(np.median(np.abs(old[0][alive] - factor * new[0][alive]) / sigma))
    return factor if spread < SAME and off < SAME else None


def _distances(one: tuple[Array, ...], other: tuple[Array, ...]) -> float:
    """The larger of the relative distances of two pairs."""
    pairs = zip(one, other, strict=True)
    return max(float(np.linalg.norm(a - b) / max(float(np.linalg.norm(b)), 1e-30)) for a, b in pairs)


def of_outputs(measurement: Measurement, found: Measured, thresholds: Thresholds) -> Iterator[Finding]:
    """The findings about the outputs of the whole model; leaves other statistics in it."""
    before = measurement.stored()
    infer, train = measurement.runner(batch_mode=False), measurement.runner(batch_mode=True)
    trained = _outputs(found.some, train)
    outputs, judged = {}, {}
    for name, statistics in {"stored": before, "new": found.whole, "a": found.halves[0], "b": found.halves[1]}.items():
        measurement.put(statistics)
        outputs[name] = _outputs(found.some, infer)
        if name in ("stored", "new"):
            judged[name] = losses(found.some, infer, train)
    new_gap = _noise(outputs["new"], trained)
    if new_gap > UNLIKE_GAP:
        evidence = f"with statistics of these data, training and inference still differ by {np.sqrt(new_gap):.0%}"
        advice = "The batches are small or sorted by class: shuffle the data, and give larger batches."
        yield Finding(MODEL, "uneven-batches", (), new_gap, evidence, advice, "note")
        return
    noise, chance = _noise(outputs["stored"], outputs["new"]), _noise(outputs["a"], outputs["b"])
    lost = not np.isfinite(noise)
    if lost or noise > BEYOND_CHANCE * chance:
        value = float("inf") if lost else float(np.sqrt(noise))
        if thresholds["output"].severity(value):
            decibels = "the outputs are not finite" if lost else f"{-20 * np.log10(value):.1f} dB"
            evidence = f"outputs with stored statistics against those of the data: {decibels}"
            yield _finding(MODEL, "output", thresholds, value, evidence, f"This is what a user feels. {RENEW}")
    old_gap = _noise(outputs["stored"], trained)
    value = float(np.sqrt(old_gap)) if np.isfinite(old_gap) else float("inf")
    if thresholds["gap"].severity(value) and not old_gap <= BEYOND_BATCHES * new_gap:
        evidence = (
            f"on the same batch the outputs differ by {value:.0%} between training and inference, "
            f"with statistics of the data by {np.sqrt(new_gap):.0%}"
        )
        yield _finding(MODEL, "gap", thresholds, value, evidence, f"Good in fit, bad in predict. {RENEW}")
    yield from _metric(judged["stored"], judged["new"], thresholds)


def _metric(before: Any, after: Any, thresholds: Thresholds) -> Iterator[Finding]:
    if before[0] == GAP:
        return
    judged = compare_sums(before[0], loss_sums(before[1], after[1]))
    lost = judged.before - judged.after
    if judged.better and thresholds["metric"].severity(lost):
        evidence = (
            f"{judged.metric}: {judged.before:.4g} with stored statistics, {judged.after:.4g} with those of the data"
        )
        yield _finding(MODEL, "metric", thresholds, lost, evidence, f"Repair it. {RENEW}")


def _outputs(batches: list[Batch], run: Any) -> list[list[Array]]:
    return [[np.asarray(leaf, np.float64) for leaf in leaves(run(batch.inputs))] for batch in batches]


def _noise(one: list[list[Array]], other: list[list[Array]]) -> float:
    """Mean of ``|one - other|² / |other - its mean|²`` over the samples of all batches."""
    with np.errstate(all="ignore"):
        return float(np.mean(np.concatenate([gap(a, b) for a, b in zip(one, other, strict=True)])))
