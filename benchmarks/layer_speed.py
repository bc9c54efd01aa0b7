"""How fast is the layer? Ratios against the stock layers and the raw fused operation, interleaved in one run.

    python benchmarks/layer_speed.py                        every section, some minutes
    python benchmarks/layer_speed.py float32 mask           some of them; --help lists them
    python benchmarks/layer_speed.py sweep                  100 to 10 million numbers, ranks 2 to 5, channels first and
                                                            last, training and inference in float32; the worst is last

Every contender runs once per round, in an order that turns from round to round; a ratio is the median of the
rounds' ratios of CPU time, on one thread, which other processes disturb less than the clock on the wall. Above 1 is
faster than the stock layer. A target is missed where even the upper quartile of a ratio does not reach it. Where the
raw operation itself does not (marked with its ratio), ours must be within 10 % of the raw operation. The sweep measures
what misses once more, in three times the rounds, and that is what counts. The first line is the processor and whether
TensorFlow uses oneDNN there, which TF_ENABLE_ONEDNN_OPTS=0 turns off. Ends with exit code 1 where a target is missed.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from layer_targets import NOT_SLOWER, RAW, SECTIONS, SHAPES, Section, sweep
from rich.console import Console
from rich.table import Table

from kerasbn.flavour import NAMES, Flavour
from kerasbn.tensorflow import kernel

Step = Callable[[], object]
Times = dict[str, list[float]]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choices = ["sweep", *SECTIONS]
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"any of {', '.join(choices)}")
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--shapes", nargs="*", choices=SHAPES, default=[*SHAPES], metavar="NAME")
    arguments = parser.parse_args()
    tf.get_logger().setLevel("ERROR")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print(f"{processor()}, one thread, {'with' if kernel.onednn() else 'without'} oneDNN")
    missed: list[str] = []
    for name in arguments.sections or choices:
        if name == "sweep":
            missed += swept(arguments.rounds)
        else:
            missed += printed(SECTIONS[name], arguments.shapes, arguments.rounds)
    print("\n".join(f"missed: {each}" for each in missed) or "every target is met")
    sys.exit(bool(missed))


def processor() -> str:
    """The name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def swept(rounds: int) -> list[str]:
    """Prints the ratios of the sweep, the worst one last; returns the targets that are missed."""
    table, missed, rows = Table(title="sweep, float32"), [], []
    for heading in ("", "input", "axis", "ours, ms", *(f"stock {name} / ours" for name in NAMES)):
        table.add_column(heading, justify="right")
    for section in (Section(), Section(inference=True)):
        for shape, axis in sweep():
            steps = steps_of(section, shape, axis)
            times = interleaved(steps, rounds)
            found = {flavour: judged(times, flavour, NOT_SLOWER) for flavour in NAMES}
            if not all(met for _, met in found.values()):  # One in four equals is below its upper quartile.
                times = interleaved(steps, 3 * rounds)
                found = {flavour: judged(times, flavour, NOT_SLOWER) for flavour in NAMES}
            ours, cells = f"{1000 * statistics.median(times['ours keras']):.3f}", [cell for cell, _ in found.values()]
            name = "inference" if section.inference else "training"
            rows.append((min(float(cell.split()[0]) for cell in cells), [name, f"{shape}", f"{axis}", ours, *cells]))
            missed += [f"{name}: {shape}, axis {axis}, {each}: {of}" for each, (of, met) in found.items() if not met]
    for _, row in sorted(rows, reverse=True):
        table.add_row(*row)
    Console(width=130).print(table)
    return missed


