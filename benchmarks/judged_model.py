"""Folds, exports and verifies one model, and judges each answer by numbers of its own: nothing of the verifier's.

==============  =====================================================================================================
outcome         what happened
==============  =====================================================================================================
right           the numbers are those of ``model.predict``, and the verifier says so
cannot tell     the verifier says that the data show nothing
coarse          the precision is too coarse for the model: int8 below the gate, there or before a final softmax; float16
                no further off than weights that move by half a step of float16 move the model itself
refused         an error of kerasbn's own, that says why
absent          the Keras cannot run the model itself
false alarm     the verifier says no to a file that is right
wrong           the numbers are others; `missed`: and the verifier says yes
coarser         int8: more than `SLACK_DB` below the stock converter's file, before a final softmax or sigmoid
crash           any other exception
==============  =====================================================================================================
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from files import silent

from kerasbn.errors import ConversionError, KerasBNError
from kerasbn.flavour import flavour_of
from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.capture.arguments import first_call_arguments
from kerasbn_export.graph.structure import leaves
from kerasbn_export.verification.sides.keras_runner import linear_part

FAULTS = frozenset({"false alarm", "wrong", "missed", "coarser", "crash"})
GATES = {"folded": 2e-5, "float32": 2e-5, "float16": 5e-3}
"""Largest difference as a part of the largest value."""
GATE_DB, SLACK_DB, EXACT_DB = 15.0, 0.3, 60.0
"""Of int8: what a file has to reach, how far below stock's it may be, and what is as good as exact."""
HALF = {"float16": 2.0**-11, "float32": 2.0**-23}
"""What a precision rounds of a number; in float32 the whole last bit, so that about half of the numbers move."""
ROUNDINGS, CHANCE = 4, 2.0
"""Draws of such roundings, and how much further than these one may be."""
CALIBRATING, JUDGING, VERIFIED = 128, 32, 8
"""Samples that ranges are measured on, that files are judged by, and that the verifier gets."""
DRAWS = 4
"""Draws of weights and data over which int8 is compared where one is below stock's; that one does not count."""
IDS, EDGE = 20, 3.0**0.5
"""Ids are below, numbers between: with a variance of 1, and no tail that few samples would not show."""

Arrays = list[np.ndarray]
Builder = Callable[[int], Any]


@dataclass(frozen=True)
class Step:
    """One answer about a model.

    Attributes:
        name: What was done.
        outcome: A word of the table above.
        detail: A number, or the reason.
    """

    name: str
    outcome: str
    detail: str = ""

    @property
    def fault(self) -> bool:
        """Whether kerasbn is wrong."""
        return self.outcome in FAULTS


def judge_model(
    build: Builder,
    precisions: Sequence[str] = ("float32", "float16", "int8"),
    calibrating: int = CALIBRATING,
    draws: int = DRAWS,
) -> Iterator[Step]:
    """Every answer about a model, as it is found; what may end the process comes last.

    Args:
        build: Makes the model from a seed.
        precisions: Those of `export_tflite` to try.
        calibrating: Samples that ranges are measured on.
        draws: Draws of weights and data over which int8 is compared where one is below stock's.
    """
    model = build(0)
    inputs = draw(model, JUDGING, 1)
    try:
        wanted = predict(model, inputs)
    except Exception as error:  # whatever the layers raise
        yield Step("model", "absent", _line(error))
        return
    if not all(np.isfinite(array).all() and np.ptp(array) > 0 for array in wanted):
        yield Step("model", "absent", "the outputs do not vary, or are not finite")
        return
    referee = Referee(build, model, inputs, wanted)
    yield _guarded("folded", lambda: _judge_folded(model, inputs, wanted, referee))
    with tempfile.TemporaryDirectory() as folder:
        refused = []
        for precision in precisions:
            path = Path(folder, f"{precision}.tflite")
            steps = list(_judge_file(model, path, precision, inputs, wanted, referee, calibrating))
            refused += [precision for step in steps if step.outcome == "refused"]
            yield from steps
        for precision in refused:
            yield _guarded(f"stock {precision}", lambda precision=precision: _stock(model, precision))  # type: ignore[misc]
        ours = Path(folder, "int8.tflite")
        if ours.exists():
            yield from _compare_int8(build, sqnr(wanted, run_file(ours, inputs)), model, calibrating, draws)


