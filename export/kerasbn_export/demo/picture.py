"""The demo's picture: how far each layer is from Keras, and what folding does to the weights' scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasbn_export.demo.data import Array

BEFORE, AFTER, GREY = "#999999", "#0072B2", "#555555"
STYLES: tuple[dict[str, Any], ...] = (
    {"color": "#000000", "marker": "o"},
    {"color": "#0072B2", "marker": "s"},
    {"color": "#56B4E9", "marker": "D", "linestyle": "--"},
    {"color": "#D55E00", "marker": "^"},
    {"color": "#E69F00", "marker": "v", "linestyle": "--"},
)
FLOOR = 1e-9


def draw(
    path: Path,
    differences: Mapping[str, Sequence[float]],
    layers: Sequence[str],
    scales: Mapping[str, tuple[Array, Array]],
    *,
    title: str,
    gate: float,
) -> None:
    """Write the picture as PNG.

    Args:
        path: The file.
        differences: Per model, one number per layer: max|difference| / max|reference|.
        layers: The layers' names, in the order of computation.
        scales: Per layer whose weights changed, the largest |weight| of every output channel, before
            and after.
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
    _draw_differences(above, differences, layers, gate)
    _draw_scales(below, scales)
    figure.savefig(path)


def _draw_differences(
    axes: Any, differences: Mapping[str, Sequence[float]], layers: Sequence[str], gate: float
) -> None:
    positions = range(len(layers))
    for (name, values), style in zip(differences.items(), STYLES, strict=False):
        shown = np.maximum(np.asarray(values, dtype=float), FLOOR)
        axes.plot(positions, shown, label=name, linewidth=1.8, markersize=6, **style)
    axes.axhline(gate, color=GREY, linewidth=1, linestyle=":")
    axes.annotate(
        f"float32 gate {gate:.0e}", (1, gate), (-4, 4), color=GREY, fontsize=9, ha="right",
        xycoords=axes.get_yaxis_transform(), textcoords="offset points",
    )  # fmt: skip
    axes.set_yscale("log")
    axes.set_title("Largest difference from Keras, layer by layer", loc="left", fontsize=12)
    axes.set_ylabel("max |difference| / max |reference|")
    axes.set_xticks(positions, layers, rotation=20, ha="right", rotation_mode="anchor")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, borderaxespad=0)
    _tidy(axes)


def _draw_scales(axes: Any, scales: Mapping[str, tuple[Array, Array]]) -> None:
    for position, (before, after) in enumerate(scales.values()):
        _draw_channels(axes, position - 0.2, before, BEFORE)
        _draw_channels(axes, position + 0.2, after, AFTER)
    for label, color in (("before folding", BEFORE), ("after folding", AFTER)):
        axes.plot([], [], "o", color=color, label=label)
    axes.plot([], [], "_", color="black", markersize=12, markeredgewidth=2, label="median channel")
    axes.set_yscale("log")
    axes.set_title("Weight scale of each output channel, before and after folding", loc="left", fontsize=12)
    axes.set_ylabel("max |weight| of the channel\n(127 int8 steps)")
    axes.set_xticks(range(len(scales)), list(scales), rotation=20, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.6, len(scales) - 0.4)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, borderaxespad=0)
    _tidy(axes)


def _draw_channels(axes: Any, position: float, channels: Array, color: str) -> None:
    """One dot per channel, spread sideways in channel order so that none hides another."""
    alive = channels > 0
    spread = np.linspace(-0.13, 0.13, len(channels)) if len(channels) > 1 else np.zeros(1)
    axes.plot(position + spread[alive], channels[alive], "o", color=color, markersize=4, alpha=0.75)
    median = float(np.median(channels[alive])) if alive.any() else FLOOR
    axes.plot([position - 0.17, position + 0.17], [median, median], color="black", linewidth=2)


def _tidy(axes: Any) -> None:
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