def printed(section: Section, shapes: list[str], rounds: int) -> list[str]:
    """Prints one table; returns the targets that are missed."""
    table, missed = Table(title=section.title), []
    for heading in ("input", "ours, ms", *(f"stock {name} / ours" for name in NAMES), "ours / raw op"):
        table.add_column(heading, justify="left" if heading == "input" else "right")
    for name in shapes:
        shape, axis = SHAPES[name]
        times = interleaved(steps_of(section, shape, axis), rounds)
        cells = [f"{1000 * statistics.median(times['ours keras']):.2f}"]
        for flavour in NAMES:
            cell, met = judged(times, flavour, section.target(flavour, shape, axis))
            cells.append(cell)
            missed += [] if met else [f"{section.title}: {name} {shape}, {flavour}: {cell}"]
        ratios = sorted(a / b for a, b in zip(times["ours keras"], times["raw"], strict=True)) if "raw" in times else []
        raw = f"{statistics.median(ratios):.2f}" if ratios else "-"
        if ratios and ratios[len(ratios) // 4] > RAW:
            missed.append(f"{section.title}: {name} {shape}, raw operation: {raw} of at most {RAW}")
        table.add_row(f"{name} {shape}", *cells, raw)
    Console(width=130).print(table)
    return missed


def judged(times: Times, flavour: str, target: float) -> tuple[str, bool]:
    """The stock layer's time in units of ours, beside the target where it is not reached; and whether that will do."""
    stock, ours = times.get(f"stock {flavour}"), times[f"ours {flavour}"]
    if stock is None:
        return "-", True
    ratios = sorted(a / b for a, b in zip(stock, ours, strict=True))
    found = f"{statistics.median(ratios):.2f}"
    if ratios[3 * len(ratios) // 4] >= target:
        return found, True
    if "raw" not in times:
        return f"{found} of {target}", False
    of_raw = statistics.median(a / b for a, b in zip(stock, times["raw"], strict=True))
    beside = statistics.median(a / b for a, b in zip(ours, times["raw"], strict=True))
    return f"{found} of {target} (raw {of_raw:.2f})", of_raw < target * RAW and beside <= RAW


def steps_of(section: Section, shape: tuple, axis: int) -> dict[str, Step]:
    """The contenders."""
    steps: dict[str, Step] = {}
    for flavour in map(Flavour, NAMES):
        # tf_keras' own version of masks is its plain operations; its kernel does not see them.
        plain = {"fused": False} if section.option == "mask" and flavour.name == "tf_keras" else {}
        stock = flavour.keras.layers.BatchNormalization
        for owner, make, more in (("ours", flavour.batch_normalization, {}), ("stock", stock, plain)):
            if (step := layer_step(make, shape, axis, section, more)) is not None:
                steps[f"{owner} {flavour.name}"] = step
    if not section.inference and not section.option and axis == -1:
        steps["raw"] = raw_step(shape, section)
    return steps


def layer_step(make: Callable, shape: tuple, axis: int, section: Section, more: dict[str, object]) -> Step | None:
    """One call of a layer, or one gradient; None if the stock layer has no such option."""
    try:
        layer = make(axis=axis, dtype=section.dtype, **section.arguments, **more)
    except (TypeError, ValueError):
        return None
    layer.build((None, *shape[1:]))
    call = {"training": not section.inference}
    if section.option == "mask":
        call["mask"] = tf.random.uniform(shape[:-1]) < 0.8
    variables = [getattr(variable, "_value", variable) for variable in layer.trainable_variables]
    return compiled(lambda x: layer(x, **call), variables, shape, layer.compute_dtype, section)


def raw_step(shape: tuple, section: Section) -> Step:
    """The same with nothing but the fused operation, which keeps no averages."""
    channels = shape[-1]
    gamma, beta = tf.Variable(tf.ones(channels)), tf.Variable(tf.zeros(channels))

    def call(x: tf.Tensor) -> tf.Tensor:
        outputs, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x if len(shape) == 4 else tf.reshape(x, (-1, 1, 1, channels)), scale=gamma, offset=beta,
            mean=tf.zeros(0), variance=tf.zeros(0), epsilon=1e-3, exponential_avg_factor=1.0, is_training=True,
        )  # fmt: skip
        return tf.reshape(outputs, shape)

    return compiled(call, [gamma, beta], shape, section.dtype.removeprefix("mixed_"), section)


def compiled(call: Callable, variables: list, shape: tuple, dtype: str, section: Section) -> Step:
    """The call, or its gradient against a given direction, as one compiled function of no arguments."""
    x, direction = (tf.cast(tf.random.normal(shape), dtype) for _ in range(2))

    @tf.function(jit_compile=section.jit)
    def step(x: tf.Tensor, direction: tf.Tensor) -> object:
        if section.inference:
            return call(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = call(x)
        return tape.gradient(y, [x, *variables], output_gradients=direction)

    return lambda: step(x, direction)


def interleaved(steps: dict[str, Step], rounds: int) -> Times:
    """Seconds of CPU per step, each step once per round after three to warm up."""
    times: Times = {name: [] for name in steps}
    names = list(steps)
    for turn in range(-3, rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            repeats = max(1, math.floor(0.006 / times[name][0])) if times[name] else 1
            start = time.process_time()
            for _ in range(repeats):
                result = steps[name]()
            tf.nest.map_structure(lambda each: each.numpy()[..., :0], result)
            if turn >= 0:
                times[name].append((time.process_time() - start) / repeats)
    return times


if __name__ == "__main__":
    main()
