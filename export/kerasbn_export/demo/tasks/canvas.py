"""The sheet that every picture is drawn on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def canvas(path: Path, title: str, inches: tuple[float, float]) -> Iterator[Any]:
    """A matplotlib figure that is written as PNG when the block ends.

    Args:
        path: The file.
        title: Stands above all.
        inches: Width and height.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=inches, dpi=110, layout=ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.1))
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=14, fontweight="bold")
    yield figure
    figure.savefig(path)
