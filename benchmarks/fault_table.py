"""Does the verifier see what goes wrong, and does it say where? Every fault on every model in both Kerases.

    python benchmarks/fault_table.py                             folded Keras models: all faults, models, Kerases
    python benchmarks/fault_table.py --tflite --backend builtin  the same as .tflite files
    python benchmarks/fault_table.py --int8 --backend builtin    the faults of quantised files, in int8 .tflite files
    python benchmarks/fault_table.py --int8 --ours               the same in files of export_tflite
    python benchmarks/fault_table.py --tflite --route litert     files of the second route; with --int8 --ours, too
    python benchmarks/fault_table.py --checks                    only the last table: each check, what it misses
    python benchmarks/fault_table.py --models plain signal --faults "bias dropped" --keras tf_keras

A row is a fault: on how many models it was caught, on how many blamed on the right layer, and on how many the checks
that people use by default miss it. The last rows are the conversions without a fault, at three input scales (int8 files
at the one they were calibrated on): how many each check rejects. The last table sums up each check: the faults that it
lets pass and the correct conversions that it rejects. What a backend refuses to run is named and left out, and so are
int8 files of recurrent models by the stock converter, which dies of them.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import contextlib
import io
import math
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import track
from rich.table import Table

from kerasbn.errors import ModelFileError
from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import export_tflite
from kerasbn_export.arrays import Array
from kerasbn_export.capture import capture
from kerasbn_export.conversion.convert import convert as convert_by
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.conversion.recurrent_form import for_file
from kerasbn_export.conversion.routes import LITERT, TENSORFLOW
from kerasbn_export.emit.emit import emit
from kerasbn_export.graph.model import Graph
from kerasbn_export.tflite.interpreter import BACKENDS
from kerasbn_export.tflite.layer_names import Provenance
from kerasbn_export.verification.compare import Question, compare
from kerasbn_export.verification.faults import FAULTS, QUANTIZED, SUBJECTS, convert
from kerasbn_export.verification.records.measure import measure
from kerasbn_export.verification.sides.matching import match_sides
from kerasbn_export.verification.sides.open import open_runnable
from kerasbn_export.verification.sides.ports import Runnable
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

QUESTION = Question(data=None, seed=0, samples=4, scales=(1.0, 0.1, 10.0), tolerance=None, min_sqnr=None, layers=True)

SAMPLES = 8
"""Samples of int8 files: drawn as those that the ranges were measured on."""

Check = Callable[[Array, Array], bool]

DEFAULT_CHECKS: dict[str, Check] = {
    "allclose 1e-5": lambda r, c: np.allclose(r, c, rtol=1e-5, atol=1e-5),
    "allclose 1e-3": lambda r, c: np.allclose(r, c, rtol=1e-3, atol=1e-3),
    "max-abs 1e-3": lambda r, c: float(np.max(np.abs(r - c))) <= 1e-3,
    "mean-abs 1e-3": lambda r, c: float(np.mean(np.abs(r - c))) <= 1e-3,
    "cosine 0.99": lambda r, c: measure(r, c).cosine >= 0.99,
    "SNR 20 dB": lambda r, c: measure(r, c).sqnr_db >= 20,
    "PSNR 30 dB": lambda r, c: _psnr(r, c) >= 30,
    "same top-1": lambda r, c: bool(np.all(r.argmax(-1) == c.argmax(-1))),
}
"""Each says whether two outputs are equal; what people have in their conversion scripts."""


def _psnr(r: Array, c: Array) -> float:
    mse = float(np.mean((r - c) ** 2))
    return math.inf if mse == 0 else 10 * math.log10(float(np.max(np.abs(r))) ** 2 / mse)


def _opened(graph: Graph, options: argparse.Namespace) -> Runnable:
    model: Any = emit(graph)
    if not options.tflite:
        return open_runnable(model, backend=options.backend, allow_code=False)
    if options.route == LITERT:
        content = convert_by(for_file(model, "float32", LITERT).model, ConversionOptions(route=LITERT))
    else:
        content = _converted(_unrolled(model))
    return TFLiteRunner(content, "candidate.tflite", options.backend)


def _converted(model: Any, calibration: list[Array] | None = None) -> bytes:
    """The stock conversion, to int8 where there are samples to calibrate on."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if calibration is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        # Several inputs have one shape and one distribution: in which order the converter takes them is all the same.
        converter.representative_dataset = lambda: (
            [x[i : i + 1] for x in calibration] for i in range(len(calibration[0]))
        )
    with contextlib.redirect_stdout(io.StringIO()):
        content: bytes = converter.convert()
    return content


def _unrolled(model: Any) -> Any:
    """The model without loops: the stock converter takes none with an open batch."""
    return for_file(model, "int8").model


