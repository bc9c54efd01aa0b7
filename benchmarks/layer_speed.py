"""How fast is the layer? Ratios against the stock layers and the raw fused op, interleaved in one run.

    python benchmarks/layer_speed.py                        forward + backward, float32
    python benchmarks/layer_speed.py --inference
    python benchmarks/layer_speed.py --dtype mixed_bfloat16 --jit
    python benchmarks/layer_speed.py --option renorm        the same option in both layers

Every contender runs once per round, in an order that turns from round to round; a ratio is the median of the
rounds' ratios of CPU time, on one thread, which other processes disturb less than the clock on the wall. More than 1 is
faster than the stock layer.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import math
import statistics
import time
from collections.abc import Callable

import tensorflow as tf
from rich.console import Console
from rich.table import Table

from kerasbn.flavour import NAMES, Flavour

SHAPES = {
    "images": ((32, 56, 56, 64), -1),
    "small images": ((32, 14, 14, 256), -1),
    "rows": ((512, 512), -1),
    "sequences": ((32, 1000, 64), -1),
    "volumes": ((8, 8, 16, 16, 32), -1),
    "channels first": ((32, 64, 56, 56), 1),
    "sequences, channels first": ((32, 64, 1000), 1),
}
OPTIONS = {
    "none": {},
    "renorm": {"renorm": True, "renorm_clipping": {"rmin": 0.5, "rmax": 2.0, "dmax": 1.0}},
    "ghost": {"virtual_batch_size": 4},
    "mask": {},
}
Step = Callable[[], object]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inference", action="store_true", help="inference instead of forward + backward")
    parser.add_argument("--dtype", default="float32", help="a dtype policy: float32, mixed_float16, mixed_bfloat16")
    parser.add_argument("--jit", action="store_true", help="compile with XLA")
    parser.add_argument("--option", choices=OPTIONS, default="none", help="an option that both layers are given")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--shapes", nargs="*", choices=SHAPES, default=[*SHAPES], metavar="NAME")
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    what = "inference" if arguments.inference else "forward + backward"
    table = Table(title=f"{what}, {arguments.dtype}, option {arguments.option}{', XLA' if arguments.jit else ''}")
    for heading in ("input", "ours, ms", *(f"stock {name} / ours" for name in NAMES), "ours / raw op"):
        table.add_column(heading, justify="left" if heading == "input" else "right")
    for name in arguments.shapes:
        table.add_row(f"{name} {SHAPES[name][0]}", *measured(name, arguments))
    Console(width=120).print(table)


def measured(name: str, arguments: argparse.Namespace) -> list[str]:
    """One row: our time, the stock layers' in units of ours, ours in units of the raw op's."""
    (shape, axis), cells = SHAPES[name], []
    steps: dict[str, Step] = {}
    for flavour in map(Flavour, NAMES):
        for owner, make in (("ours", flavour.batch_normalization), ("stock", flavour.keras.layers.BatchNormalization)):
            if (step := layer_step(make, shape, axis, arguments)) is not None:
                steps[f"{owner} {flavour.name}"] = step
    if not arguments.inference and arguments.option == "none" and axis == -1:
        steps["raw"] = raw_step(shape, arguments)
    times = interleaved(steps, arguments.rounds)
    cells = [f"{1000 * statistics.median(times['ours keras']):.2f}"]
    cells += [ratio(times, f"stock {flavour}", f"ours {flavour}") for flavour in NAMES]
    return [*cells, ratio(times, "ours keras", "raw")]


def ratio(times: dict[str, list[float]], above: str, below: str) -> str:
    """The median over rounds of one time in units of another."""
    if above not in times or below not in times:
        return "-"
    return f"{statistics.median(a / b for a, b in zip(times[above], times[below], strict=True)):.2f}"


def layer_step(make: Callable, shape: tuple, axis: int, arguments: argparse.Namespace) -> Step | None:
    """One call of a layer, or one gradient; None if the stock layer has no such option."""
    try:
        layer = make(axis=axis, dtype=arguments.dtype, **OPTIONS[arguments.option])
    except (TypeError, ValueError):
        return None
    layer.build((None, *shape[1:]))
    call = {"training": not arguments.inference}
    if arguments.option == "mask":
        call["mask"] = tf.random.uniform(shape[:-1]) < 0.8
    variables = [getattr(variable, "_value", variable) for variable in layer.trainable_variables]
    return compiled(lambda x: layer(x, **call), variables, shape, layer.compute_dtype, arguments)


def raw_step(shape: tuple, arguments: argparse.Namespace) -> Step:
    """The same with nothing but the fused op."""
    channels = shape[-1]
    gamma, beta = tf.Variable(tf.ones(channels)), tf.Variable(tf.zeros(channels))

    def call(x: tf.Tensor) -> tf.Tensor:
        outputs, *_ = tf.raw_ops.FusedBatchNormV3(
            x=tf.reshape(x, (-1, 1, 1, channels)), scale=gamma, offset=beta, mean=tf.zeros(0), variance=tf.zeros(0),
            epsilon=1e-3, exponential_avg_factor=1.0, is_training=True,
        )  # fmt: skip
        return tf.reshape(outputs, shape)

    dtype = arguments.dtype.removeprefix("mixed_")
    return compiled(call, [gamma, beta], shape, dtype, arguments)


def compiled(call: Callable, variables: list, shape: tuple, dtype: str, arguments: argparse.Namespace) -> Step:
    """The call, or its gradient against a given direction, as one compiled function of no arguments."""
    x, direction = (tf.cast(tf.random.normal(shape), dtype) for _ in range(2))

    @tf.function(jit_compile=arguments.jit)
    def step(x: tf.Tensor, direction: tf.Tensor) -> object:
        if arguments.inference:
            return call(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = call(x)
        return tape.gradient(y, [x, *variables], output_gradients=direction)

    return lambda: step(x, direction)


def interleaved(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Seconds of CPU per step, each step once per round after three to warm up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    names = list(steps)
    for turn in range(-3, rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            repeats = 1 if turn < 0 else max(1, math.floor(0.004 / max(times[name][0], 1e-6))) if times[name] else 1
            start = time.process_time()
            for _ in range(repeats):
                result = steps[name]()
            tf.nest.map_structure(lambda each: each.numpy()[..., :0], result)
            if turn >= 0:
                times[name].append((time.process_time() - start) / repeats)
    return times


if __name__ == "__main__":
    main()
