"""The networks of the Keras site's examples, rebuilt small: fold, export, verify, against the stock converter.

    python benchmarks/tutorials.py                     both Kerases: an hour or so on two cores
    python benchmarks/tutorials.py keras --only gan    the networks whose name holds a word
    python benchmarks/tutorials.py --markdown          the table of docs/compatibility.md
    python benchmarks/tutorials.py --list              the names

`tutorial_networks` has the networks, each a function that works in both Kerases. Gammas have both signs, variances go
over two decades, biases are not 0. Every network runs in a child process, whose death is a crash in the table.

Operations are those of the float32 files, ours and stock's. The exit code is 1 if there is a fault: a false alarm, a
crash, a wrong number, int8 more than 0.3 dB below the stock converter, more operations than stock, or a refusal that
stock does not make. `judged_model` has the words of the table.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import argparse
import importlib
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import every_layer
from every_layer import Row, draw_weights
from files import our_file, stock_file
from guarded import Died, Work, run_guarded
from judged_model import Step, judge_model
from tutorial_networks import NETWORKS

from kerasbn.errors import ConversionError, KerasBNError
from kerasbn_export import fold
from kerasbn_export.folding.verdict import Verdict
from kerasbn_export.tflite.file import read_tflite

PRECISIONS = ("float32", "int8")
HEADINGS = ("network", "BatchNorms left", "operations", "float32", "int8", "int8 against stock")
MORE = "more operations"
EXPLAINED: dict[str, str] = {
    "mish_function": "its softplus is written so that it does not overflow: four more than stock's, which is "
    "infinite above 88",
    "highway": "the converter puts a RESHAPE before a product of vectors where the batch is 1, in stock's file, too",
}
"""Networks that may have more operations than stock's, each with the reason that the docs give."""


class Network(Row):
    """What is known of one network."""

    def detail(self, name: str) -> str:
        """What a step says."""
        return next((step.detail for step in self.steps if step.name == name), "")

    @property
    def faults(self) -> list[str]:
        """What is wrong, in words."""
        more = [f"{MORE}: {step.detail}" for step in self.steps if step.outcome == MORE and self.name not in EXPLAINED]
        return super().faults + more

    def cells(self) -> list[str]:
        """For both tables."""
        outcomes = [self.outcome(precision) or "-" for precision in PRECISIONS]
        if self.outcome("int8") == "right":
            outcomes[1] = self.detail("int8").partition(",")[0]
        outcomes = [
            f"{word}, stock too" if name in self.stock else word
            for name, word in zip(PRECISIONS, outcomes, strict=True)
        ]
        return [self.name, self.detail("left"), self.detail("operations"), *outcomes, self.against_stock]


def build(flavour: str, name: str, seed: int, networks: Mapping[str, Callable[[Any], Any]] = NETWORKS) -> Any:
    """A network with its statistics drawn."""
    keras = importlib.import_module(flavour)
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = networks[name](keras)
    every = list(model._flatten_layers(include_self=False))
    draw_weights(SimpleNamespace(layers=every), seed)
    return model


def prepare(flavour: str, precisions: Sequence[str], networks: Mapping[str, Callable[[Any], Any]] = NETWORKS) -> Work:
    """What a child process does with a network."""

    def work(name: str) -> Iterator[Step]:
        yield from counts(build(flavour, name, 0, networks))
        yield from judge_model(lambda seed: build(flavour, name, seed, networks), precisions)

    return work


def counts(model: Any) -> Iterator[Step]:
    """BatchNorms that are left, with the reasons, and operations against stock's."""
    try:
        verdicts = fold(model).verdicts
        yield Step("left", "right", left(verdicts))
        yield _operations(model)
    except KerasBNError:  # that, and any other error, is judged by `judge_model`
        return


