"""Every layer class and activation that a Keras lists, between two BatchNorms: fold, export, verify, against stock.

    python benchmarks/every_layer.py                       both Kerases: half an hour or so on two cores
    python benchmarks/every_layer.py keras --only Pooling  the rows whose name holds a word
    python benchmarks/every_layer.py --frame bare          other models around the layer: see below
    python benchmarks/every_layer.py --markdown            the table of docs/compatibility.md
    python benchmarks/every_layer.py --list                the rows

Classes and activations are found by introspection, so a new Keras adds its own rows; `layer_table` knows what the
constructors need. A class of which nobody told it that is a row that says so.

=========  ===========================================================================================
frame      the model
=========  ===========================================================================================
relu       Conv or Dense with ReLU, BatchNorm, the layer, BatchNorm, Dense
linear     the same without ReLU
bare       BatchNorm, the layer, BatchNorm
=========  ===========================================================================================

Gammas have both signs, variances go over two decades. A BatchNorm stands where dtypes allow it. Every row runs in a
child process, whose death is a crash in the table. The exit code is 1 if there is a fault: a false alarm, a crash, a
wrong number, int8 more than 0.3 dB below the stock converter, or a refusal that stock does not make and `EXPLAINED`
does not explain. `judged_model` has the words of the table.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import argparse
import importlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from guarded import Died, Work, run_guarded
from judged_model import Step, judge_model
from layer_table import NOT_TRIED, Case, case_of, rows, same_as

FRAMES = ("relu", "linear", "bare")
PRECISIONS = ("float32", "float16", "int8")
EXPLAINED: dict[str, str] = {
    "RandomCrop": "in Keras 3 it says that it crops, and does not outside of training, so that the model's shapes are "
    "not those it computes; take it out before the export",
}
"""Rows that kerasbn refuses and stock does not, each with the reason that the docs give."""


@dataclass
class Row:
    """What is known of one class."""

    name: str
    note: str = ""
    steps: list[Step] = field(default_factory=list)

    @property
    def tried(self) -> bool:
        """Whether there was a model."""
        return not self.note and all(step.outcome != "absent" for step in self.steps)

    @property
    def refused(self) -> list[Step]:
        """What kerasbn refuses and stock does not."""
        stock = {
            step.name.removeprefix("stock ")
            for step in self.steps
            if step.name.startswith("stock") and step.outcome != "right"
        }
        ours = (step for step in self.steps if step.outcome == "refused" and not step.name.startswith("stock"))
        return [step for step in ours if step.name not in stock]

    @property
    def faults(self) -> list[str]:
        """What is wrong, in words."""
        found = [f"{step.outcome}: {step.name}: {step.detail}" for step in self.steps if step.fault]
        if self.name not in EXPLAINED:
            found += [f"refused, not by stock: {step.name}: {step.detail}" for step in self.refused]
        return found

    def outcome(self, precision: str) -> str:
        """One word for a precision: the worst of its steps."""
        words = [s.outcome for s in self.steps if s.name.split(" ")[0] == precision and s.name != "int8 against stock"]
        order = ("crash", "wrong", "missed", "false alarm", "refused", "coarse", "right", "cannot tell")
        return min(words, key=order.index, default="")

    @property
    def against_stock(self) -> str:
        """The difference in int8."""
        return next((step.detail for step in self.steps if step.name == "int8 against stock"), "")

    @property
    def stock(self) -> str:
        """What stock refuses of what we refuse."""
        return ", ".join(
            s.name.removeprefix("stock ") for s in self.steps if s.name.startswith("stock") and s.outcome != "right"
        )


def build(flavour: str, row: str, frame: str, seed: int) -> Any:
    """The model of a row, its statistics drawn."""
    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(seed)
    case = case_of(row)
    inputs = [keras.Input(shape, dtype=case.dtype, name=f"input_{i}") for i, shape in enumerate(case.inputs)]
    before = [_before(keras, tensor, frame, case) for tensor in inputs]
    outputs = case.apply(keras, before)
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    behind = [_behind(keras, tensor, frame) for tensor in outputs]
    model = keras.Model(inputs if len(inputs) > 1 else inputs[0], behind if len(behind) > 1 else behind[0])
    draw_weights(model, seed)
    return model


def _before(keras: Any, tensor: Any, frame: str, case: Case) -> Any:
    if case.dtype != "float32":
        return tensor
    if frame != "bare":
        tensor = _linear(keras, tensor, int(tensor.shape[-1]), "relu" if frame == "relu" else None)
    return keras.layers.BatchNormalization()(tensor)


def _behind(keras: Any, tensor: Any, frame: str) -> Any:
    floats = "float" in getattr(tensor.dtype, "name", str(tensor.dtype))
    if not floats or len(tensor.shape) < 2 or tensor.shape[-1] is None:
        return tensor
    tensor = keras.layers.BatchNormalization()(tensor)
    return tensor if frame == "bare" else keras.layers.Dense(4)(tensor)


def _linear(keras: Any, tensor: Any, channels: int, activation: str | None) -> Any:
    options = {"activation": activation}
    rank = len(tensor.shape)
    if rank in (3, 4, 5):
        convolution = getattr(keras.layers, f"Conv{rank - 2}D")
        return convolution(channels, 3, padding="same", **options)(tensor)
    return keras.layers.Dense(channels, **options)(tensor)


def draw_weights(model: Any, seed: int) -> None:
    """Weights as training leaves them: biases that are not 0, gammas of both signs, variances over two decades."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        normal = hasattr(layer, "moving_variance")  # a subclass too
        for weight in layer.weights:
            values = _weight(rng, weight, normal=normal)
            if values is not None:
                weight.assign(values.astype("float32"))


