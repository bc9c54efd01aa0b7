"""The demo's picture: how far each layer is from Keras, and what folding does to the weights' scales."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.demo.report import DemoReport
from kerasbn_export.demo.variant import Variant

BEFORE, AFTER, GREY = "#999999", "#0072B2", "#555555"
KERAS: dict[str, Any] = {"color": "#000000", "marker": "o", "markersize": 5}
OURS: dict[str, dict[str, Any]] = {
    "float32": {"color": "#0072B2", "marker": "s", "markersize": 5},
    "int8": {"color": "#D55E00", "marker": "^", "markersize": 6},
}
STOCK: dict[str, dict[str, Any]] = {
    "float32": {"color": "#56B4E9", "marker": "s", "markersize": 10, "fillstyle": "none", "linestyle": "--"},
    "int8": {"color": "#E69F00", "marker": "^", "markersize": 11, "fillstyle": "none", "linestyle": "--"},
}
FLOOR = 1e-9
"""What stands for a difference of zero on the logarithmic axis."""


def draw(path: Path, report: DemoReport, *, title: str, gate: float) -> None:
    """Write the picture as PNG.

    Args:
        path: The file.
        report: What the demo found.
        title: Stands above all.
        gate: The float32 tolerance of the verifier, drawn as a line.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(12, 9.5), dpi=120, layout=ConstrainedLayoutEngine(h_pad=0.12, hspace=0.06))
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=15, fontweight="bold")
    above, below = figure.subplots(2, 1, height_ratios=[1.15, 1])
    _draw_differences(above, report, gate)
    _draw_scales(below, report.scales)
    figure.savefig(path)


def common_layers(layers: Iterable[str], differences: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The layers at which every form of the network could be read."""
    return [layer for layer in layers if all(layer in values for values in differences.values())]


def _draw_differences(axes: Any, report: DemoReport, gate: float) -> None:
    layers = common_layers(report.layers, report.differences)
    for variant in report.variants:
        values = report.differences.get(variant.name)
        if values is not None:
            shown = np.maximum([values[layer] for layer in layers], FLOOR)
            axes.plot(range(len(layers)), shown, label=variant.name, linewidth=1.7, **_style(variant))
    axes.axhline(gate, color=GREY, linewidth=1, linestyle=":")
    axes.annotate(
        f"float32 gate {gate:.0e}", (1, gate), (-4, 4), color=GREY, fontsize=9, ha="right",
        xycoords=axes.get_yaxis_transform(), textcoords="offset points",
    )  # fmt: skip
    axes.set_yscale("log")
    axes.set_title("Largest difference from the trained Keras model, layer by layer", loc="left", fontsize=12)
    axes.set_ylabel("max |difference| / max |reference|")
    axes.set_xticks(range(len(layers)), layers, rotation=30, ha="right", rotation_mode="anchor")
    _finish(axes)


def _style(variant: Variant) -> dict[str, Any]:
    if variant.latency is None:
        return KERAS
    return (OURS if variant.ours else STOCK)[variant.precision]


def _draw_scales(axes: Any, scales: Mapping[str, tuple[Array, Array]]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for position, (before, after) in enumerate(scales.values()):
        _draw_channels(axes, position - 0.2, before, BEFORE)
        _draw_channels(axes, position + 0.2, after, AFTER)
    for label, color in (("a channel before folding", BEFORE), ("a channel after folding", AFTER)):
        axes.plot([], [], "o", color=color, label=label)
    axes.plot([], [], "_", color="black", markersize=12, markeredgewidth=2, label="median of the channels")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title("Weight scale of each output channel, where folding changed it", loc="left", fontsize=12)
    axes.set_ylabel("max |weight| of the channel\n(127 steps of int8)")
    axes.set_xticks(range(len(scales)), list(scales))
    axes.set_xlim(-0.6, len(scales) - 0.4)
    _finish(axes)


def _draw_channels(axes: Any, position: float, channels: Array, color: str) -> None:
    """One dot per channel, spread sideways in channel order so that none hides another."""
    alive = channels > 0
    spread = np.linspace(-0.13, 0.13, len(channels)) if len(channels) > 1 else np.zeros(1)
    axes.plot(position + spread[alive], channels[alive], "o", color=color, markersize=4, alpha=0.75)
    if alive.any():
        median = float(np.median(channels[alive]))
        axes.plot([position - 0.17, position + 0.17], [median, median], color="black", linewidth=2)


def _finish(axes: Any) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, borderaxespad=0, labelspacing=0.8)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
