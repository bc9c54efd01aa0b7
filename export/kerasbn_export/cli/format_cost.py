"""What dynamic quantization costs a model, where its file fails on random inputs.

Nobody has told what the inputs are like, and a file of the unfolded model by the stock converter may have as much noise
on random ones. Then the noise is the format's: the file is kept, and that is said.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasbn_export.export.options import ExportOptions
    from kerasbn_export.verification import Comparison

MARGIN_DB = 1.0
"""How much below the stock converter's file is within what rounding does."""


def cost_of_the_format(model: Any, options: ExportOptions, comparisons: Sequence[Comparison]) -> str:
    """The sentence that says so; empty if the file passes, or if something else than noise is wrong.

    Args:
        model: The model.
        options: What was asked for.
        comparisons: Of the file with the model.
    """
    if options.precision != "dynamic" or len(comparisons) != 1 or comparisons[0]:
        return ""
    ours = comparisons[0]
    noisy = all(output.measurement.sqnr_db > 0 or output for output in ours.outputs)
    if ours.exit_code != 1 or ours.seed is None or ours.first_divergence or not ours.per_layer or not noisy:
        return ""
    theirs = _stock(model, options)
    pairs = zip(ours.outputs, theirs.outputs, strict=True)
    if any(a.measurement.sqnr_db < b.measurement.sqnr_db - MARGIN_DB for a, b in pairs if not a):
        return ""
    sqnr = min(output.measurement.sqnr_db for output in ours.outputs if not output)
    other = min(b.measurement.sqnr_db for a, b in zip(ours.outputs, theirs.outputs, strict=True) if not a)
    return (
        f"Kept: on random inputs the file has {sqnr:.1f} dB and the stock converter's own has {other:.1f}: that is "
        "what dynamic quantization costs this model there. Its layers are right; verify it with --data of your own."
    )


def _stock(model: Any, options: ExportOptions) -> Comparison:
    from kerasbn_export.export.tflite import build_tflite
    from kerasbn_export.verification import verify

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stock.tflite"
        path.write_bytes(build_tflite(model, path, replace(options, fold=False), lambda _: None).data)
        return verify(model, path, layers=False)
