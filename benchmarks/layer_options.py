"""Every layer class and activation with the options that name a layer: in float, in 16 bits, in training.

    python benchmarks/layer_options.py                        both Kerases: half an hour on two cores
    python benchmarks/layer_options.py keras --only Pooling   the rows whose name holds a word
    python benchmarks/layer_options.py --markdown             for a page

The rows and models are those of `every_layer`, in its frame ``relu``; the option names the layer between. Each cell has
the SQNR in dB of the int8 file, or a word: "refused" by an error of kerasbn's own, whose text is printed below the
table; "coarse" where the file is below the gate and `verify` says so; "cannot tell" where the network gives one number
for all samples. The exit code is 1 where a cell is a fault: "false alarm", "missed", which is wrong and `verify` says
yes, or "crash".
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import argparse
import importlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from every_layer import build
from files import silent
from guarded import Died, Work, run_guarded
from judged_model import GATE_DB, JUDGING, Arrays, Step, draw, predict, run_file, sqnr
from layer_table import NOT_TRIED, rows, same_as

from kerasbn.errors import KerasBNError
from kerasbn.flavour import NAMES
from kerasbn_export import export_tflite, quantize_aware, verify
from models import print_table

Option = Callable[[Any, Path, Any, list[str]], Any]
FAULTS = ("false alarm", "missed", "crash")
EQUAL, DIFFERS = 0, 1
"""Exit codes of a comparison."""


def _int8(name: str) -> Option:
    def make(model: Any, path: Path, data: Any, layers: list[str]) -> None:
        export_tflite(model, path, precision="int8", calibration=data, best=False, **{name: layers})

    return make


def _trained(model: Any, path: Path, data: Any, layers: list[str]) -> None:
    export_tflite(quantize_aware(model, data, keep_float=layers), path)


OPTIONS: dict[str, Option] = {
    "keep_float": _int8("keep_float"),
    "keep_int16": _int8("keep_int16"),
    "quantize_aware": lambda model, path, data, _: _trained(model, path, data, []),
    "quantize_aware, keep_float": _trained,
}


def prepare(flavour: str) -> Work:
    """What a child process does with a row."""

    def work(row: str) -> Iterator[Step]:
        try:
            model = build(flavour, row, "relu", 0)
            inputs = draw(model, JUDGING, 1)
            wanted = predict(model, inputs)
        except Exception as error:  # a layer that Keras itself cannot run there
            yield Step("model", "absent", type(error).__name__)
            return
        for name, option in OPTIONS.items():
            yield _judged(name, option, model, row, inputs, wanted)

    return work


def _judged(name: str, option: Option, model: Any, row: str, inputs: Arrays, wanted: Arrays) -> Step:
    data = inputs if len(inputs) > 1 else inputs[0]
    with tempfile.TemporaryDirectory() as folder, silent():
        path = Path(folder, "m.tflite")
        try:
            option(model, path, data, inner(model, row))
            reached, said = sqnr(wanted, run_file(path, inputs)), verify(model, path, data=data).exit_code
        except KerasBNError as error:
            return Step(name, "refused", str(error))
        except Exception as error:
            return Step(name, "crash", f"{type(error).__name__}: {error}")
    right = reached >= GATE_DB
    outcome = {(True, EQUAL): "right", (True, DIFFERS): "false alarm", (False, EQUAL): "missed"}.get(
        (right, said), "cannot tell" if right else "coarse"
    )
    return Step(name, outcome, f"{reached:.1f}")


def inner(model: Any, row: str) -> list[str]:
    """The layers that a row is about, by their class; `every_layer` builds others of that class around some."""
    kind = row.partition(" ")[0]
    kind = "Activation" if kind == "activation" else kind
    found = [layer.name for layer in model.layers if type(layer).__name__ == kind]
    return found[1:2] or found if kind.startswith(("Conv", "Dense")) else found


def main() -> int:
    """Prints the table; 0 if there is no fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("keras", nargs="*", choices=[*NAMES, []], default=[])
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD")
    parser.add_argument("--markdown", action="store_true", help="the table for a page")
    arguments = parser.parse_args()
    faults, reasons = 0, list[str]()
    for flavour in arguments.keras or NAMES:
        done = _cells(flavour, arguments.only)
        table = [[row, *(_text(steps, name) for name in OPTIONS)] for row, steps in done.items()]
        print_table((flavour, *OPTIONS), table, arguments.markdown)
        told = [(row, step) for row, steps in done.items() for step in steps if step.outcome in ("refused", *FAULTS)]
        reasons += [f"{flavour}, {row}, {step.name}: {step.outcome}: {step.detail}" for row, step in told]
        faults += sum(step.outcome in FAULTS for _, step in told)
    print("\n".join(reasons))
    return int(bool(faults))


def _cells(flavour: str, only: list[str]) -> dict[str, list[Step]]:
    keras = importlib.import_module(flavour)
    left_out = {**NOT_TRIED, **same_as(keras)}
    names = [name for name in rows(keras) if name not in left_out]
    names = [name for name in names if not only or any(word.lower() in name.lower() for word in only)]
    done: dict[str, list[Step]] = {name: [] for name in names}
    for name, step in run_guarded(prepare, (flavour,), names):
        done[name].append(Step(list(OPTIONS)[len(done[name])], "crash", step) if isinstance(step, Died) else step)
    return done


def _text(steps: list[Step], name: str) -> str:
    found = next((step for step in steps if step.name in (name, "model")), None)
    return "" if found is None else found.detail if found.outcome == "right" else found.outcome


if __name__ == "__main__":
    sys.exit(main())
