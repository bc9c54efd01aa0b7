"""What check and recalibrate promise, as numbers.

    python benchmarks/statistics_proof.py                          all sections, both Kerases; needs scikit-learn
    python benchmarks/statistics_proof.py --section cost --samples 8192
    python benchmarks/statistics_proof.py --section healthy --files MODEL ...

numpy      statistics of a first BatchNorm against numpy's in float64, and torch's update_bn where torch is installed
accuracy   the demo's CNN on test images of the digits: trained, with destroyed statistics, and recalibrated
cost       seconds of recalibrate against predict on the same data (MobileNet of 96x96), and of check without data
memory     peak memory of recalibrate on a generator of N and of 8 N samples
healthy    what check says of networks of keras.applications whose statistics are those of their data, and of files

The exit code is 1 if a relative error is above 1e-6, less than 99 % of an accuracy comes back, recalibrate takes more
than 1.3 times predict, check a second, memory grows by 64 MB, or a healthy model is not fit.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import importlib.util
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from kerasbn import check, recalibrate
from kerasbn.flavour import NAMES, Flavour
from kerasbn.statistics.layers import batchnorms
from kerasbn_export.loading.load import load_model

SECTIONS = ("numpy", "accuracy", "cost", "memory", "healthy")
APPLICATIONS = {"MobileNetV2": 64, "ResNet50V2": 64, "DenseNet121": 64, "EfficientNetB0": 64}
Rows = Iterator[tuple[tuple[Any, ...], bool]]


def numpy_section(flavour: Flavour, _: argparse.Namespace) -> Rows:
    """Largest relative error of mean and variance, by the shape of the input."""
    layers = flavour.keras.layers
    for shape in ((4096, 16), (1024, 40, 16), (512, 12, 12, 16)):
        rng = np.random.default_rng(1)
        x = (rng.normal(size=shape) * rng.uniform(0.1, 20, shape[-1]) + rng.normal(size=shape[-1]) * 30).astype(
            "float32"
        )
        bn = layers.BatchNormalization()
        recalibrate(flavour.keras.Sequential([layers.Input(shape[1:]), bn]), x)
        axes, ddof = tuple(range(len(shape) - 1)), int(flavour.name == "tf_keras" and len(shape) == 4)
        wide = x.astype("float64")
        mean = np.max(np.abs(bn.moving_mean.numpy() / wide.mean(axes) - 1))
        variance = np.max(np.abs(bn.moving_variance.numpy() / wide.var(axes, ddof=ddof) - 1))
        yield ("numpy", str(shape), f"mean {mean:.1e}", f"variance {variance:.1e}"), max(mean, variance) < 1e-6
    if importlib.util.find_spec("torch"):
        yield torch_row(flavour)


def torch_row(flavour: Flavour) -> tuple[tuple[Any, ...], bool]:
    """Dense, BatchNorm, ReLU, Dense, BatchNorm against torch's ``update_bn`` on the same batches."""
    import torch

    layers = flavour.keras.layers
    x = np.random.default_rng(1).normal(size=(512, 8)).astype("float32")
    parts = [layers.Dense(16), layers.BatchNormalization(epsilon=1e-5), layers.ReLU(), layers.Dense(4)]
    model = flavour.keras.Sequential([layers.Input((8,)), *parts, layers.BatchNormalization(epsilon=1e-5)])
    one, two = torch.nn.Linear(8, 16), torch.nn.Linear(16, 4)
    for mine, other in ((model.layers[-5], one), (model.layers[-2], two)):
        kernel, bias = mine.get_weights()
        other.weight.data, other.bias.data = torch.tensor(kernel.T.copy()), torch.tensor(bias)
    norms = [torch.nn.BatchNorm1d(16), torch.nn.BatchNorm1d(4)]
    twin = torch.nn.Sequential(one, norms[0], torch.nn.ReLU(), two, norms[1])
    torch.optim.swa_utils.update_bn([torch.tensor(x[at : at + 64]) for at in range(0, 512, 64)], twin)
    recalibrate(model, x, mode="batch")
    worst = 0.0
    for mine, other in zip((model.layers[-4], model.layers[-1]), norms, strict=True):
        worst = max(worst, float(np.max(np.abs(mine.moving_mean.numpy() - other.running_mean.numpy()))))
        variance = other.running_var.numpy() * (63 / 64)  # torch stores the unbiased one of each batch
        worst = max(worst, float(np.max(np.abs(mine.moving_variance.numpy() / variance - 1))))
    return ("torch's update_bn", "mode='batch'", f"{worst:.1e}", ""), worst < 1e-5


