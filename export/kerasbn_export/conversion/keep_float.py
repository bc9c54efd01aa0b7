"""Layers that stay in float inside an int8 file: which the user means, and which operations those are.

The converter quantizes every operation but those that it is told to leave, by the names of their outputs in the
calibrated file. Around each it puts a DEQUANTIZE and a QUANTIZE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kerasbn.errors import ConversionError
from kerasbn_export.conversion.origins import Origins
from kerasbn_export.graph.chosen import Choice
from kerasbn_export.program.program import Program
from kerasbn_export.tflite.file import TFLiteFile, read_tflite


def choices_of(layers: Mapping[str, Any], merged: Mapping[str, tuple[str, ...]]) -> list[Choice]:
    """The layers that may be meant, each also by the names of those that were merged into it.

    Args:
        layers: Those of the folded model, by name.
        merged: See `FoldResult`.
    """
    return [Choice(name, layer, type(layer).__name__, merged.get(name, ())) for name, layer in layers.items()]


def nodes_to_keep(calibrated: bytes, programs: Sequence[Program], kept: Sequence[str]) -> list[str]:
    """The names by which the converter knows the operations of some layers.

    Raises:
        ConversionError: No operation comes from any of them.
    """
    file = read_tflite(calibrated)
    nodes = [op.outputs[0].name for op in kept_ops(file, Origins(file, programs), kept)]
    if not nodes:
        raise nothing_found("keep_float", kept)
    return nodes


def nothing_found(option: str, kept: Sequence[str]) -> ConversionError:
    """The error where no operation of a file comes from any of some layers."""
    return ConversionError(
        f"{option}: no operation of the file comes from {', '.join(kept)}. Name the layer before: a layer that only "
        "passes its input on has no operation of its own. Of several grouped convolutions of Keras 3 with kernels of "
        "one size the file does not say which is which."
    )


def kept_ops(file: TFLiteFile, origins: Origins, kept: Sequence[str]) -> list[Any]:
    """The operations of a file that come from some layers."""
    return [op for op in file.ops if op.outputs and set(kept) & set(origins.names(op))]