def _weight(rng: np.random.Generator, weight: Any, *, normal: bool) -> np.ndarray | None:
    shape, kind = tuple(weight.shape), weight.name.split("/")[-1].split(":")[0]
    if normal:
        values: dict[str, np.ndarray] = {
            "gamma": rng.choice([-1.0, 1.0, 1.0], shape) * rng.uniform(0.3, 1.6, shape),
            "beta": rng.normal(0, 0.8, shape),
            "moving_mean": rng.normal(0, 0.5, shape),
            "moving_variance": 10 ** rng.uniform(-1.5, 1, shape),
        }
        return values.get(kind)
    return rng.normal(0, 0.3, shape) if "bias" in kind else None


def prepare(flavour: str, frame: str, precisions: Sequence[str]) -> Work:
    """What a child process does with a row."""

    def work(row: str) -> Iterator[Step]:
        try:
            build(flavour, row, frame, 0)
        except Exception as error:  # what a Keras raises for arguments that do not fit
            yield Step(
                "model", "absent", f"no model with the arguments known: {type(error).__name__}: {str(error)[:200]}"
            )
            return
        yield from judge_model(lambda seed: build(flavour, row, frame, seed), precisions)

    return work


def sweep(
    flavour: str, frame: str, precisions: Sequence[str], only: Sequence[str], *, exact: bool = False, first: str = ""
) -> Iterator[Row]:
    """Every row, as it is done."""
    keras = importlib.import_module(flavour)
    names = [n for n in rows(keras) if not only or (n in only if exact else any(w.lower() in n.lower() for w in only))]
    names = names[names.index(first) :] if first else names
    notes = {**NOT_TRIED, **{name: f"is {first}" for name, first in same_as(keras).items()}}
    yield from (Row(name, notes[name]) for name in names if name in notes)
    tried = [name for name in names if name not in notes]
    row: Row | None = None
    for name, step in run_guarded(prepare, (flavour, frame, tuple(precisions)), tried):
        if row is not None and row.name != name:
            yield row
            row = None
        row = row or Row(name)
        row.steps.append(_death(row, step) if isinstance(step, Died) else step)
    if row is not None:
        yield row


def _death(row: Row, died: Died) -> Step:
    """A crash of ours, or of stock: its conversions come last."""
    ours = [step for step in row.steps if not step.name.startswith("stock")]
    pending = [step.name for step in ours if step.outcome == "refused"]
    finished = bool(ours) and ours[-1].name.startswith(("int8",))
    if finished:
        return Step(
            f"stock {pending[-1]}" if pending else "int8 against stock",
            "refused" if pending else "right",
            f"stock: {died}",
        )
    return Step(f"after {ours[-1].name}" if ours else "model", "crash", str(died))