def left(verdicts: Sequence[Verdict]) -> str:
    """How many BatchNorms keep an operation of their own, and why."""
    reasons = Counter(v.reason.value if v.reason else "kept" for v in verdicts if not v.gone)
    words = f" ({', '.join(f'{count} {reason}' for reason, count in reasons.items())})" if reasons else ""
    return f"{reasons.total()} of {len(verdicts)}{words}"


def _operations(model: Any) -> Step:
    with tempfile.TemporaryDirectory() as folder:
        ours, stock = our_file(model, Path(folder, "ours.tflite")), Path(folder, "stock.tflite")
        try:
            stock_file(model, stock)
        except ConversionError:
            return operations(ours, None)
        return operations(ours, stock)


def operations(ours: Path, stock: Path | None) -> Step:
    """The operations of our file and of stock's; None where there is none."""
    count = len(read_tflite(ours).ops)
    if stock is None:
        return Step("operations", "right", f"{count}, stock fails")
    theirs = len(read_tflite(stock).ops)
    return Step("operations", MORE if count > theirs else "right", f"{count} of {theirs}")


def sweep(
    flavour: str, precisions: Sequence[str], names: Sequence[str], prepare: Callable[..., Work] = prepare
) -> Iterator[Network]:
    """Every network, as it is done."""
    row: Network | None = None
    for name, step in run_guarded(prepare, (flavour, tuple(precisions)), names):
        if row is not None and row.name != name:
            yield row
            row = None
        row = row or Network(name)
        row.steps.append(every_layer._death(row, step) if isinstance(step, Died) else step)
    if row is not None:
        yield row


def text(row: Network) -> str:
    """One line, and one for each fault."""
    name, left, operations, *others = row.cells()
    line = f"{name:34} {operations:14} {' '.join(f'{cell:18}' for cell in others)} left {left}"
    absent = [f"    {step.detail}" for step in row.steps if step.outcome == "absent"]
    return "\n".join([line.rstrip(), *absent, *(f"    {fault}" for fault in row.faults)])


def markdown(flavour: str, version: str, done: Sequence[Network]) -> str:
    """The table for the docs."""
    rows = [[f"`{row.name}`", *row.cells()[1:]] for row in done]
    lines = [f"| {' | '.join(cells)} |" for cells in (HEADINGS, ["---"] * len(HEADINGS), *rows)]
    return "\n".join([f"### {flavour} {version}", "", *lines, ""])


def summary(flavour: str, done: Sequence[Network]) -> str:
    """One line with the counts."""
    kinds = Counter(fault.partition(":")[0] for row in done for fault in row.faults)
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "no fault"
    return f"{flavour}: {sum(bool(row.faults) for row in done)} of {len(done)} networks with a fault ({found})"


def main(
    networks: Mapping[str, Callable[[Any], Any]] = NETWORKS,
    prepare: Callable[..., Work] = prepare,
    description: str = __doc__ or "",
) -> int:
    """Prints the table of some networks, which ``prepare`` judges."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("keras", nargs="*", default=["keras", "tf_keras"])
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD")
    parser.add_argument("--precision", nargs="+", default=list(PRECISIONS), choices=every_layer.PRECISIONS)
    parser.add_argument("--list", action="store_true")
    parser.add_argument(
        "--markdown", action="store_true", help="print the tables of docs/compatibility.md behind the rows"
    )
    options = parser.parse_args()
    names = [name for name in networks if not options.only or any(word in name for word in options.only)]
    if options.list:
        print("\n".join(names))
        return 0
    faulty = 0
    for flavour in options.keras:
        version = importlib.import_module(flavour).__version__
        print(f"{flavour} {version}", flush=True)
        done = []
        for row in sweep(flavour, options.precision, names, prepare):
            done.append(row)
            print(text(row), flush=True)
        faulty += sum(bool(row.faults) for row in done)
        print(summary(flavour, done))
        if options.markdown:
            print(markdown(flavour, version, done))
    return int(faulty > 0)


if __name__ == "__main__":
    sys.exit(main())