def accuracy_section(flavour: Flavour, _: argparse.Namespace) -> Rows:
    """Accuracy on test images."""
    from kerasbn_export.demo.data import load_digits
    from kerasbn_export.demo.train import accuracy, train

    digits = load_digits(0)
    _, model = train(flavour, digits, epochs=8, seed=0, on_epoch=lambda: None)

    def now() -> float:
        return accuracy(model.predict(digits.test_images, verbose=0), digits.test_labels)

    trained = now()
    for norm in batchnorms(model):
        norm.layer.moving_mean.assign(norm.layer.moving_mean * 0 + 0.5)
        norm.layer.moving_variance.assign(norm.layer.moving_variance * 0 + 3)
    destroyed = now()
    judged = recalibrate(model, (digits.train_images, digits.train_labels))
    words = f"{trained:.3f}", f"{destroyed:.3f}", f"{now():.3f}"
    yield ("digits: trained, destroyed, recalibrated", *words), now() > 0.99 * trained and bool(judged)


def cost_section(flavour: Flavour, options: argparse.Namespace) -> Rows:
    """Seconds; both begin with a model that was never run."""
    x = np.random.default_rng(0).normal(size=(options.samples, 96, 96, 3)).astype("float32")

    def made() -> Any:
        return flavour.keras.applications.MobileNet(weights=None, input_shape=(96, 96, 3), alpha=0.5)

    begun = time.monotonic()
    made().predict(x, batch_size=64, verbose=0)
    built = time.monotonic()
    model = made()
    predict = built - begun - (time.monotonic() - built)
    begun = time.monotonic()
    recalibrate(model, x)
    spent = time.monotonic() - begun
    begun = time.monotonic()
    check(model)
    checked = time.monotonic() - begun
    words = f"predict {predict:.1f} s", f"recalibrate {spent:.1f} s = {spent / predict:.2f}", f"check {checked:.2f} s"
    yield (f"MobileNet, {options.samples} samples", *words), spent <= 1.3 * predict and checked < 1


def memory_section(flavour: Flavour, _: argparse.Namespace) -> Rows:
    """Peak memory in processes of their own."""
    peaks = [_peak(flavour, count) for count in (40, 320)]
    words = f"40 batches {peaks[0]:.0f} MB", f"320 batches {peaks[1]:.0f} MB", ""
    yield ("generator of batches of 64 x 64x64x8", *words), peaks[1] < peaks[0] + 64


def _peak(flavour: Flavour, batches: int) -> float:
    command = [sys.executable, __file__, "--peak", str(batches), "--keras", flavour.name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - this file itself
    return float(done.stdout.split()[-1])


def print_peak(flavour: Flavour, batches: int) -> None:
    """Recalibrates on so many batches, and prints the peak memory in MB."""
    layers = flavour.keras.layers
    parts = [layers.Conv2D(8, 3), layers.BatchNormalization(), layers.ReLU(), layers.GlobalAveragePooling2D()]
    model = flavour.keras.Sequential([layers.Input((64, 64, 8)), *parts, layers.Dense(2)])
    rng = np.random.default_rng(0)
    recalibrate(model, (rng.normal(size=(64, 64, 64, 8)).astype("float32") for _ in range(batches)))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def healthy_section(flavour: Flavour, options: argparse.Namespace) -> Rows:
    """What check says of healthy models."""
    for name, size in APPLICATIONS.items():
        model = getattr(flavour.keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10)
        x = np.random.default_rng(0).normal(size=(256, size, size, 3)).astype("float32")
        recalibrate(model, x[:192], validation=False)
        health = check(model)
        yield (name, *_said(health)), bool(health)
    for path in options.files:
        begun = time.monotonic()
        health = check(load_model(path))
        yield (os.path.basename(path), *_said(health), f"{time.monotonic() - begun:.2f} s"), bool(health)


def _said(health: Any) -> tuple[str, str]:
    kinds = sorted({f"{finding.kind} ({finding.severity})" for finding in health.findings})
    return health.headline.partition(":")[0], ", ".join(kinds)


def main() -> int:
    """Prints the sections."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--section", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--keras", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--files", nargs="*", default=[])
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print_peak(Flavour(options.keras[0]), options.peak)
        return 0
    right = True
    for section in options.section:
        table = Table("Keras", "what", "", "", "", title=section, title_justify="left")
        for flavour in map(Flavour, options.keras):
            for row, passed in globals()[f"{section}_section"](flavour, options):
                table.add_row(f"{flavour.name}{'' if passed else ' MISSED'}", *map(str, row[:4]))
                right = right and passed
        Console(width=150).print(table)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