def _guarded(name: str, work: Callable[[], Step]) -> Step:
    try:
        return work()
    except KerasBNError as error:
        return Step(name, "refused", _line(error))
    except Exception as error:  # this is what is looked for
        return Step(name, "crash", f"{type(error).__name__}: {_line(error)}")


def _line(error: object) -> str:
    return " ".join(str(error).split())[:300]


class Referee:
    """The model made again in float64: whose error is a difference in float32?

    In a deep network with random weights a rounding may grow a thousand times, and then two right models in float32
    differ. A right one is not much further from float64 than the model itself, or than that model with weights that
    are rounded anew, as folding rounds them.
    """

    def __init__(self, build: Builder, model: Any, inputs: Arrays, wanted: Arrays) -> None:
        self._build, self._model, self._inputs, self._wanted = build, model, inputs, wanted

    def agrees(self, found: Arrays) -> bool:
        """Whether numbers are no further from float64 than those of the model, by chance."""
        exact = self._exact
        return exact is not None and distance(exact, found) <= CHANCE * self._noise

    @cached_property
    def _noise(self) -> float:
        """How far the model is from float64, as it is and with weights that are rounded anew."""
        exact = self._exact or []
        return max(distance(exact, self._wanted), rounded_anew(self._model, "float32", self._inputs, exact))

    @cached_property
    def _exact(self) -> Arrays | None:
        """What the model gives in float64; None where it cannot be made so."""
        backend = flavour_of(self._model).keras.backend
        held = backend.floatx()
        backend.set_floatx("float64")
        try:
            exact = self._build(0)
            exact.set_weights(self._model.get_weights())
            wider = [array.astype("float64") if array.dtype == "float32" else array for array in self._inputs]
            return predict(exact, wider)
        except Exception:  # it has float32 in its code
            return None
        finally:
            backend.set_floatx(held)


def _judge_folded(model: Any, inputs: Arrays, wanted: Arrays, referee: Referee) -> Step:
    folded = fold(model)
    found = predict(folded.model, inputs)
    error = distance(wanted, found)
    counts = f"{sum(verdict.gone for verdict in folded.verdicts)} of {len(folded.verdicts)} BatchNorms gone"
    right = error <= GATES["folded"] or referee.agrees(found)
    return Step("folded", "right" if right else "wrong", counts if right else f"differs by {error:.1e}")


def _judge_file(
    model: Any, path: Path, precision: str, inputs: Arrays, wanted: Arrays, referee: Referee, calibrating: int
) -> Iterator[Step]:
    step = _guarded(precision, lambda: _export(model, path, precision, inputs, wanted, referee, calibrating))
    yield step
    if not path.exists():
        return
    some = [array[:VERIFIED] for array in inputs]
    exported = step.outcome
    if precision == "int8" and exported == "right" and _decibels_of_scores(model, some, calibrating) < GATE_DB:
        exported = "coarse"
    for data in (some, None):
        name = f"{precision} {'without' if data is None else 'with'} data"
        yield _guarded(name, lambda data=data: _verify(model, path, data, precision, exported))  # type: ignore[misc]


def _decibels_of_scores(model: Any, inputs: Arrays, calibrating: int) -> float:
    """The SQNR of an int8 file of the model without its final softmax, which may hide noise: ten numbers near 0.1."""
    graph = model if getattr(model, "outputs", None) else fold(model).model  # a call of its own keeps none to cut
    scores = up_to_scores(graph)
    with tempfile.TemporaryDirectory() as folder, silent():
        path = Path(folder, "scores.tflite")
        export_tflite(scores, path, precision="int8", calibration=draw(model, calibrating, 2))
        return sqnr(predict(scores, inputs), run_file(path, inputs))


