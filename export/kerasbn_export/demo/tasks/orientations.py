"""Pictures without an up or down: eight for one."""

from __future__ import annotations

import numpy as np

from kerasbn_export.arrays import Array


def oriented(x: Array) -> Array:
    """Every picture (pictures, size, size, ...) turned and mirrored."""
    turned = [np.rot90(x, turns, (1, 2)) for turns in range(4)]
    return np.concatenate([*turned, *(part[:, :, ::-1] for part in turned)])
