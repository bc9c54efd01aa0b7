"""Faults in the numbers of one fold: scale, shift, kernel, bias."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.verification.faults.fault import of_affine, of_weights
from kerasbn_export.verification.faults.folding import Affine, Site, Statistics, Weights, affine, sites, weights


@of_affine
def epsilon_mixed_up(bn: Statistics) -> Affine:
    """Epsilon is taken as 1e-5 where it is 1e-3, and the other way round."""
    return affine(replace(bn, epsilon=1e-5 if bn.epsilon > 1e-4 else 1e-3))


@of_affine
def epsilon_outside_the_root(bn: Statistics) -> Affine:
    """The scale is ``gamma / (sqrt(variance) + epsilon)``."""
    scale = bn.gamma / (np.sqrt(bn.variance) + bn.epsilon)
    return scale, bn.beta - bn.mean * scale


@of_affine
def epsilon_forgotten(bn: Statistics) -> Affine:
    """The scale is ``gamma / sqrt(variance)``."""
    return affine(replace(bn, epsilon=0.0))


@of_affine
def variance_taken_as_deviation(bn: Statistics) -> Affine:
    """The moving variance is divided by as if it were the standard deviation."""
    scale = bn.gamma / (bn.variance + bn.epsilon)
    return scale, bn.beta - bn.mean * scale


@of_affine
def sign_of_beta(bn: Statistics) -> Affine:
    """Beta is subtracted."""
    return affine(replace(bn, beta=-bn.beta))


@of_affine
def sign_of_mean(bn: Statistics) -> Affine:
    """The mean is added."""
    return affine(replace(bn, mean=-bn.mean))


@of_affine
def mean_unscaled(bn: Statistics) -> Affine:
    """The shift is ``beta - mean``."""
    scale, _ = affine(bn)
    return scale, bn.beta - bn.mean


@of_affine
def gamma_forgotten(bn: Statistics) -> Affine:
    """The scale is ``1 / sqrt(variance + epsilon)``."""
    return affine(replace(bn, gamma=np.ones_like(bn.gamma)))


@of_affine
def beta_forgotten(bn: Statistics) -> Affine:
    """The shift is ``-mean*s``."""
    return affine(replace(bn, beta=np.zeros_like(bn.beta)))


@of_affine
def gamma_and_beta_swapped(bn: Statistics) -> Affine:
    """The weights are read in the order beta, gamma."""
    return affine(replace(bn, gamma=bn.beta, beta=bn.gamma))


@of_affine
def no_scale_taken_as_zero(bn: Statistics) -> Affine:
    """With ``scale=False`` gamma is taken as zero, where it is one."""
    return affine(replace(bn, gamma=np.zeros_like(bn.gamma))) if np.all(bn.gamma == 1.0) else affine(bn)


@of_affine
def scale_rounded_to_float16(bn: Statistics) -> Affine:
    """Scale and shift pass through float16."""
    scale, shift = affine(bn)
    return scale.astype(np.float16).astype(np.float64), shift.astype(np.float16).astype(np.float64)


@of_affine
def one_channel_off_by_a_percent(bn: Statistics) -> Affine:
    """The scale of the channel with the largest one is 1 % too large."""
    scale, shift = affine(bn)
    factor = np.where(np.arange(scale.size) == np.argmax(np.abs(scale)), 1.01, 1.0)
    return scale * factor, shift


@of_affine
def off_by_one_channel(bn: Statistics) -> Affine:
    """Channel c gets the scale and shift of channel c - 1."""
    scale, shift = affine(bn)
    return np.roll(scale, 1), np.roll(shift, 1)


@of_affine
def unbiased_variance(bn: Statistics) -> Affine:
    """The moving variance is multiplied by m / (m - 1), here with m = 128 numbers per channel."""
    return affine(replace(bn, variance=bn.variance * 128 / 127))


@of_affine
def stale_moving_averages(bn: Statistics) -> Affine:
    """The statistics are those of some steps earlier: a tenth of them is still the initial 0 and 1."""
    return affine(replace(bn, mean=0.9 * bn.mean, variance=0.9 * bn.variance + 0.1))


@of_affine
def statistics_of_a_batch(bn: Statistics) -> Affine:
    """The fold takes the statistics of one batch of 128 numbers per channel, as in training."""
    batch = np.random.default_rng(0).standard_normal((128, bn.mean.size)) * np.sqrt(bn.variance) + bn.mean
    return affine(replace(bn, mean=batch.mean(axis=0), variance=batch.var(axis=0)))


@of_weights
def bias_dropped(site: Site, right: Affine) -> Weights | None:
    """The layer's own bias is forgotten: ``b' = t``."""
    kernel, _ = weights(site, *right)
    return (kernel, right[1]) if np.any(site.bias) else None


@of_weights
def bias_unscaled(site: Site, right: Affine) -> Weights | None:
    """The layer's own bias is added as it is: ``b' = b + t``."""
    kernel, _ = weights(site, *right)
    return kernel, site.bias + right[1]


@of_weights
def shift_forgotten(site: Site, right: Affine) -> Weights | None:
    """Only the scale is folded: ``b' = s*b``."""
    kernel, _ = weights(site, *right)
    return kernel, site.bias * right[0]