def _export(
    model: Any, path: Path, precision: str, inputs: Arrays, wanted: Arrays, referee: Referee, calibrating: int
) -> Step:
    calibration = draw(model, calibrating, 2) if precision == "int8" else None
    with silent():
        result = export_tflite(model, path, precision=precision, calibration=calibration)
    found = run_file(path, inputs)
    if precision == "int8":
        taken = next((f", {trial.form}" for trial in result.trials if trial.taken), "")
        ratio = sqnr(wanted, found)
        return Step(precision, "right" if ratio >= GATE_DB else "coarse", f"{ratio:.1f} dB{taken}")
    error = distance(wanted, found)
    if error <= GATES[precision]:
        return Step(precision, "right", f"{error:.1e}")
    if precision == "float32" and error <= CHANCE * _stock_error(model, inputs, wanted):
        return Step(precision, "right", f"{error:.1e}, as stock's")
    if precision == "float32" and referee.agrees(found):
        return Step(precision, "right", f"{error:.1e}, as the model itself from float64")
    outcome = "coarse" if _rounding_does_it(model, precision, inputs, wanted, error) else "wrong"
    return Step(precision, outcome, f"{error:.1e}")


def _stock_error(model: Any, inputs: Arrays, wanted: Arrays) -> float:
    """How far stock's file is from the model: what float32 makes of a network in which rounding grows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stock.tflite")
        try:
            stock_file(model, path, "float32")
            return distance(wanted, run_file(path, inputs))
        except Exception:  # the converter's, or the interpreter's
            return 0.0


def _rounding_does_it(model: Any, precision: str, inputs: Arrays, wanted: Arrays, error: float) -> bool:
    """Whether weights that move by what float16 rounds move the outputs as far, as behind a threshold."""
    return precision == "float16" and error <= CHANCE * rounded_anew(model, precision, inputs, wanted)


def rounded_anew(model: Any, precision: str, inputs: Arrays, wanted: Arrays) -> float:
    """The largest distance from ``wanted`` of the model with weights that move by what a precision rounds of them."""
    rng, held, moved = np.random.default_rng(0), model.get_weights(), 0.0
    for _ in range(ROUNDINGS):
        factors = [1 + HALF[precision] * rng.uniform(-1, 1, weight.shape) for weight in held]
        model.set_weights(
            [w * f.astype("float32") if w.dtype == "float32" else w for w, f in zip(held, factors, strict=True)]
        )
        moved = max(moved, distance(wanted, predict(model, inputs)))
    model.set_weights(held)
    return moved


def _verify(model: Any, path: Path, data: Any, precision: str, exported: str) -> Step:
    step = f"{precision} {'without' if data is None else 'with'} data"
    given = data if data is None or len(data) > 1 else data[0]
    report = verify(model, path, data=given)
    status = report.status.value
    if status == "differs":
        named = f"; {report.first_divergence.sentence}" if report.first_divergence else ""
        reason = next((output.reason for output in report.outputs if output.status.value == "differs"), "") + named
        return Step(step, "false alarm" if exported == "right" else exported, _line(reason))
    if status == "equal":
        return Step(step, "missed" if exported == "wrong" else "right")
    return Step(step, "cannot tell", _line(next((output.reason for output in report.outputs if not output), "")))


def _stock(model: Any, precision: str) -> Step:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stock.tflite")
        try:
            stock_file(model, path, precision)
            run_file(path, draw(model, 1, 1))
        except ConversionError as error:
            return Step(f"stock {precision}", "refused", _line(error))
        except Exception as error:  # the interpreter refuses it
            return Step(f"stock {precision}", "refused", f"does not run: {_line(error)}")
    return Step(f"stock {precision}", "right")


def _compare_int8(build: Builder, ours: float, model: Any, calibrating: int, draws: int) -> Iterator[Step]:
    """Ours against stock's; by new draws where the first is below, since one rounding of a weight is chance."""
    stock = _stock_sqnr(model, 0, calibrating)
    if stock is None:
        yield Step("int8 against stock", "right", "stock refuses")
        return
    gains = [_difference(ours, stock)]
    outcome = "right"
    if gains[0] < -SLACK_DB:
        drawn = [gain(build, seed, calibrating) for seed in range(1, draws + 1)]
        gains = [value for value in drawn if value is not None]
        error = float(np.std(gains, ddof=1)) / math.sqrt(len(gains))
        outcome = "coarser" if np.mean(gains) + error < -SLACK_DB else "right"
    several = f" ({len(gains)} draws)" if len(gains) > 1 else ""
    yield Step("int8 against stock", outcome, f"{np.mean(gains):+.1f} dB{several}")


