"""The smallest tolerance that correct files pass: ours and the stock converter's, against the model and float64.

    python benchmarks/tolerance.py                               reference models, keras.applications, both Kerases
    python benchmarks/tolerance.py --files ad01.h5 resnet8.h5    model files instead, of either Keras
    python benchmarks/tolerance.py --only MobileNet --keras keras --backend reference
    python benchmarks/tolerance.py --precision int8                 no tolerance then: whether verify finds them equal

A row is a file on a set of kernels: max|difference| / max|reference| over all outputs, before and after a softmax, at
input scales 1, 0.1 and 10; then how far the model and the file are from the model in float64. The exit code is 1 where
a correct file is found to differ, or needs more than 1e-6 on reference kernels or 5e-6 on others and is more than 1.5
times as far from float64 as the model itself.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from applications import SIZES, build, give_statistics
from files import silent
from rich.console import Console
from rich.table import Table

from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import Comparison, export_tflite, verify
from kerasbn_export.arrays import Array
from kerasbn_export.loading.load import load_model
from kerasbn_export.tflite.interpreter import BACKENDS
from kerasbn_export.verification.outputs.judge import CHANCE
from kerasbn_export.verification.records.measure import measure
from kerasbn_export.verification.sides.open import open_runnable
from kerasbn_models import digits_cnn, mlp

NETWORKS = ("MobileNet", "MobileNetV2", "ResNet50V2", "EfficientNetB0")
ACCEPTED = {"reference": 1e-6, "builtin": 5e-6, "xnnpack": 5e-6}
PRECISIONS = ("float32", "float16", "dynamic", "int8", "int16x8")
SAMPLES = 2


def models(options: argparse.Namespace) -> Iterator[tuple[str, str, Any]]:
    """Name, Keras and model."""
    for path in options.files:
        yield path.name, "", load_model(path)
    for keras in () if options.files else options.keras:
        for name, builder in {"digits_cnn": digits_cnn, "mlp": mlp}.items():
            if name in options.only:
                yield name, keras, give_statistics(builder(keras))
        for name in SIZES:
            if name in options.only:
                yield name, keras, give_statistics(build(name, Flavour(keras)))


def samples(model: Any, count: int, seed: int) -> Array:
    """Random ones with an offset for each channel, so that no two are alike as a whole."""
    shape = [int(size or 1) for size in open_runnable(model, backend="builtin", allow_code=False).inputs[0].shape[1:]]
    rng = np.random.default_rng(seed)
    return (rng.normal(size=[count, *(1 for _ in shape[1:]), shape[-1]]) + rng.normal(size=[count, *shape])).astype(
        "f4"
    )


def stock(model: Any, path: Path, precision: str, calibration: Array | None) -> None:
    """What the stock converter makes of the model as it is."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if calibration is not None:
        converter.representative_dataset = lambda: ([sample[None]] for sample in calibration)
    if precision == "int16x8":
        wide = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [wide, tf.lite.OpsSet.TFLITE_BUILTINS]
    path.write_bytes(converter.convert())


def errors(model: Any, path: Path, backend: str) -> tuple[float, float]:
    """How far the model and the file are from the model in float64."""
    sides = [open_runnable(side, backend=backend, allow_code=False) for side in (model, path)]
    x = samples(model, SAMPLES, seed=2)
    exact, *found = (side([x]) for side in (sides[0].referee[0].run, sides[0].run, sides[1].run))  # type: ignore[union-attr]
    return tuple(max(measure(e, f).relative for e, f in zip(exact, one, strict=True)) for one in found)  # type: ignore[return-value]


def good(report: Comparison, backend: str, exact: tuple[float, float], *, gated: bool) -> bool:
    """Whether the file is found equal, within what is accepted or no worse than the model."""
    accepted = ACCEPTED[backend]
    return bool(report) and (
        not gated or report.required_tolerance <= accepted or exact[1] <= max(accepted, CHANCE * exact[0])
    )


def main() -> int:
    """Run and print; exit 0 if the numbers to reach are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--only", nargs="+", default=["digits_cnn", "mlp", *NETWORKS], metavar="MODEL")
    parser.add_argument("--files", nargs="+", type=Path, default=[], metavar="FILE")
    parser.add_argument("--backend", nargs="+", choices=sorted(BACKENDS), default=sorted(BACKENDS))
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    gated = options.precision == "float32"
    columns = (
        "model",
        "Keras",
        "file",
        "kernels",
        "required tolerance",
        "SQNR, dB",
        "model to float64",
        "file to float64",
    )
    table, right = Table(*columns, ""), True
    for name, keras, model in models(options):
        for by in ("kerasbn", "stock"):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "m.tflite"
                calibration = samples(model, 32, seed=1) if options.precision in ("int8", "int16x8") else None
                with silent():
                    if by == "stock":
                        stock(model, path, options.precision, calibration)
                    else:
                        export_tflite(model, path, precision=options.precision, calibration=calibration)
                for backend in options.backend:
                    data = None if calibration is None else samples(model, 4, seed=2)
                    report = verify(model, path, backend=backend, samples=SAMPLES, data=data)
                    exact = errors(model, path, backend)
                    fine = good(report, backend, exact, gated=gated)
                    right &= fine
                    numbers = [f"{x:.1e}" for x in (report.required_tolerance, *exact)]
                    numbers.insert(1, f"{min(output.measurement.sqnr_db for output in report.outputs):.1f}")
                    table.add_row(name, keras, by, backend, *numbers, "" if fine else report.verdict[:300])
                    print(name, keras, by, backend, *numbers, "" if fine else report.verdict, file=sys.stderr)
    Console(width=160).print(table)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
