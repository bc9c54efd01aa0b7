"""The contract of an export: what the user and the folding have agreed on."""

from __future__ import annotations

from kerasbn_export.conversion.contract import Contract
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.prepared import Prepared, kept_layers


def agreed(prepared: Prepared, options: ExportOptions) -> Contract:
    """The contract that the finished file has to keep.

    Args:
        prepared: What was converted.
        options: How.
    """
    floats, long = kept_layers(prepared, options)
    return Contract(
        programs=prepared.programs,
        batch_size=options.batch_size,
        io_dtype=options.conversion.ends,
        verdicts=prepared.verdicts,
        quantized=options.calibrated,
        device=options.profile,
        select_ops=options.select_ops,
        weights=options.conversion.weights,
        kept=floats,
        long=long,
    )