def _exported(reference: Runnable, calibration: list[Array], route: str) -> bytes:
    """What ``export_tflite`` makes of the model, with inputs and outputs in float as the stock conversion has them."""
    model: Any = reference.original  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        options = {"precision": "int8", "calibration": calibration, "io_dtype": "float32", "route": route}
        return export_tflite(model, Path(folder, "ours.tflite"), **options).path.read_bytes()


def _samples(reference: Runnable, count: int, seed: int) -> list[Array]:
    """Samples for each input that differ as a whole, in size by a factor of up to 5 and in an offset for each channel.

    Noise alone averages to the same, and inputs of one size leave outputs behind many biases within one step of int8.
    """
    rng = np.random.default_rng(seed)
    return [_drawn(rng, [int(size or 1) for size in port.shape[1:]], count) for port in reference.inputs]


def _drawn(rng: np.random.Generator, shape: list[int], count: int) -> Array:
    sizes = 10.0 ** rng.uniform(0.75, 1.5, size=[count, *(1 for _ in shape)])
    offsets = rng.normal(scale=3.0, size=[count, *(1 for _ in shape[1:]), shape[-1]])
    return (sizes * (offsets + rng.normal(size=[count, *shape]))).astype(np.float32)


def _default_verdicts(reference: Runnable, candidate: Runnable) -> set[str]:
    """The default checks that take the two for equal."""
    if candidate.precision == "int8":
        given = _samples(reference, SAMPLES, seed=1)
    else:
        shapes = [[int(size or 1) for size in port.shape[1:]] for port in reference.inputs]
        given = [np.random.default_rng(0).normal(size=[8, *shape]).astype(np.float32) for shape in shapes]
    by_name = {port.name: x for port, x in zip(reference.inputs, given, strict=True)}
    pairs = list(
        zip(reference.run(given), candidate.run([by_name[port.name] for port in candidate.inputs]), strict=True)
    )
    return {name for name, check in DEFAULT_CHECKS.items() if all(check(r, c) for r, c in pairs)}


def _tallies(names: list[str]) -> dict[str, Counter[str]]:
    return {name: Counter() for name in (*names, "no fault")}


def _cases(options: argparse.Namespace) -> Iterator[tuple[str, Runnable, Graph]]:
    """Each model with its name and its correct conversion."""
    cases = [(flavour, subject) for flavour in options.keras for subject in SUBJECTS if subject.name in options.models]
    if options.int8 and not options.ours:
        cases = [(flavour, subject) for flavour, subject in cases if not subject.recurrent]
    for flavour, subject in track(cases, description="models", console=Console(stderr=True)):
        reference = open_runnable(subject.build(Flavour(flavour)), backend=options.backend, allow_code=False)
        graph = capture(reference.original)  # type: ignore[attr-defined]
        convert(graph)
        yield f"{flavour} {subject.name}", reference, graph


def _tally(options: argparse.Namespace) -> dict[str, Counter[str]]:
    """For each fault, and for the conversion without one, how often what happened."""
    tallies = _tallies([fault.name for fault in FAULTS])
    for name, reference, graph in _cases(options):
        _control(tallies["no fault"], reference, _opened(graph, options), name)
        for fault in FAULTS:
            if fault.name not in options.faults:
                continue
            graph = capture(reference.original)  # type: ignore[attr-defined]
            blamed = fault.damage(graph)
            if blamed is not None:
                where = f"{name}: {fault.name}"
                _damaged(tallies[fault.name], reference, _opened(graph, options), blamed, where)
    return tallies


def _tally_int8(options: argparse.Namespace) -> dict[str, Counter[str]]:
    """The same for the faults of quantised files, each put into the bytes of a correct int8 file."""
    tallies = _tallies([fault.name for fault in QUANTIZED])
    for name, reference, graph in _cases(options):
        samples = _samples(reference, 64, seed=0)
        content = _exported(reference, samples, options.route) if options.ours else _converted(emit(graph), samples)
        question = replace(QUESTION, data=_samples(reference, SAMPLES, seed=1))
        correct = TFLiteRunner(content, "candidate.tflite", options.backend)
        _control(tallies["no fault"], reference, correct, name, question)
        for fault in QUANTIZED:
            made = fault.apply(content) if fault.name in options.faults else None
            if made is not None:
                where = f"{name}: {fault.name}"
                candidate = TFLiteRunner(made[0], "candidate.tflite", options.backend)
                blamed = _layers(reference, candidate, made[1])
                try:
                    _damaged(tallies[fault.name], reference, candidate, blamed, where, question)
                except ModelFileError as error:  # the runtime does not take the file: nobody can be misled by it
                    print(f"{where}: refused: {error}", file=sys.stderr)
    return tallies