def gain(build: Builder, seed: int, calibrating: int = CALIBRATING) -> float | None:
    """By how many dB our int8 file is better than stock's, on samples that calibrated neither; None where it fails.

    Both are files of the model up to its scores: a softmax that is nearly 0 or 1 everywhere makes 18 dB or 45 dB of the
    same errors, and `verify` judges before it, too.
    """
    model = up_to_scores(build(seed))
    stock = _stock_sqnr(model, seed, calibrating)
    if stock is None:
        return None
    inputs = draw(model, JUDGING, 2 * seed + 1)
    with tempfile.TemporaryDirectory() as folder, silent():
        path = Path(folder, "ours.tflite")
        export_tflite(model, path, precision="int8", calibration=draw(model, calibrating, 2 * seed + 2))
        return _difference(sqnr(predict(model, inputs), run_file(path, inputs)), stock)


def up_to_scores(model: Any) -> Any:
    """The model without its final softmax or sigmoid; the model itself where no output has one."""
    outputs = getattr(model, "outputs", None) or []  # a model with a call of its own keeps no graph
    scores = [_score(model, tensor) for tensor in outputs]
    if all(score is None for score in scores):
        return model
    outputs = [tensor if score is None else score for tensor, score in zip(outputs, scores, strict=True)]
    return flavour_of(model).keras.Model(model.inputs, outputs)


def _score(model: Any, tensor: Any) -> Any:
    makers = [layer for layer in model.layers if len(layer._inbound_nodes) == 1 and layer.output is tensor]
    if makers and type(makers[0]).__name__ == "Activation" and makers[0].get_config()["activation"] == "linear":
        return _score(model, makers[0].input)  # as at the end of a model with another policy
    return linear_part(makers[0]) if makers else None


