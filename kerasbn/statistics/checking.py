"""`kerasbn.check`: are the moving averages of a model fit to ship?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kerasbn.arguments import AtLeastOne, checks_arguments
from kerasbn.flavour import flavour_of
from kerasbn.statistics.batches import some_of
from kerasbn.statistics.calls import called_in_training, steps_of
from kerasbn.statistics.health import UNDECIDED, Finding, Health, ordered
from kerasbn.statistics.layers import BatchNorm, batchnorms
from kerasbn.statistics.measured import Measurement, stored
from kerasbn.statistics.state import unmoved
from kerasbn.statistics.thresholds import table_with
from kerasbn.statistics.weights_alone import Thresholds, believable, of_layer, of_model
from kerasbn.statistics.with_data import LARGEST, Measured, measure, of_outputs, of_statistics, too_few
from kerasbn.statistics.workers import Workers

BATCH_SIZE = 64


@checks_arguments
def check(
    model: Any,
    data: Any = None,
    threshold: Any = None,
    *,
    batch_size: AtLeastOne | None = None,
    training_steps: AtLeastOne | None = None,
) -> Health:
    """Whether the moving averages of a model's BatchNorms are fit to ship. The model is not changed.

    Without data the weights alone are looked at: NaN, statistics that were never updated or have not converged, scales
    that int8 or float16 cannot hold, calls with ``training=True``. With data the stored statistics are compared with
    those of the data, and the outputs of the model with both.

    Args:
        model: A model of Keras 3 or tf_keras.
        data: Samples as `kerasbn.recalibrate` takes them, with labels where there are some: a few hundred are enough.
        threshold: By the kind of a finding, the number to fail above, or (warn, fail); the others stay as they are in
            `kerasbn.statistics.thresholds.TABLE`.
        batch_size: Of the training; known, it is judged.
        training_steps: How many steps it was trained for; if not given, what the optimizer has counted.

    Returns:
        True if nothing fails; ``.findings`` has all there is to say. Print it for a summary.

    Raises:
        InvalidArgumentError: It is no model, or the data or a threshold are not what is accepted.
        UnsupportedModelError: A BatchNorm has no weights yet, or a ``call`` of its own.
    """
    thresholds, norms = table_with(threshold), batchnorms(model)
    steps = believable(norms, training_steps or steps_of(model))
    findings = [each for norm in norms for each in of_layer(norm, thresholds, steps, batch_size)]
    in_training = called_in_training(model, norms)
    paths, found = tuple(norm.path for norm in norms), None
    if data is not None and norms:
        with unmoved(model):
            found, flags, more = _with_data(model, data, norms, thresholds)
        in_training |= flags
        findings += more
    findings += of_model(norms, thresholds, in_training)
    kept = {norm.path: stored(norm) for norm in norms}
    measured: Mapping[str, Any] = found.whole if found else {}
    return Health(ordered(findings), paths, found.samples if found else 0, kept, measured)


def _with_data(
    model: Any, data: Any, norms: list[BatchNorm], thresholds: Thresholds
) -> tuple[Measured, set[str], list[Finding]]:
    source = some_of(data, BATCH_SIZE, model, LARGEST)
    measurement = Measurement(model, norms, Workers.of(None, flavour_of(model)))
    found = measure(measurement, iter(source), source.count)
    flags = {path for path, flag in measurement.recorder.training_flags.items() if flag is True}
    return found, flags, list(_findings(measurement, found, thresholds))


def _findings(measurement: Measurement, found: Measured, thresholds: Thresholds) -> Iterator[Finding]:
    before = measurement.stored()
    doubts = list(too_few(found)) or list(of_outputs(measurement, found, thresholds))
    if not any(each.kind in UNDECIDED for each in doubts):
        for norm in measurement.norms:
            yield from of_statistics(norm, found.whole[norm.path], before[norm.path], thresholds, found.samples)
    yield from doubts