def _layers(reference: Runnable, candidate: TFLiteRunner, tensor: str) -> frozenset[str]:
    """The layers that a tensor's name tells of; for an output, which has another, the layer that gives it."""
    network, graph = reference.referee[0], candidate.graph
    if network is None:
        return frozenset()
    names = [other.name for other in graph.tensors]
    found = Provenance([call.layer.path for call in network.computing()], names).layers(tensor)
    sides, _, _ = match_sides(reference, candidate)
    ends = zip(network.outputs, (candidate.output_indices[j] for j in sides.pairs), strict=True)
    given = [value.producer for value, i in ends if graph.tensors[graph.beyond(i)[0]].name == tensor]
    return frozenset(found) or frozenset(call.layer.path for call in given if call)


def _control(
    tally: Counter[str], reference: Runnable, candidate: Runnable, where: str, question: Question = QUESTION
) -> None:
    report = compare(reference, candidate, question)
    tally["worst"] = max(tally["worst"], math.ceil(1e9 * report.required_tolerance))
    tally["models"] += 1
    tally["equal"] += bool(report)
    tally.update(set(DEFAULT_CHECKS) - _default_verdicts(reference, candidate))
    if not report:
        print(f"FALSE ALARM {where}: {report.verdict}", file=sys.stderr)


def _damaged(
    tally: Counter[str],
    reference: Runnable,
    candidate: Runnable,
    blamed: frozenset[str],
    where: str,
    question: Question = QUESTION,
) -> None:
    report = compare(reference, candidate, question)
    divergence = report.first_divergence
    tally["models"] += 1
    tally["caught"] += report.exit_code == 1
    tally["blamed"] += divergence is not None and divergence.layer in blamed
    tally.update(_default_verdicts(reference, candidate))
    if report.exit_code != 1 or divergence is None or divergence.layer not in blamed:
        print(f"{where}: expected {sorted(blamed)}; {report.verdict}", file=sys.stderr)


def _print(tallies: dict[str, Counter[str]], *, checks_only: bool) -> bool:
    """Print the tables; whether all faults were caught, 95 % blamed rightly, and nothing else rejected."""
    table = Table("fault", "models", "caught", "right layer", *(f"missed by {name}" for name in DEFAULT_CHECKS))
    control = tallies.pop("no fault")
    total: Counter[str] = Counter()
    for name, tally in tallies.items():
        total += tally
        if tally["models"]:
            table.add_row(name, *_cells(tally))
    table.add_section()
    table.add_row("all", *_cells(total))
    rejected = [str(control[name]) for name in DEFAULT_CHECKS]
    false_alarms = control["models"] - control["equal"]
    table.add_row("no fault: rejected", str(control["models"]), str(false_alarms), "", *rejected)
    if not checks_only:
        Console(width=160).print(table)
    Console(width=100).print(_summary(total, control))
    caught, right = total["caught"] / total["models"], total["blamed"] / total["models"]
    print(
        f"{total['models']} faulty conversions: caught {caught:.1%}, right layer {right:.1%}; "
        f"{control['models']} correct ones: {false_alarms} false alarms, "
        f"required tolerance at most {1e-9 * control['worst']:.2g}"
    )
    return caught == 1.0 and right >= 0.95 and false_alarms == 0


def _summary(total: Counter[str], control: Counter[str]) -> Table:
    """One row per check."""
    table = Table("check", "faults missed", "correct conversions rejected")
    missed = {"kerasbn verify": total["models"] - total["caught"], **{name: total[name] for name in DEFAULT_CHECKS}}
    wrong = {"kerasbn verify": control["models"] - control["equal"], **{name: control[name] for name in DEFAULT_CHECKS}}
    for name in missed:
        table.add_row(
            name,
            f"{missed[name]} of {total['models']} ({missed[name] / total['models']:.0%})",
            f"{wrong[name]} of {control['models']}",
        )
    return table


def _cells(tally: Counter[str]) -> list[str]:
    return [str(tally[key]) for key in ("models", "caught", "blamed", *DEFAULT_CHECKS)]


def main() -> int:
    """Run and print; exit 0 if the numbers to reach are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tflite", action="store_true", help="convert each model to .tflite and judge the file")
    parser.add_argument("--int8", action="store_true", help="damage int8 .tflite files")
    parser.add_argument("--ours", action="store_true", help="with --int8, of the files that export_tflite makes")
    parser.add_argument("--route", choices=(TENSORFLOW, LITERT), default=TENSORFLOW, help="which converter makes files")
    parser.add_argument("--checks", action="store_true", help="print the table of checks alone")
    parser.add_argument("--backend", choices=sorted(BACKENDS), default="xnnpack")
    parser.add_argument("--keras", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--models", nargs="+", default=[subject.name for subject in SUBJECTS])
    parser.add_argument("--faults", nargs="+", default=[fault.name for fault in (*FAULTS, *QUANTIZED)])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    tallies = _tally_int8(options) if options.int8 else _tally(options)
    return 0 if _print(tallies, checks_only=options.checks) else 1


if __name__ == "__main__":
    sys.exit(main())
