"""A SPLIT that the converter leaves in float, by chance: it is asked again.

Where nothing reads one part of a SPLIT, as the forget gate of an LSTM's first step, every second conversion of the same
file leaves that SPLIT in float, with a DEQUANTIZE before it and a QUANTIZE behind it.
"""

from __future__ import annotations

from collections.abc import Callable

from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.tflite.flatbuffer import has_any

TRIES = 8
SPLITS = ("SPLIT", "SPLIT_V")


def asked_again(make: Callable[[], bytes]) -> bytes:
    """The first file without such a SPLIT; after `TRIES`, that with the fewest.

    Args:
        make: Converts.
    """
    made = make()
    for _ in range(TRIES - 1):
        if splits_in_float(made):
            made = min(made, make(), key=splits_in_float)
    return made


def splits_in_float(content: bytes) -> int:
    """How many SPLITs of a file, outside of its loops, compute in float."""
    if not has_any(content, SPLITS):
        return 0
    file = read_tflite(content)
    splits = [op for op in file.ops[: file.main_ops] if op.name in SPLITS]
    return sum(op.outputs[0].dtype == "FLOAT32" for op in splits)