@of_weights
def kernel_unscaled(site: Site, right: Affine) -> Weights | None:
    """Only the bias is folded: ``W' = W``."""
    return site.kernel, weights(site, *right)[1]


@of_weights
def batchnorm_forgotten(site: Site, right: Affine) -> Weights | None:  # noqa: ARG001 (that is the fault)
    """The BatchNorm is taken away and nothing is folded."""
    return site.kernel, site.bias


@of_weights
def scale_along_the_input(site: Site, right: Affine) -> Weights | None:
    """The kernel is scaled along its input channels; where those are as many as the output channels."""
    kernel, scale = site.kernel, right[0]
    if site.linear.layer.kind not in ("Dense", "Conv1D", "Conv2D", "Conv3D") or kernel.shape[-2] != scale.size:
        return None
    return kernel * scale[:, None], weights(site, *right)[1]


@of_weights
def kernel_transposed(site: Site, right: Affine) -> Weights | None:
    """Two axes of equal size are swapped: a Dense kernel's input and output, a conv kernel's first two."""
    kernel, bias = weights(site, *right)
    return (np.swapaxes(kernel, 0, 1), bias) if kernel.shape[0] == kernel.shape[1] > 1 else None


@of_weights
def depthwise_axes_swapped(site: Site, right: Affine) -> Weights | None:
    """The channel of a depthwise output is read as ``m*inputs + in``, where it is ``in*multiplier + m``."""
    shape = site.kernel.shape[-2:]
    if site.linear.layer.kind not in ("DepthwiseConv1D", "DepthwiseConv2D") or 1 in shape:
        return None
    return site.kernel * right[0].reshape(shape[::-1]).T, weights(site, *right)[1]


@of_weights
def wrong_batchnorm(site: Site, right: Affine) -> Weights | None:  # noqa: ARG001 (that is the fault)
    """Another BatchNorm of as many channels is folded in."""
    others = [other.statistics for other in sites(site.graph) if other.batchnorm is not site.batchnorm]
    fitting = [other for other in others if other.mean.shape == site.statistics.mean.shape]
    return weights(site, *affine(fitting[0])) if fitting else None


@of_weights
def weights_of_another_layer(site: Site, right: Affine) -> Weights | None:
    """The kernel is that of another layer of the same shape."""
    others = [other.kernel for other in sites(site.graph) if other.linear is not site.linear]
    fitting = [kernel for kernel in others if kernel.shape == site.kernel.shape]
    if not fitting:
        return None
    return fitting[0] * site.along_output(right[0]), weights(site, *right)[1]


@of_weights
def flush_too_wide(site: Site, right: Affine) -> Weights | None:
    """Weights below a hundredth of the largest are flushed to zero, where only subnormal ones may be."""

    def flushed(array: Array) -> Array:
        return np.where(np.abs(array) < 1e-2 * np.max(np.abs(array)), 0.0, array)

    kernel, bias = weights(site, *right)
    return flushed(kernel), flushed(bias)


NUMBERS = tuple(fault for fault in list(globals().values()) if type(fault).__name__ == "Fault")
