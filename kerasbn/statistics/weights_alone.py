"""What the weights of a BatchNorm say without any data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasbn.statistics.health import MODEL, Finding
from kerasbn.statistics.layers import BatchNorm
from kerasbn.statistics.running import Array
from kerasbn.statistics.thresholds import Threshold

RENEW = "Run `kerasbn recalibrate MODEL --data X.npy -o OUT.keras`."
WEIGHTS = ("gamma", "beta", "moving_mean", "moving_variance")
FAINT = 1e-3
"""Of the median gamma: below, a channel is as good as off."""
FEW = 8
"""Fewer channels have no median worth to compare with."""

Thresholds = Mapping[str, Threshold]


def of_layer(norm: BatchNorm, thresholds: Thresholds, steps: int | None, batch_size: int | None) -> Iterator[Finding]:
    """The findings of one BatchNorm.

    Args:
        norm: The BatchNorm.
        thresholds: By kind.
        steps: How many steps the model was trained for, if that is known.
        batch_size: Of the training, if that is known.
    """
    weights = {name: values.ravel() for name in WEIGHTS if (values := norm.read(name)) is not None}
    broken = np.any([~np.isfinite(values) for values in weights.values()], axis=0)
    if broken.any():
        evidence = f"{int(broken.sum())} of {broken.size} channels hold NaN or infinity"
        yield _finding(norm.path, "not-finite", thresholds, float(broken.sum()), evidence, _LOST, broken)
        return
    mean, variance = weights["moving_mean"], weights["moving_variance"]
    negative = variance < 0
    if negative.any():
        evidence = f"{int(negative.sum())} of {negative.size} variances are below 0, the least {variance.min():.3g}"
        yield _finding(norm.path, "negative-variance", thresholds, float(negative.sum()), evidence, _SWAPPED, negative)
        return
    if (mean == 0).all() and (variance == 1).all():
        advice = f"Inference normalizes nothing: the outputs are not those of training. {RENEW}"
        evidence = "mean 0 and variance 1 in every channel, as before training"
        yield _finding(norm.path, "never-updated", thresholds, 1.0, evidence, advice)
    else:
        yield from _converged(norm, thresholds, steps)
    yield from _numbers(norm, weights, thresholds)
    yield from _batch(norm, thresholds, batch_size)


_LOST = "Every output that depends on them is lost. Restore an earlier checkpoint; look for a learning rate too high."
_SWAPPED = (
    "No variance is negative; are mean and variance swapped, as by a conversion that orders the weights otherwise? "
    f"{RENEW}"
)


def _finding(
    layer: str, kind: str, thresholds: Thresholds, value: float, evidence: str, advice: str, channels: Any = ()
) -> Finding:
    severity = thresholds[kind].severity(value) or "note"
    where = tuple(int(each) for each in np.flatnonzero(channels)) if len(channels) else ()
    return Finding(layer, kind, where, value, evidence, advice, severity)


def believable(norms: list[BatchNorm], steps: int | None) -> int | None:
    """The count of steps, if the statistics can have begun at 0 and 1 so many steps ago; else None.

    ``momentum^steps`` of the initial variance 1 is left then. A variance below that is of an earlier training, as of a
    model that is fine-tuned with a new optimizer.
    """
    for norm in norms:
        variance, rest = norm.read("moving_variance"), _rest(norm, steps)
        if rest is not None and variance is not None and variance.min() < rest * (1 - FAINT):
            return None
    return steps


def _rest(norm: BatchNorm, steps: int | None) -> float | None:
    momentum = norm.layer.momentum
    return None if not steps or momentum is None or norm.frozen else float(momentum) ** steps


def _converged(norm: BatchNorm, thresholds: Thresholds, steps: int | None) -> Iterator[Finding]:
    rest = _rest(norm, steps)
    if rest is not None and thresholds["not-converged"].severity(rest):
        evidence = f"{rest:.1%} of the initial values is left after {steps} steps with momentum {norm.layer.momentum:g}"
        advice = f"Training looks good and inference does not. {RENEW} For short runs momentum=0.9."
        yield _finding(norm.path, "not-converged", thresholds, rest, evidence, advice)


def _numbers(norm: BatchNorm, weights: Mapping[str, Array], thresholds: Thresholds) -> Iterator[Finding]:
    mean, variance, epsilon = weights["moving_mean"], weights["moving_variance"], float(norm.layer.epsilon)
    gamma = weights.get("gamma", np.ones_like(mean))
    sigma = np.sqrt(variance + epsilon)
    scale = gamma / sigma
    shift = weights.get("beta", np.zeros_like(mean)) - mean * scale
    tiny = variance < epsilon
    if tiny.any():
        evidence = f"{int(tiny.sum())} of {tiny.size} variances are below epsilon {epsilon:g}"
        advice = "Their scale is that of epsilon: keep epsilon in every conversion."
        yield _finding(norm.path, "tiny-variance", thresholds, float(tiny.mean()), evidence, advice, tiny)
    size = np.maximum(np.abs(scale), np.abs(shift))
    yield from _largest(
        norm, "large-scale", size, thresholds, "scale or shift of {:.3g}",
        "int8 and float16 lose the other channels; look at the layer before, whose outputs hardly vary or are far off.",
    )  # fmt: skip
    yield from _largest(
        norm, "large-mean", np.abs(mean) / sigma, thresholds, "|mean| is {:.3g} sigma",
        "float32 loses as many digits before folding; subtract a constant from the inputs, or export the folded model.",
    )  # fmt: skip
    yield from _uneven(norm, scale, thresholds)
    faint = np.abs(gamma) < FAINT * np.median(np.abs(gamma))
    faint |= gamma == 0
    if faint.any():
        evidence = f"{int(faint.sum())} of {faint.size} gammas are 0 or next to it"
        yield _finding(
            norm.path, "zero-gamma", thresholds, float(faint.sum()), evidence, "These channels are constant.", faint
        )


def _largest(
    norm: BatchNorm, kind: str, values: Array, thresholds: Thresholds, what: str, advice: str
) -> Iterator[Finding]:
    severity = [thresholds[kind].severity(float(each)) for each in values]
    if any(severity):
        where = np.array([each is not None for each in severity])
        yield _finding(norm.path, kind, thresholds, float(values.max()), what.format(values.max()), advice, where)


def _uneven(norm: BatchNorm, scale: Array, thresholds: Thresholds) -> Iterator[Finding]:
    kernel = _kernel_before(norm)
    if kernel is None or kernel.shape[-1] != scale.size or scale.size < FEW:
        return
    folded = np.abs(kernel.reshape(-1, scale.size)).max(axis=0) * np.abs(scale)
    middle = float(np.median(folded[folded > 0])) if (folded > 0).any() else 0.0
    ratio = folded / middle if middle else np.zeros_like(folded)
    yield from _largest(
        norm, "uneven-scale", ratio, thresholds, "the largest channel of the folded kernel is {:.3g} times the median",
        "Per-tensor int8 weights are coarse for the others: export per channel, as kerasbn does.",
    )  # fmt: skip


def _kernel_before(norm: BatchNorm) -> NDArray[Any] | None:
    """The kernel of the Dense or convolution that the BatchNorm follows, output channels last; None for others."""
    try:
        before = norm.layer.input._keras_history[0]
    except (AttributeError, RuntimeError, ValueError, TypeError, IndexError):
        return None
    name = type(before).__name__
    if not (name == "Dense" or name in ("Conv1D", "Conv2D", "Conv3D")) or len(norm.layout.axes) != 1:
        return None
    return np.asarray(before.get_weights()[0], np.float64) if before.built and before.get_weights() else None


def _batch(norm: BatchNorm, thresholds: Thresholds, batch_size: int | None) -> Iterator[Finding]:
    ghost = getattr(norm.layer, "virtual_batch_size", None)
    size, positions = ghost or batch_size, _positions(norm)
    if size is None or positions is None or norm.frozen:
        return
    elements = size * positions
    error = float(np.sqrt(2 / max(elements - 1, 1)))
    if thresholds["small-batch"].severity(error):
        evidence = f"{elements} elements for each channel in a batch of {size}: its variance is {error:.0%} off"
        advice = "Train with larger batches, renorm=True or synchronized=True of kerasbn's layer, then recalibrate."
        yield _finding(norm.path, "small-batch", thresholds, error, evidence, advice)


def _positions(norm: BatchNorm) -> int | None:
    """How many elements of a sample belong to one channel; None where a size is not known."""
    if norm.layout.rank <= 1 + len(norm.layout.axes):
        return 1
    try:
        shape = tuple(norm.layer.input.shape)
    except (AttributeError, RuntimeError, ValueError, TypeError):
        return None
    sizes = [shape[axis] for axis in norm.layout.reduction_axes if axis > 0]
    return None if None in sizes else int(np.prod([int(size or 1) for size in sizes]))


def of_model(norms: list[BatchNorm], thresholds: Thresholds, in_training: set[str]) -> Iterator[Finding]:
    """The findings about calls and about the BatchNorms together.

    Args:
        norms: All of them.
        thresholds: By kind.
        in_training: The paths of those that are called with ``training=True``.
    """
    for norm in norms:
        if norm.path in in_training and not norm.frozen:
            advice = "A batch of 1 is normalized to zero. Build the model without training=True in the call."
            evidence = "it is called with training=True"
            yield _finding(norm.path, "training-mode", thresholds, 1.0, evidence, advice)
    frozen = [norm.path for norm in norms if norm.frozen]
    if frozen and len(frozen) < len(norms):
        evidence = f"{len(frozen)} of {len(norms)} BatchNorms are frozen, the first {frozen[0]}"
        advice = "Frozen ones keep the statistics of their earlier training; freeze all or none while fine-tuning."
        yield _finding(MODEL, "mixed-frozen", thresholds, float(len(frozen)), evidence, advice)
