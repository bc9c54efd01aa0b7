"""Rule 9's forms side by side: three Conv-ReLU-BatchNorm before a 'same' convolution.

    python benchmarks/zero_padding.py

Prints, for several sizes, the latency of each form as a ratio to the stock conversion of the same model: interleaved in
one run, one thread. The forms: one depthwise 1x1 (target ``latency``), a channel of ones (target ``ops``), and the
border's bias as a map, written by hand: the scale goes forward, and one ADD of a constant map stands behind the
convolution.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from rich.console import Console
from rich.table import Table

from kerasbn.flavour import TF_KERAS
from kerasbn_export import export_tflite, fold
from kerasbn_export.benchmark.latency import compare_latency

SIZES = ((28, 16), (28, 32), (28, 48), (28, 64), (14, 128), (56, 8), (56, 24))
FORMS = ("depthwise", "ones", "map")
BLOCKS = 3


def chain(size: int, channels: int, rng: np.random.Generator) -> Any:
    """The model, with statistics that are not the initial ones."""
    layers = TF_KERAS.keras.layers
    inputs = outputs = layers.Input((size, size, 16))
    for _ in range(BLOCKS):
        outputs = layers.ReLU()(layers.Conv2D(channels, 3, padding="same")(outputs))
        norm = layers.BatchNormalization()
        outputs = norm(outputs)
        norm.set_weights(
            [rng.normal(1, 0.4, channels), *rng.normal(0, 0.3, (2, channels)), rng.uniform(0.3, 1, channels)]
        )
    return TF_KERAS.keras.Model(inputs, layers.Conv2D(16, 3, padding="same")(outputs))


def with_maps(model: Any) -> Any:
    """The model with each BatchNorm's scale in the convolution behind, and its shift as a map behind that."""
    layers, keras = TF_KERAS.keras.layers, TF_KERAS.keras
    inputs = outputs = layers.Input(model.input_shape[1:])
    scale = shift = None
    for layer in model.layers[1:]:
        if isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            scale = gamma / np.sqrt(variance + layer.epsilon)
            shift = beta - mean * scale
        elif isinstance(layer, layers.Conv2D):
            new = layers.Conv2D(layer.filters, 3, padding="same")
            outputs = new(outputs)
            kernel, bias = layer.get_weights()
            if scale is None:
                new.set_weights([kernel, bias])
                continue
            new.set_weights([kernel * scale[:, None], bias])
            constant = np.broadcast_to(shift, (1, *model.input_shape[1:3], shift.size)).astype(np.float32)
            outputs = outputs + (keras.backend.conv2d(constant, kernel, padding="same")).numpy()
        else:
            outputs = layers.ReLU()(outputs)
    return keras.Model(inputs, outputs)


def ratios(size: int, channels: int, precision: str, folder: Path) -> list[float]:
    """The latency of each form, as a ratio to the stock conversion."""
    rng = np.random.default_rng(0)
    model = chain(size, channels, rng)
    samples = rng.normal(size=(20, size, size, 16)).astype(np.float32)
    forms = [model, fold(model).model, fold(model, target="ops").model, with_maps(model)]
    paths = [folder / f"{name}.tflite" for name in ("stock", *FORMS)]
    for form, path in zip(forms, paths, strict=True):
        export_tflite(
            form, path, precision=precision, calibration=None if precision == "float32" else samples, fold=False
        )
        difference = np.max(np.abs(form(samples[:2]).numpy() - model(samples[:2]).numpy()))
        if not difference <= 1e-4:
            raise SystemExit(f"{path.stem} computes something else: difference {difference:.2g}")
    return [latency.ratio for latency in compare_latency(paths)[1:]]


def main() -> None:
    """Print the table."""
    table = Table("size", "channels", "precision", *FORMS, title="latency, ratio to stock")
    with tempfile.TemporaryDirectory() as folder:
        for size, channels in SIZES:
            for precision in ("float32", "int8"):
                found = ratios(size, channels, precision, Path(folder))
                table.add_row(str(size), str(channels), precision, *(f"{ratio:.2f}" for ratio in found))
    Console().print(table)


if __name__ == "__main__":
    main()
