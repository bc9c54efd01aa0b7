"""What absorbing high biases could give an int8 file with one scale for each weight: the most, in dB.

    python benchmarks/absorption.py                          both Kerases; needs scikit-learn
    python benchmarks/absorption.py --corpus FOLDER          with resnet8.h5 of MLPerf Tiny

Nagel et al. 2019, section 4.1.3, take from a channel that is always positive behind its ReLU what it never falls below,
and give it to the bias of the next layer::

    W2 relu(x) + b2 = W2 (relu(x) - c) + (b2 + W2 c),    0 <= c <= min(x)

The range of the activation, which all channels share, gets smaller by that. Here ``c`` is the smallest value on the
samples, and the paper's mean less three standard deviations. A cell has the dB that the step of an activation would
shrink by, the mean over the activations of the folded and equalized network, and the largest of them. What the layer
behind loses where images are padded with zeros, and where a value is below ``c`` after all, is not in it.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from files import silent
from int8 import CALIBRATING, SUBJECTS, resnet8
from rich.console import Console
from rich.table import Table

from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import fold
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.export.forms.equalize import equalized

DEVIATIONS = 3.0


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, help="the folder with resnet8.h5")
    arguments = parser.parse_args()
    subjects = SUBJECTS | ({"resnet8": resnet8(arguments.corpus)} if arguments.corpus else {})
    table = Table("network", "Keras", "activations", "by the smallest value", "by the mean less 3 deviations")
    for name, make in subjects.items():
        for keras in ["tf_keras"] if name == "resnet8" else NAMES:
            with silent():
                subject = make(Flavour(keras))
                gains = possible(subject.model, subject.train[:CALIBRATING])
            table.add_row(name, keras, str(len(gains)), *map(shown, gains.T))
    Console(width=120).print(table)


def possible(model: Any, samples: np.ndarray) -> np.ndarray:
    """For each ReLU of the equalized model the dB by the two ways."""
    folded = fold(model, precision="int8").model
    outputs = activations(equalized(folded, Calibration((samples,), "array")).model, samples)
    return np.array([gains(values.reshape(-1, values.shape[-1]).astype(np.float64)) for values in outputs])


def activations(model: Any, samples: np.ndarray) -> list[np.ndarray]:
    """What every ReLU of a model gives."""
    graph = capture(model)
    values = [call.output for call in graph.in_order() if is_relu(call.layer)]
    graph.outputs, graph.output_names = values, [f"relu_{number}" for number in range(len(values))]
    graph.prune()
    found = emit(graph).predict(samples, verbose=0)
    return [np.asarray(each) for each in (found if len(values) > 1 else [found])]


def is_relu(layer: Any) -> bool:
    """Whether a layer ends in a ReLU."""
    return layer.kind == "ReLU" or str(layer.config.get("activation", "")).startswith("relu")


def gains(values: np.ndarray) -> list[float]:
    """The dB by which the range of some channels would shrink, by the two ways."""
    highest, lowest = values.max(0), values.min(0)
    by_deviation = np.clip(values.mean(0) - DEVIATIONS * values.std(0), 0, None)
    whole = max(highest.max(), 1e-30)
    return [20 * float(np.log10(whole / max((highest - taken).max(), 1e-30))) for taken in (lowest, by_deviation)]


def shown(column: np.ndarray) -> str:
    """The mean and the largest."""
    return f"{column.mean():.2f}, at most {column.max():.2f}"


if __name__ == "__main__":
    main()