def text(row: Row) -> str:
    """One line, and one for each fault."""
    if not row.tried:
        return f"{row.name:38} {row.note or row.steps[-1].detail}"
    words = " ".join(f"{row.outcome(name) or '-':12}" for name in ("folded", *PRECISIONS))
    line = f"{row.name:38} {words} {row.against_stock:22}" + (f" stock refuses too: {row.stock}" if row.stock else "")
    return "\n".join([line.rstrip(), *(f"    {fault}" for fault in row.faults)])


def markdown(flavour: str, version: str, done: Sequence[Row]) -> str:
    """The rows by what becomes of them, as a table for the docs."""
    groups: dict[str, list[str]] = {}
    for row in done:
        if not row.note.startswith("is "):
            groups.setdefault(_group(row), []).append(_named(row))
    order = sorted(groups, key=lambda group: -len(groups[group]))
    lines = [f"| {group} | {', '.join(groups[group])} |" for group in order]
    return "\n".join([f"## {flavour} {version}", "", "| what | layers |", "| --- | --- |", *lines, ""])


def _group(row: Row) -> str:
    if row.note:
        return f"not tried: {row.note}"
    if not row.tried:
        return "not tried: this Keras cannot build or run it alone"
    if row.faults:
        return "**faults**"
    outcomes = {precision: row.outcome(precision) for precision in PRECISIONS if row.outcome(precision)}
    refused = [precision for precision, outcome in outcomes.items() if outcome == "refused"]
    if row.refused:
        return f"refused, with a message that says what to do: {EXPLAINED[row.name]}"
    if refused:
        others = (
            f"; {', '.join(p for p in outcomes if p not in refused)} go through" if len(refused) < len(outcomes) else ""
        )
        return f"refused in {', '.join(refused)}, as by the stock converter{others}"
    coarse = [precision for precision, outcome in outcomes.items() if outcome == "coarse"]
    return (
        f"right; {' and '.join(coarse)} too coarse for the test model" if coarse else f"right in {', '.join(outcomes)}"
    )


def _named(row: Row) -> str:
    return f"`{row.name.removeprefix('activation ')}`"


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("keras", nargs="*", default=["keras", "tf_keras"])
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD")
    parser.add_argument("--exact", action="store_true", help="--only names whole rows")
    parser.add_argument("--precision", nargs="+", default=list(PRECISIONS), choices=PRECISIONS)
    parser.add_argument("--from", dest="first", default="", metavar="ROW", help="go on from this row")
    parser.add_argument("--frame", default="relu", choices=FRAMES)
    parser.add_argument("--list", action="store_true")
    parser.add_argument(
        "--markdown", action="store_true", help="print the table of docs/compatibility.md behind the rows"
    )
    options = parser.parse_args()
    faulty = 0
    for flavour in options.keras:
        if options.list:
            print("\n".join(rows(importlib.import_module(flavour))))
            continue
        print(f"{flavour} {importlib.import_module(flavour).__version__}, frame {options.frame}")
        print(f"{'':38} {' '.join(f'{name:12}' for name in ('folded', *PRECISIONS))} int8 against stock")
        done = []
        for row in sweep(
            flavour, options.frame, options.precision, options.only, exact=options.exact, first=options.first
        ):
            done.append(row)
            print(text(row), flush=True)
        faulty += sum(bool(row.faults) for row in done)
        print(summary(flavour, done))
        if options.markdown:
            print(markdown(flavour, importlib.import_module(flavour).__version__, done))
    return int(faulty > 0)


def summary(flavour: str, done: Sequence[Row]) -> str:
    """One line with the counts."""
    tried = [row for row in done if row.tried]
    kinds = Counter(fault.partition(":")[0] for row in tried for fault in row.faults)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "no fault"
    faulty, left = sum(bool(row.faults) for row in tried), len(done) - len(tried)
    return f"{flavour}: {faulty} of {len(tried)} rows with a fault ({counts}); {left} not tried"


if __name__ == "__main__":
    sys.exit(main())
