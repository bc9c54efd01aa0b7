"""Compares two runnable things, decides whether they are equal, and says where they part.

The folders, each above those it may import: ``report`` shows a comparison, ``appeals`` explains what is outside a gate,
``layers`` says where the sides differ, ``outputs`` whether they do, ``faults`` are the mistakes that the verifier is
tested with, ``sides`` run both, ``network`` is the referee in float64, ``records`` hold what was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasbn.arguments import Count, Finite, Positive, Seed, Share, checks_arguments
from kerasbn_export.verification.records.comparison import Comparison

__all__ = ["Comparison", "assert_equivalent", "verify"]


def assert_equivalent(reference: Any, candidate: Any, **options: Any) -> Comparison:
    """`verify` for test suites: the comparison if the two are equal.

    Args:
        reference: As in `verify`.
        candidate: As in `verify`.
        options: As in `verify`.

    Raises:
        AssertionError: They are not, or that cannot be said; the message is the short report.
    """
    __tracebackhide__ = True  # pytest then shows the line of the test
    report = verify(reference, candidate, **options)
    if not report:
        raise AssertionError(str(report))
    return report


@checks_arguments
def verify(
    reference: Any,
    candidate: Any,
    *,
    data: Any = None,
    seed: Seed = 0,
    samples: Count = 4,
    scales: Sequence[Positive] = (1.0, 0.1, 10.0),
    tolerance: Share | None = None,
    min_sqnr: Positive | None = None,
    backend: str = "xnnpack",
    layers: bool = True,
    allow_code: bool = False,
    signature: str | None = None,
    metric: Any = None,
    labels: Any = None,
    max_drop: Finite | None = None,
) -> Comparison:
    """Whether the candidate computes what the reference computes.

    A float32 output passes if ``max|difference| <= 2e-5 * max|reference|``, or if float64 shows that the reference is
    the inaccurate side; `kerasbn_export.verification.records.gates` has the gates of the other precisions. An output
    that is not finite, all zero or constant never passes. Where layers are compared, neither does one that errs by more
    than rounding explains, nor one with a quantised weight that is more than half a step off.

    Args:
        reference: A Keras model of either Keras, a `FoldResult`, or the path of a ``.keras``, ``.h5``, SavedModel or
            ``.tflite``.
        candidate: The same.
        data: The inputs, samples first: an array, a list of arrays in the order of the inputs, a dict of arrays by
            input name, both nested as the model takes them, or the path of an ``.npy`` or ``.npz``. None draws random
            ones.
        seed: The seed of random inputs.
        samples: How many random inputs at each scale.
        scales: The standard deviations of random inputs; each is judged on its own. Where the
            candidate is quantised there is one scale, its calibrated range.
        tolerance: The largest accepted max|difference| as a part of max|reference|; None for the precision's own.
        min_sqnr: The smallest accepted ratio of signal to noise in dB; None for the precision's own.
        backend: What runs a ``.tflite``: LiteRT's ``"xnnpack"``, ``"builtin"`` or ``"reference"`` kernels, its
            ``"compiled"`` model API, TFLite ``"micro"``, or ``"openvino"``.
        layers: Whether to compare layer by layer and name the first wrong one.
        allow_code: Whether code that a file carries may run.
        signature: Of every side that has signatures, a ``.tflite`` or a SavedModel, the one to run. None is the only
            one, or ``serving_default``.
        metric: What to measure both sides by as well: ``"accuracy"`` or another of `kerasbn_export.metrics.named`, a
            function of labels and outputs, a metric of Keras, or ``"module:function"``. It needs data and labels.
        labels: Of the data: an array, the path of an ``.npy`` or ``.npz``, or for a function of your own a list or
            dict.
        max_drop: By how much the candidate may be worse, in percentage points where the metric is a share, as accuracy
            is, else in its own unit. Beyond that the two differ.

    Returns:
        A `Comparison`, true if the two are equal.

    Raises:
        NotComparableError: Inputs or outputs have no counterpart, or there is nothing to compare.
        InvalidArgumentError: An argument is not accepted, or the data do not fit.
        ModelFileError: A file is missing, is no model, or cannot be run.
    """
    from kerasbn_export.verification.compare import Question, compare
    from kerasbn_export.verification.outputs.scored import measuring_of
    from kerasbn_export.verification.sides.open import open_sides

    asked = measuring_of(metric, data, labels, max_drop, seed)
    sides = open_sides(reference, candidate, backend=backend, allow_code=allow_code, signature=signature)
    return compare(*sides, Question(data, seed, samples, tuple(scales), tolerance, min_sqnr, layers, asked))
