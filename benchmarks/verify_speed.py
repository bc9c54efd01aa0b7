"""How long the verifier takes on a model of 300,000 parameters, and whether its memory grows with the samples.

    python benchmarks/verify_speed.py                   both Kerases, every backend
    python benchmarks/verify_speed.py --keras tf_keras --backend reference
    python benchmarks/verify_speed.py --applications    MobileNetV2, EfficientNetB0, DenseNet121 from files, 24 samples

Each row is a process of its own: seconds of ``verify`` with all layers compared, in CPU time and by the clock, the
required tolerance of the correct fold, and the peak memory that 25 times as many samples add, against the model and
twice its largest activation. A busy machine makes the clock useless: the target is for the smaller of the two.

``--applications`` prints CPU seconds from file to verdict, the same without the comparison of layers, and both as parts
of what loading the model and running it on the same samples takes.
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
from kerasbn_export.tflite.interpreter import BACKENDS

SECONDS = 10.0
TOLERANCES = {"reference": 1e-6, "builtin": 5e-6, "xnnpack": 5e-6}
FEW, MANY = 8, 200
APPLICATIONS = ("MobileNetV2", "EfficientNetB0", "DenseNet121")
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
    return randomised(model, decades=1.0)


def randomised(model: Any, decades: float) -> Any:
    """The model with other statistics in every BatchNorm; the variances span so many decades up and down."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            size = int(layer.moving_mean.shape[0])
            if layer.gamma is not None:
                layer.gamma.assign(np.where(np.arange(size) % 4 == 1, -1, 1) * rng.uniform(0.5, 1.5, size))
            layer.moving_mean.assign(rng.normal(size=size))
            layer.moving_variance.assign(10.0 ** rng.uniform(-decades, decades, size))
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


def _of_application(keras: str, name: str) -> dict[str, float]:
    """CPU seconds: loading and running, verifying without layers, and with them."""
    from kerasbn_export import export_tflite
    from kerasbn_export.loading.load import load_model
    from kerasbn_export.verification import verify

    warnings.simplefilter("ignore")
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path, file = Path(folder, "m.keras"), Path(folder, "m.tflite")
        model = randomised(getattr(Flavour(keras).keras.applications, name)(weights=None), decades=0.3)
        model.save(path)
        export_tflite(model, file)
        samples = np.random.default_rng(0).normal(size=(24, *model.input_shape[1:])).astype("float32")

        def timed(what: str, run: Any) -> Any:
            start = time.process_time()
            result = run()
            seconds[what] = time.process_time() - start
            return result

        timed("load and run", lambda: load_model(path).predict(samples, batch_size=8, verbose=0))
        timed("outputs", lambda: verify(path, file, samples=FEW, layers=False))
        seconds["equal"] = float(bool(timed("all", lambda: verify(path, file, samples=FEW))))
    return seconds


def _applications(flavours: list[str]) -> int:
    table = Table(
        "keras", "model", "load and run, s", "outputs only, s", "with all layers, s", "outputs / run", "all / run"
    )
    good = True
    for keras in flavours:
        for name in APPLICATIONS:
            command = [sys.executable, __file__, "--work", keras, name]
            done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
            row = json.loads(done.stdout.strip().splitlines()[-1])
            times = [row["load and run"], row["outputs"], row["all"]]
            ratios = [f"{each / times[0]:.1f}" for each in times[1:]]
            table.add_row(keras, name, *(f"{each:.1f}" for each in times), *ratios)
            good &= row["equal"] == 1.0
    Console(width=120).print(table)
    return 0 if good else 1


def main() -> int:
    """Run and print; exit 0 if the numbers to reach are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--backend", nargs="+", choices=sorted(BACKENDS), default=sorted(BACKENDS))
    parser.add_argument("--applications", action="store_true", help="three networks of keras.applications")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work = _of_application if options.work[1] in APPLICATIONS else _work
        print(json.dumps(work(*options.work)))
        return 0
    if options.applications:
        return _applications(options.keras)
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
