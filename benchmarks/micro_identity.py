"""Are int8 outputs the same bits in TFLite Micro and in LiteRT's reference kernels?

    python benchmarks/micro_identity.py              the example models, both Kerases
    python benchmarks/micro_identity.py FILE.keras   a model file, calibrated on random numbers

For every model: random inputs over the whole int8 range, all outputs compared bit by bit, and the arena. Convolutions
have the same bits. LiteRT's reference kernel of FULLY_CONNECTED rounds once where TFLite Micro rounds twice, so that
behind Dense layers single units can differ (docs/benchmarks.md). The exit code is 1 if a bit differs, 2 without the
package ``tflite-micro``.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from files import silent
from rich.console import Console
from rich.table import Table

import kerasbn_models
from kerasbn.errors import ConversionError
from kerasbn.flavour import NAMES
from kerasbn_export import export_tflite
from kerasbn_export.devices.micro import run_micro
from kerasbn_export.devices.optional_package import TFLITE_MICRO
from kerasbn_export.loading.load import load_model
from kerasbn_export.tflite.file import read_tflite

SAMPLES = 8


def main(paths: list[str]) -> int:
    """Prints the table."""
    if TFLITE_MICRO.tool is None:
        print(TFLITE_MICRO.missing, file=sys.stderr)
        return 2
    table = Table("model", "outputs compared", "differ", "arena, bytes", title=TFLITE_MICRO.tool)
    wrong = 0
    for name, model in named_models(paths):
        try:
            content = converted(model)
            arena = f"{run_micro(content).arena_bytes:,}"
        except ConversionError as error:
            table.add_row(name, "-", "-", f"does not fit: {error}")
            continue
        different, outputs = differing_bits(content), sum(math.prod(end.shape) for end in read_tflite(content).outputs)
        wrong += different
        table.add_row(name, f"{SAMPLES * outputs:,}", f"{different:,}", arena)
    Console(width=150).print(table)
    return int(wrong > 0)


def named_models(paths: list[str]) -> list[tuple[str, Any]]:
    """The files given, or the two small builders of kerasbn_models in both Kerases."""
    if paths:
        return [(Path(path).name, load_model(path)) for path in paths]
    return [
        (f"{name}, {keras}", getattr(kerasbn_models, name)(keras)) for name in ("digits_cnn", "mlp") for keras in NAMES
    ]


def converted(model: Any) -> bytes:
    """The int8 file for TFLite Micro."""
    with tempfile.TemporaryDirectory() as folder, silent():
        return export_tflite(model, Path(folder, "m.tflite"), device="tflm", calibration="random").path.read_bytes()


def differing_bits(content: bytes, seed: int = 3) -> int:
    """How many elements of the outputs differ."""
    reference = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    reference.allocate_tensors()
    rng = np.random.default_rng(seed)
    details = reference.get_input_details()
    inputs = [rng.integers(-128, 128, (SAMPLES, *detail["shape"])).astype(detail["dtype"]) for detail in details]
    found = run_micro(content, inputs).outputs
    wrong = 0
    for sample in range(SAMPLES):
        for detail, array in zip(details, inputs, strict=True):
            reference.set_tensor(detail["index"], array[sample])
        reference.invoke()
        wanted = [reference.get_tensor(detail["index"]) for detail in reference.get_output_details()]
        wrong += sum(int(np.sum(array[sample] != want)) for array, want in zip(found, wanted, strict=True))
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
