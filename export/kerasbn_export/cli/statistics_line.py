"""What an export says of the BatchNorm statistics of its model, in one line."""

from __future__ import annotations

from typing import Any

from kerasbn.errors import KerasBNError


def statistics_line(model: Any, path: str) -> str:
    """What `kerasbn.check` says without data; nothing where there is no Keras model or no BatchNorm."""
    from kerasbn.statistics.checking import check
    from kerasbn_export.statistics.training_steps import training_steps

    if not hasattr(model, "layers"):
        return ""
    try:
        health = check(model, training_steps=training_steps(path))
    except KerasBNError as error:
        return f"Statistics not checked: {error}"
    if not health.batchnorms:
        return ""
    if not health.of("fail", "warn"):
        return "Statistics: fit."
    return f"Statistics: {health.headline} See kerasbn check {path}."
