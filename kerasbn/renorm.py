"""Batch Renormalization: in training too, normalize nearly as at inference.

::

    y = gamma * (x_hat * r + d) + beta
    r = clip(sigma / sigma_average, rmin, rmax)             no gradient flows through r and d
    d = clip((mean - mean_average) / sigma_average, -dmax, dmax)
    sigma = sqrt(variance + epsilon)

``mean_average`` and ``sigma_average`` (weights ``renorm_mean``, ``renorm_stddev``) move with ``renorm_momentum``. At
inference the layer is as without renorm; ``moving_variance`` is ``moving_stddev² - epsilon`` then.

Source: Ioffe, 2017, "Batch Renormalization" (arXiv:1702.03275), section 3.
"""

from __future__ import annotations

from kerasbn.library import Operations, Tensor
from kerasbn.moments import Moments


def correction(
    ops: Operations,
    batch: Moments,
    averages: tuple[Tensor, Tensor],
    epsilon: float,
    bounds: dict[str, Tensor],
) -> tuple[Tensor, Tensor]:
    """The correction (r, d).

    Args:
        ops: The operations.
        batch: Statistics of the batch.
        averages: ``renorm_mean`` and ``renorm_stddev`` from before this batch.
        epsilon: Added to the variance.
        bounds: ``rmin``, ``rmax`` and ``dmax``; a missing one does not bound.
    """
    dtype = batch.variance.dtype
    mean, stddev = (ops.reshape(each, batch.mean.shape) for each in averages)
    stddev = ops.maximum(stddev, ops.cast(epsilon**0.5, dtype))
    r = ops.sqrt(batch.variance + epsilon) / stddev
    d = (batch.mean - mean) / stddev
    r = ops.maximum(r, bounds["rmin"]) if "rmin" in bounds else r
    r = ops.minimum(r, bounds["rmax"]) if "rmax" in bounds else r
    d = ops.maximum(ops.minimum(d, bounds["dmax"]), -bounds["dmax"]) if "dmax" in bounds else d
    return ops.stop_gradient(r), ops.stop_gradient(d)