def _stock_sqnr(model: Any, seed: int, calibrating: int = CALIBRATING) -> float | None:
    """The SQNR of stock's int8 file on the same samples; None where it fails."""
    inputs = draw(model, JUDGING, 2 * seed + 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stock.tflite")
        try:
            stock_file(model, path, "int8", draw(model, calibrating, 2 * seed + 2))
            return sqnr(predict(model, inputs), run_file(path, inputs))
        except Exception:  # the converter's, or the interpreter's
            return None


def _difference(ours: float, stock: float) -> float:
    return min(ours, EXACT_DB) - min(stock, EXACT_DB)


def stock_file(model: Any, path: Path, precision: str, calibration: Arrays | None = None) -> None:
    """Writes what ``TFLiteConverter.from_keras_model`` makes of a model.

    Raises:
        ConversionError: It fails.
    """
    arrays = draw(model, CALIBRATING, 2) if calibration is None else calibration
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.representative_dataset = lambda: (_sample(model, arrays, i) for i in range(len(arrays[0])))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    try:
        with warnings.catch_warnings(), silent():
            warnings.simplefilter("ignore")  # the converter's own
            path.write_bytes(converter.convert())
    except Exception as error:  # the converter raises many types, none of them public
        raise ConversionError(f"{type(error).__name__}: {error}") from error


def _sample(model: Any, arrays: Arrays, index: int) -> Any:
    """Several inputs by their names: a list goes in the order of the signature, which is the alphabet's or another."""
    sample = [array[index : index + 1] for array in arrays]
    if len(sample) == 1:
        return sample
    return {tensor.name.split(":")[0]: array for tensor, array in zip(inputs_of(model), sample, strict=True)}


def draw(model: Any, count: int, seed: int) -> Arrays:
    """Samples for every input of a model, in its order: numbers, ids, or short strings."""
    rng = np.random.default_rng([seed, count])
    inputs = inputs_of(model)
    return [_drawn(rng, (count, *(size or 9 for size in tensor.shape[1:])), tensor.dtype) for tensor in inputs]


def inputs_of(model: Any) -> list[Any]:
    """The inputs of a model; of one with a call of its own, those of its first call."""
    if getattr(model, "inputs", None):
        return list(model.inputs)
    args, kwargs = first_call_arguments(flavour_of(model), model)
    return list(leaves([list(args), kwargs]))


def _drawn(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    kind = getattr(dtype, "name", str(dtype))
    if kind == "string":
        return rng.choice(["a", "b", "a b"], shape).astype(object)
    if "int" in kind:
        return rng.integers(0, IDS, shape).astype(kind)
    return rng.uniform(-EDGE, EDGE, shape).astype("float32")


def predict(model: Any, inputs: Arrays) -> Arrays:
    """The outputs of ``model.predict`` in float64."""
    given = [tf.constant(array) if array.dtype == object else array for array in inputs]
    outputs = model.predict(given if len(given) > 1 else given[0], verbose=0)
    if isinstance(outputs, dict):
        outputs = [outputs[name] for name in sorted(outputs)]
    return [np.asarray(y, "float64") for y in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


def run_file(path: Path, inputs: Arrays) -> Arrays:
    """The outputs of a file, one sample after the other, each by a fresh state; quantized ends as numbers."""
    interpreter = Interpreter(str(path))
    for end, array in zip(_ends(interpreter.get_input_details()), inputs, strict=True):
        if tuple(end["shape"][1:]) != array.shape[1:]:  # a size that is open
            interpreter.resize_tensor_input(end["index"], (1, *array.shape[1:]), strict=True)
    interpreter.allocate_tensors()
    rows: list[Arrays] = []
    for index in range(len(inputs[0])):
        interpreter.reset_all_variables()
        for end, array in zip(_ends(interpreter.get_input_details()), inputs, strict=True):
            interpreter.set_tensor(end["index"], _stored(end, array[index : index + 1]))
        interpreter.invoke()
        ends = interpreter.get_output_details()
        rows.append([_restored(end, interpreter.get_tensor(end["index"])) for end in ends])
    return [np.concatenate(each) for each in zip(*rows, strict=True)]


def _ends(details: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Inputs by name: the models here have theirs in the order of the alphabet."""
    return sorted(details, key=lambda end: str(end["name"]))


def _stored(end: dict[str, Any], array: np.ndarray) -> np.ndarray:
    scale, zero = end["quantization"]
    if not scale:
        return array.astype(end["dtype"])
    limits = np.iinfo(end["dtype"])
    stored: np.ndarray = np.clip(np.round(array / scale + zero), limits.min, limits.max).astype(end["dtype"])
    return stored


def _restored(end: dict[str, Any], array: np.ndarray) -> np.ndarray:
    scale, zero = end["quantization"]
    values = array.astype("float64")
    return (values - zero) * scale if scale else values


def distance(wanted: Arrays, found: Arrays) -> float:
    """The largest difference as a part of the largest value; infinite where a number or a shape is another."""
    return max(_worst(a, b) for a, b in _paired(wanted, found))


def sqnr(wanted: Arrays, found: Arrays) -> float:
    """Signal to noise in dB, of the worst output."""
    return min(_decibels(a, b) for a, b in _paired(wanted, found))


def _worst(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape or not np.isfinite(b).all():
        return math.inf
    return float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30))


def _decibels(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape:
        return -math.inf
    return float(10 * np.log10(max((a**2).sum(), 1e-300) / max(((a - b) ** 2).sum(), 1e-300)))


def _paired(wanted: Arrays, found: Arrays) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each output with the one of the file that is nearest: a file may have them in another order."""
    left, pairs = list(found), []
    for array in wanted:
        nearest = min(range(len(left)), key=lambda i: _worst(array, left[i]))
        pairs.append((array, left.pop(nearest)))
    return pairs
