"""How long the verifier takes on a model of 300,000 parameters, and whether its memory grows with the samples.

    python benchmarks/verify_speed.py                   both Kerases, every backend
    python benchmarks/verify_speed.py --keras tf_keras --backend reference

Each row is a process of its own: seconds of ``verify`` with all layers compared, in CPU time and by the clock, the
required tolerance of the correct fold, and the peak memory that 25 times as many samples add, against the model and
twice its largest activation. A busy machine makes the clock useless: the target is for the smaller of the two.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from kerasbn.flavour import NAMES, Flavour
from kerasbn_export.verification.tflite_runner import BACKENDS

SECONDS = 10.0
TOLERANCES = {"reference": 1e-6, "builtin": 5e-6, "xnnpack": 5e-6}
FEW, MANY = 8, 200
WIDTHS = (32, 48, 64, 64, 96, 96, 112)


def build(flavour: Flavour) -> Any:
    """Convolution, BatchNorm, ReLU, seven times: 317,898 parameters."""
    keras = flavour.keras
    inputs = x = keras.Input((32, 32, 3), name="x")
    for i, width in enumerate(WIDTHS):
        x = keras.layers.Conv2D(width, 3, padding="same", strides=1 + i % 2, name=f"conv_{i}")(x)
        x = keras.layers.BatchNormalization(name=f"bn_{i}")(x)
        x = keras.layers.ReLU(name=f"relu_{i}")(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(inputs, keras.layers.Dense(10, name="scores")(x))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            size = int(layer.moving_mean.shape[0])
            layer.gamma.assign(np.where(np.arange(size) % 4 == 1, -1, 1) * rng.uniform(0.5, 1.5, size))
            layer.moving_mean.assign(rng.normal(size=size))
            layer.moving_variance.assign(10.0 ** rng.uniform(-1, 1, size))
            layer.beta.assign(rng.normal(size=size))
    return model


def _work(keras: str, backend: str) -> dict[str, float]:
    import tensorflow as tf

    from kerasbn_export.verification import verify

    warnings.simplefilter("ignore")
    model = build(Flavour(keras))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.tflite"
        path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
        clock, cpu = time.perf_counter(), time.process_time()
        report = verify(model, path, backend=backend, samples=FEW)
        seconds, cpu_seconds = time.perf_counter() - clock, time.process_time() - cpu
        verify(model, path, backend=backend, samples=FEW)  # what the first run sets up stays
        few = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        verify(model, path, backend=backend, samples=MANY)
        many = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "parameters": model.count_params(),
        "equal": float(bool(report)),
        "layers": len(report.per_layer),
        "seconds": seconds,
        "cpu": cpu_seconds,
        "tolerance": report.required_tolerance,
        "growth": (many - few) / 1024,
        "allowed": (4 * model.count_params() + 2 * 4 * 32 * 32 * WIDTHS[0]) / 2**20,
    }


def main() -> int:
    """Run and print; exit 0 if the numbers to reach are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--backend", nargs="+", choices=sorted(BACKENDS), default=sorted(BACKENDS))
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(_work(*options.work)))
        return 0
    columns = ("keras", "backend", "parameters", "layers", "seconds", "CPU s", "required tolerance")
    table = Table(*columns, f"MiB more for {MANY} samples than {FEW}", "allowed MiB")
    good = True
    for keras in options.keras:
        for backend in options.backend:
            command = [sys.executable, __file__, "--work", keras, backend]
            done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
            row = json.loads(done.stdout.strip().splitlines()[-1])
            numbers = [f"{row['seconds']:.1f}", f"{row['cpu']:.1f}", f"{row['tolerance']:.2g}"]
            memory = [f"{row['growth']:.1f}", f"{row['allowed']:.1f}"]
            table.add_row(keras, backend, f"{row['parameters']:,}", str(row["layers"]), *numbers, *memory)
            good &= min(row["seconds"], row["cpu"]) <= SECONDS and row["tolerance"] <= TOLERANCES[backend]
            good &= row["growth"] <= row["allowed"] and row["equal"] == 1.0
    Console(width=120).print(table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
