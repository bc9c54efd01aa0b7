"""A whole training step of a small ResNet in Keras 3: seconds and peak memory with our layer and with the stock one.

    python benchmarks/layer_step.py

Every measurement is a process of its own: it builds the model, takes four steps to warm up and prints how many
milliseconds of CPU, on one thread, the median of the next steps takes, and its peak resident memory less what it held
before the first step (getrusage, ru_maxrss). The processes of the two layers take turns; the least of each is compared.
Ends with exit code 1 where our step takes more memory, or more time, beyond 2 %.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

SIZE, STEPS = 32, 10
MEGABYTE = 1024


def resnet(norm: Callable) -> object:
    """Three stages of two residual blocks, 16 to 64 channels, as He et al. have it for CIFAR-10."""
    import keras

    layers = keras.layers

    def normed(x: object, width: int, stride: int = 1, size: int = 3) -> object:
        return norm()(layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False)(x))

    inputs = layers.Input((SIZE, SIZE, 3))
    x = layers.ReLU()(normed(inputs, 16))
    for stage, width in enumerate((16, 32, 64)):
        for block in range(2):
            stride = 2 if stage and not block else 1
            shortcut = normed(x, width, stride, 1) if stride == 2 else x
            inner = normed(layers.ReLU()(normed(x, width, stride)), width)
            x = layers.ReLU()(layers.Add()([inner, shortcut]))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def measure(which: str, batch: int) -> dict[str, float]:
    """Milliseconds and megabytes of one training step, in this process."""
    import keras
    import numpy as np
    import tensorflow as tf

    from kerasbn.keras import BatchNormalization

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(1)
    model = resnet(BatchNormalization if which == "ours" else keras.layers.BatchNormalization)
    model.compile(keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(batch, SIZE, SIZE, 3)).astype("float32"), rng.integers(0, 10, batch)
    before, times = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
    for turn in range(4 + STEPS):
        start = time.process_time()
        model.train_on_batch(x, y)
        times += [time.process_time() - start] if turn >= 4 else []
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"ms": 1000 * statistics.median(times), "MB": (peak - before) / MEGABYTE}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=3, help="for each layer")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--measure", choices=("ours", "stock"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.batch)))
        return
    found: dict[str, list[dict[str, float]]] = {"ours": [], "stock": []}
    for _ in range(arguments.processes):
        for which, results in found.items():
            command = [sys.executable, __file__, "--measure", which, "--batch", str(arguments.batch)]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)  # noqa: S603 - this file
            results.append(json.loads(done.stdout))
    least = {
        which: {key: min(each[key] for each in results) for key in ("ms", "MB")} for which, results in found.items()
    }
    table = Table(title=f"training step of a ResNet of 15 BatchNorms, batch {arguments.batch}, Keras 3")
    for heading in ("", "ours", "stock", "ours / stock"):
        table.add_column(heading, justify="right")
    for key, name in (("ms", "CPU time, ms"), ("MB", "peak memory, MB")):
        ours, stock = (least[which][key] for which in ("ours", "stock"))
        table.add_row(name, f"{ours:.1f}", f"{stock:.1f}", f"{ours / stock:.2f}")
    Console(width=120).print(table)
    sys.exit(any(least["ours"][key] > 1.02 * least["stock"][key] for key in ("ms", "MB")))


if __name__ == "__main__":
    main()
