"""`kerasbn.recalibrate`: statistics of data in the place of the moving averages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kerasbn.arguments import AtLeastOne, Count, checks_arguments
from kerasbn.errors import InvalidArgumentError, UnsupportedModelError
from kerasbn.flavour import flavour_of
from kerasbn.statistics.batches import KEPT_EVERY, Batch, Source, fixed_batch, open_data, with_first, without_kept
from kerasbn.statistics.judging import GAP, UNLIKE_GAP, Validation
from kerasbn.statistics.layers import BatchNorm, batchnorms, is_built
from kerasbn.statistics.levels import called_more_than_once, levels
from kerasbn.statistics.measured import Measurement
from kerasbn.statistics.recording import call_for_inference
from kerasbn.statistics.records import Recalibration, Statistics, WorseStatisticsError
from kerasbn.statistics.state import restored_on_failure, unmoved, write
from kerasbn.statistics.workers import Workers

MODES = ("population", "batch")
FEWEST_TO_SPLIT = 10
"""Samples of a single batch from which on a fifth of it is kept out."""

UNLIKE = (
    "The batches differ far more than chance: small, or sorted by class? Deeper BatchNorms saw inputs that were "
    "normalized class by class. Shuffle the data and take larger batches, or use exact=True; force=True keeps them."
)


@checks_arguments
def recalibrate(
    model: Any,
    data: Any,
    mode: str = "population",
    batch_size: AtLeastOne = 64,
    prior: Count = 0,
    exact: bool = False,
    distributed: Any = None,
    force: bool = False,
    validation: Any = None,
    steps: AtLeastOne | None = None,
) -> Recalibration:
    """Gives every BatchNorm of a model the statistics of data, in place, all or nothing.

    The model is run on the data with its BatchNorms normalizing by the batch and everything else as at inference. Each
    BatchNorm gets the mean and the variance of all its inputs, over all batches and all its calls; a variance that its
    own training stores unbiased is unbiased. Nothing else of the model moves. A frozen BatchNorm
    (``trainable=False``) is at inference always and is left as it is.

    Some batches are kept out, at most a fifth. The model is judged on them before and after, and only then do they
    join the statistics.

    Args:
        model: A model of Keras 3 or tf_keras.
        data: A numpy array, a list or dict of arrays for several inputs, ``(inputs, labels)``, a `tf.data.Dataset`, a
            `keras.utils.PyDataset`, a generator of batches, or a function that gives one. Prepared as for training,
            without augmentation. Labels are used to judge.
        mode: ``"population"``: of all elements at once. ``"batch"``: the mean over the batches of their statistics.
        batch_size: For arrays. Deeper layers see inputs that were normalized by so many samples: 64 or more.
        prior: How many samples the old statistics count for. 0 forgets them.
        exact: Goes on depth by depth at inference, so that each BatchNorm has the statistics of what it sees when it
            is deployed. Costs one more pass over the data for each level; several workers merge after each of them.
        distributed: A `tf.distribute` strategy of several workers, each of which calls this with its own part of the
            data; the statistics are merged. None: the strategy whose scope is open, if any.
        force: Keeps the new statistics even if the model is worse.
        validation: Samples to judge on, as ``data``; False does not judge. None: see above.
        steps: How many batches to take at most, for data without end.

    Returns:
        What was done; print it for a summary.

    Raises:
        InvalidArgumentError: An argument or the data are not what is accepted, or hold NaN.
        UnsupportedModelError: The model has no BatchNorm that could be renewed.
        WorseStatisticsError: The model would be worse; it is as it was.
    """
    if mode not in MODES:
        raise InvalidArgumentError(f"mode={mode!r}; accepted: {', '.join(MODES)}.")
    workers, source = Workers.of(distributed, flavour_of(model)), open_data(data, batch_size, model, steps)
    _check_exact(exact, source)
    given = None if validation is None or validation is False else open_data(validation, batch_size, model)
    norms, left, source = _prepared(model, source)
    measurement = Measurement(model, norms, workers)
    with unmoved(model):
        renewal = _Renewal(measurement, source, mode, prior)
        record = renewal(given, exact=exact, judge=validation is not False)
    record = replace(record, left={**record.left, **left})
    if not record.kept and not force:
        raise WorseStatisticsError(_refusal(record.validation), record)
    with restored_on_failure(norms):
        for norm in norms:
            write(norm, record.after[norm.path])
    return replace(record, kept=True)


def _check_exact(exact: bool, source: Source) -> None:
    if exact and not source.again:
        raise InvalidArgumentError(
            "exact=True reads the data once for each level, and a generator can be read once; give a function that "
            "returns one, a Dataset or arrays."
        )


def _prepared(model: Any, source: Source) -> tuple[list[BatchNorm], dict[str, str], Source]:
    """The BatchNorms to renew and those to leave, once they have weights."""
    if not is_built(model):
        source, first = with_first(source)
        call_for_inference(model, first.inputs)
    everyone = batchnorms(model)
    norms = [norm for norm in everyone if not norm.frozen]
    if not norms:
        found = f"its {len(everyone)} are frozen; set trainable = True on them" if everyone else "it has none"
        raise UnsupportedModelError(f"Model {model.name!r} has no BatchNormalization to renew: {found}.")
    return norms, {norm.path: "frozen (trainable=False)" for norm in everyone if norm.frozen}, source


def _is_unlike(validation: Validation) -> bool:
    """Whether the statistics of the data do not even describe a batch of them."""
    return validation.metric == GAP and validation.after > UNLIKE_GAP


def _refusal(validation: Validation | None) -> str:
    if validation is not None and _is_unlike(validation):
        return f"The new statistics are not kept: {validation}. The model is as it was. {UNLIKE}"
    return (
        f"The new statistics make the model worse: {validation}. It is as it was. Are the data prepared as in "
        "training? force=True keeps them (on the command line: --force)."
    )


@dataclass
class _Renewal:
    """One call of `recalibrate`; it moves statistics, which its caller puts back."""

    measurement: Measurement
    source: Source
    mode: str
    prior: int

    def __call__(self, given: Source | None, *, exact: bool, judge: bool) -> Recalibration:
        measurement, before = self.measurement, self.measurement.stored()
        kept: list[Batch] = [] if given is None else list(given)
        keeps_out = given is None and judge
        measurement.run(without_kept(self.source, kept) if keeps_out else self.source, self.source.count)
        joining = list(kept) if keeps_out else []
        # Several workers must take the same steps, and another one may have more batches.
        only = None if kept or not keeps_out or measurement.workers.several else measurement.only
        if only is not None and only.size >= FEWEST_TO_SPLIT and not fixed_batch(measurement.model):
            kept = self._split(only)
        validation = self._judged(kept, before) if judge else None
        if only is not None:
            measurement.clear()
            joining = [only]
        measurement.run(joining, len(joining))
        after = self._statistics(before)
        notes = [f"Not reached by the data, left as it is: {path}." for path in measurement.unreached()]
        # A batch says nothing of statistics that were measured at inference, or that are partly of other data.
        blind = exact or self.prior > 0
        if validation is not None and _is_unlike(validation) and not blind:
            notes.append(UNLIKE)
        if exact:
            after, more = self._refined(before, after)
            notes += more
            validation = measurement.compare(kept, before, after) if validation else None
        samples, batches = measurement.counts()
        worse = validation is not None and validation.better is False and not (blind and validation.metric == GAP)
        return Recalibration(before, after, samples, batches, self.mode, validation, {}, tuple(notes), not worse)

    def _statistics(self, before: dict[str, Statistics]) -> dict[str, Statistics]:
        return self.measurement.statistics(before, batch=self.mode == "batch", prior=self.prior)

    def _judged(self, kept: list[Batch], before: dict[str, Statistics]) -> Validation | None:
        measurement = self.measurement
        fewest = measurement.workers.rows(np.array([len(kept)], np.float64)).min()
        return measurement.compare(kept, before, self._statistics(before)) if fewest else None

    def _split(self, only: Batch) -> list[Batch]:
        """Measures four fifths of the only batch, and gives the rest."""
        cut = only.size - only.size // KEPT_EVERY
        self.measurement.clear()
        self.measurement.run([only.part(0, cut)])
        return [only.part(cut, only.size)]

    def _levels(self) -> list[list[BatchNorm]]:
        """The BatchNorms by depth; as many depths in all workers, so that none waits for one that is done."""
        groups = levels(self.measurement.recorder)
        found = self.measurement.workers.rows(np.array([len(groups)], np.float64)).ravel()
        if np.any(found != found[0]):
            raise InvalidArgumentError(
                f"exact=True: the workers see BatchNorms at {', '.join(f'{each:.0f}' for each in found)} depths; each "
                "needs the same model and data of its own. The model is as it was."
            )
        return groups

    def _refined(
        self, before: dict[str, Statistics], after: dict[str, Statistics]
    ) -> tuple[dict[str, Statistics], list[str]]:
        """Depth by depth at inference: what lies before a BatchNorm has its new statistics by then."""
        measurement = self.measurement
        notes = [
            f"{path} is called more than once: exact only where its calls do not depend on each other."
            for path in called_more_than_once(measurement.recorder)
        ]
        for group in self._levels():
            measurement.put(after)
            measurement.clear()
            measurement.run(self.source, self.source.count, batch_mode=False)
            measured = self._statistics(before)
            after = {**after, **{norm.path: measured[norm.path] for norm in group}}
        return after, notes
