"""Options that several commands have."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click

from kerasbn.arguments import LARGEST_COUNT, LARGEST_SEED

TARGETS = ("latency", "ops", "size")
"""As `kerasbn_export.folding.choices.TARGETS`, which is not imported for the sake of ``--help``."""

TARGET_HELP = "What to prefer among exact forms."

DEVICE_HELP = (
    "What the file is for, as xnnpack, tflm or ethos-u55-128 (kerasbn devices lists all), or your my_npu.toml."
)

VERBOSE_HELP = "A line for every BatchNorm, not only for those that are left."

SEED = click.IntRange(0, LARGEST_SEED)
BATCH_SIZE = click.IntRange(0, LARGEST_COUNT)
COUNT = click.IntRange(1, LARGEST_COUNT)


class Finite(click.ParamType[float]):
    """A number that is neither NaN nor infinite."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        number = float(click.FLOAT.convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r}: accepted: a finite number.", param, ctx)
        return number


METRIC_HELP = "accuracy, top5, mae, auc, iou, map, or module:function of yours, which is imported."


def metric_options(command: Callable[..., int]) -> Callable[..., int]:
    """The options about the user's own metric."""
    for option in (
        click.option("--max-drop", type=Finite(), help="Largest accepted drop, in points of a share: exit 1 beyond."),
        click.option("--metric", metavar="METRIC", help=METRIC_HELP),
        click.option("--labels", metavar="Y.npy|Y.npz", help="Of the samples, for --metric."),
    ):
        command = option(command)
    return command
