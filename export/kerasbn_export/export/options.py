"""What is asked of an export, as data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kerasbn.arguments import AtLeastOne, Finite, Seed, check_arguments
from kerasbn.errors import CalibrationError, InvalidArgumentError
from kerasbn_export.calibration.image_folder import RESIZES, STRETCH
from kerasbn_export.calibration.ranges.methods import METHODS
from kerasbn_export.calibration.samples import DATA_FREE, RANDOM, WANTED
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.conversion.routes import LITERT, ROUTES, TENSORFLOW
from kerasbn_export.devices.profiles import SUFFIX, Device, find_device
from kerasbn_export.metrics.metric import read_metric
from kerasbn_export.precision import CALIBRATED, FLOAT, LIFTS, PER_CHANNEL, PER_TENSOR, QUANTIZED

METRIC = "metric"
"""What ``best`` chooses by, and the target of ``auto_precision``, where that is the user's own metric."""

BEST = "best"
"""Ranges by the way that is best on samples kept out."""


@dataclass(frozen=True)
class ExportOptions:
    """How to export; options that contradict each other are refused when they are put together.

    Attributes:
        precision: ``float32``, ``float16``, ``dynamic``, ``int8`` or ``int16x8``; see
            `kerasbn_export.conversion.convert`. None for the device's own, or float32.
        calibration: Samples of the real inputs for ``int8`` and ``int16x8``, in any form of
            `kerasbn_export.calibration.samples`.
        fold: Whether to fold; without, the same steps are taken with the BatchNorms in place, to compare.
        batch_size: The batch the file takes; None leaves open what the model leaves open.
        strict: Refuse to export a model in which a BatchNorm is left.
        io_dtype: The type of inputs and outputs; None for the device's own, or the precision's: int8 for ``int8``,
            else float32.
        per_channel_dense: Whether each output of a quantized Dense layer has its own scale.
        seed: The seed of ``calibration="random"``.
        image_range: What the values 0 and 255 become where ``calibration`` is a folder of images.
        image_resize: What becomes of an image of other proportions: ``"stretch"``, ``"crop"`` or ``"pad"``.
        target: What folding prefers among exact forms: see `kerasbn_export.folding.choices`.
        merge_branches: Whether folding merges parallel linear branches into one layer.
        device: What the file is for: the name of a profile of `kerasbn_export.devices.profiles`, or the path of your
            own, ``"my_npu.toml"``; None for anything that runs TFLite.
        select_ops: Whether operations that TFLite does not have may be TensorFlow's.
        signature: Of a SavedModel the signature to take, as it is; ``"*"`` for all. None is the Keras model where the
            path holds one, else ``serving_default``, or all signatures where there is none of that name.
        isolate: Whether the converter runs in a process of its own; None for the models that are known to crash it.
        best: Convert several forms that are equal in real numbers, and take the one with the least noise, or with
            ``"metric"`` the one that is best by ``metric`` on every second sample of ``validation``; None to measure
            only what folding may have cost, False for nothing of the kind. See `kerasbn_export.export.forms.search`.
        learn_rounding: Try learned rounding among these forms, too: see `kerasbn_export.rounding.learn`. Takes minutes,
            and asks for ``best=True``.
        weights: ``"per-channel"``, or ``"per-tensor"`` for one scale in every quantized weight; None for the device's
            own, or per channel.
        keep_float: Layers that stay in float in an int8 file: names, patterns as ``"block_*"``, or classes.
        keep_int16: Layers whose activations have 16 bits in an int8 file: likewise.
        auto_precision: Lift as few layers as reach this: an SQNR in dB, or ``"metric"`` for ``max_drop``; see
            `kerasbn_export.export.lifting`.
        lift: To what: ``"float"`` or ``"int16"``.
        ranges: How the ranges of activations are chosen: ``"minmax"``, ``"percentile"``, ``"mse"``, ``"entropy"``, see
            `kerasbn_export.calibration.ranges`; or ``"best"``, which measures all of them on every fourth sample, kept
            out. None is the smallest and the largest value as the converter's calibrator finds them, and with
            ``best=True`` the best.
        metric: What to measure the model and its file by as well; see `kerasbn_export.metrics.metric.read_metric`.
        validation: The samples and labels for that, as ``(x, y)``.
        max_drop: By how much the file may be worse, in percentage points where the metric is a share, else in its unit.
        slim: Take out first what is constant behind a gamma of zero: see `kerasbn_export.slim`.
        route: Whose converter makes the file: ``"tensorflow"``, ``"litert"``, or ``"auto"`` for the second where its
            file is as good; see `kerasbn_export.export.routed`.

    Raises:
        InvalidArgumentError: An option is not accepted, or two contradict each other.
    """

    precision: str | None = None
    calibration: Any = None
    fold: bool = True
    batch_size: AtLeastOne | None = 1
    strict: bool = False
    io_dtype: str | None = None
    per_channel_dense: bool = True
    seed: Seed = 0
    image_range: tuple[Finite, Finite] | None = None
    image_resize: str = STRETCH
    target: str = "latency"
    merge_branches: bool = True
    device: str | None = None
    select_ops: bool = False
    signature: str | None = None
    isolate: bool | None = None
    best: bool | str | None = None
    learn_rounding: bool = False
    slim: bool = False
    weights: str | None = None
    keep_float: Sequence[Any] = ()
    keep_int16: Sequence[Any] = ()
    auto_precision: Any = None
    lift: str = FLOAT
    ranges: str | None = None
    metric: Any = None
    validation: Any = None
    max_drop: Finite | None = None
    route: str = TENSORFLOW

    def __post_init__(self) -> None:
        check_arguments(type(self), {name: getattr(self, name) for name in self.__dataclass_fields__})
        self._check_ranges()
        if self.route not in ROUTES:
            raise InvalidArgumentError(f"route={self.route!r} is not known; accepted: {', '.join(ROUTES)}.")
        _ = self.conversion
        if self.profile is not None and self.batch_size is None and self.profile.fixed_batch:
            raise InvalidArgumentError(
                f"Device {self.device!r} takes one fixed batch; accepted: a positive batch_size."
            )
        if self.image_resize not in RESIZES:
            known = ", ".join(RESIZES)
            raise InvalidArgumentError(f"image_resize={self.image_resize!r} is not known; accepted: {known}.")
        if self.strict and not self.fold:
            raise InvalidArgumentError("strict=True asks that every BatchNorm be folded, and fold=False that none be.")
        if not self.calibrated and self.calibration is not None:
            raise InvalidArgumentError(
                f"Calibration data were given, but precision {self.precision_taken!r} measures no ranges; "
                f"those that do: {', '.join(sorted(CALIBRATED))}."
            )
        self._check_keep_float()
        self._check_auto_precision()
        self._check_metric()
        self._check_best()
        if self.learn_rounding:
            self._check_learning()

    def _check_best(self) -> None:
        if isinstance(self.best, str) and self.best != METRIC:
            raise InvalidArgumentError(f"best={self.best!r} is not known; accepted: True, False, None, {METRIC!r}.")
        if self.best == METRIC and self.metric is None:
            raise InvalidArgumentError("best='metric' needs metric and validation=(samples, labels).")
        if self.best and not (self.calibrated and self.fold):
            raise InvalidArgumentError(
                f"best={self.best!r} chooses among the folded forms of a quantized file; it goes with fold=True and "
                f"precision {' or '.join(sorted(CALIBRATED))}, not with precision {self.precision_taken!r}, "
                f"fold={self.fold}."
            )

    def _check_ranges(self) -> None:
        if self.route == LITERT and (self.ranges is not None or self.auto_precision is not None):
            asked = "auto_precision" if self.ranges is None else f"ranges={self.ranges!r}"
            raise InvalidArgumentError(
                f"{asked} makes one file after another of ranges that TensorFlow's converter measured, which "
                "route='litert' does without; take route='tensorflow'."
            )
        if self.ranges is None:
            return
        if self.ranges not in (*METHODS, BEST):
            known = ", ".join((*METHODS, BEST))
            raise InvalidArgumentError(f"ranges={self.ranges!r} is not known; accepted: {known}.")
        if not self.calibrated:
            raise InvalidArgumentError(
                f"ranges={self.ranges!r} does not go with precision {self.precision_taken!r}, which measures no "
                f"ranges; those that do: {', '.join(sorted(CALIBRATED))}."
            )
        if self.ranges == BEST and (self.select_ops or self.isolate):
            raise InvalidArgumentError(
                "ranges='best' runs the float file in LiteRT, in this process; it does not go with select_ops=True or "
                "isolate=True."
            )

    def _check_keep_float(self) -> None:
        given = [name for name in ("keep_float", "keep_int16") if getattr(self, name)]
        if given and self.precision_taken != "int8":
            raise InvalidArgumentError(
                f"{given[0]} goes with precision 'int8', not with {self.precision_taken!r}: there the converter makes "
                "no exception for single operations."
            )
        if self.keep_int16 and self.conversion.ends == "uint8":
            raise InvalidArgumentError(
                "keep_int16 does not go with io_dtype='uint8': TFLite has no kernel from 16 bits to uint8; accepted: "
                "'int8', 'float32'."
            )

    def _check_auto_precision(self) -> None:
        target = self.auto_precision
        if self.lift not in LIFTS:
            raise InvalidArgumentError(f"lift={self.lift!r} is not known; accepted: {', '.join(LIFTS)}.")
        if target is None:
            return
        if not (isinstance(target, (int, float)) and math.isfinite(target)) and target != METRIC:
            raise InvalidArgumentError(
                f"auto_precision={target!r} is no target; accepted: an SQNR in dB as 40.0, or 'metric' for max_drop."
            )
        if target == METRIC and self.max_drop is None:
            raise InvalidArgumentError("auto_precision='metric' needs metric, validation and max_drop.")
        if self.precision_taken != "int8" or self.best or self.learn_rounding:
            raise InvalidArgumentError(
                "auto_precision lifts layers of an int8 file as the converter makes it; it goes with precision 'int8', "
                "without best and learn_rounding."
            )

    def _check_metric(self) -> None:
        if (self.metric is None) != (self.validation is None) or (self.metric is None and self.max_drop is not None):
            raise InvalidArgumentError(
                "metric, validation=(samples, labels) and max_drop go together: a metric needs samples with labels, "
                "and max_drop a metric."
            )
        if self.metric is not None:
            read_metric(self.metric)

    def _check_learning(self) -> None:
        if self.best is False or not (self.calibrated and self.fold):
            raise InvalidArgumentError(
                "learn_rounding=True learns the int8 weights of a folded file and judges it with best=True; it goes "
                f"with fold=True and precision {' or '.join(sorted(CALIBRATED))}, not with precision "
                f"{self.precision_taken!r}, fold={self.fold}, best={self.best}."
            )
        if isinstance(self.calibration, str) and self.calibration in (DATA_FREE, RANDOM):
            raise CalibrationError(
                f"Rounding is learned from real samples, not from calibration {self.calibration!r}; give about 500 "
                "inputs, prepared as in training. They need no labels."
            )

    @property
    def searches(self) -> bool:
        """Whether several forms are converted and the best is taken."""
        return bool(self.best) or self.learn_rounding

    @property
    def searches_ranges(self) -> bool:
        """Whether the ways to choose ranges are measured."""
        able = not (self.select_ops or self.isolate or self.route == LITERT)
        return self.ranges == BEST or (self.ranges is None and self.searches and able)

    def require_calibration(self) -> None:
        """Raises `CalibrationError` where ranges are to be measured and there is nothing to measure them on."""
        if self.calibrated and self.calibration is None:
            raise CalibrationError(f"Precision {self.precision_taken!r} needs calibration data; accepted: {WANTED}.")

    @cached_property
    def profile(self) -> Device | None:
        """The device."""
        return None if self.device is None else find_device(self.device)

    @property
    def device_file(self) -> str | None:
        """The path of the user's own profile; None where it is none."""
        return self.device if self.device is not None and self.device.endswith(SUFFIX) else None

    @property
    def device_name(self) -> str | None:
        """What the device is called; its profile may be a file of the user's."""
        return None if self.profile is None else self.profile.name

    @property
    def precision_taken(self) -> str:
        """The precision asked for, or the device's own."""
        return self.profile.precision(self.precision) if self.profile else self.precision or "float32"

    @property
    def conversion(self) -> ConversionOptions:
        """The part that the converter needs."""
        ends = self.io_dtype or (self.profile.ends(self.precision_taken) if self.profile else None)
        ranges = None if self.ranges == BEST else self.ranges
        return ConversionOptions(
            self.precision_taken,
            ends,
            self.per_channel_dense,
            self.select_ops,
            self._weights_taken,
            ranges=ranges,
            route=LITERT if self.route == LITERT else TENSORFLOW,
        )

    @property
    def _weights_taken(self) -> str:
        """The granularity asked for, or the device's own; float weights have none.

        Raises:
            InvalidArgumentError: The device takes one scale for a weight, and several were asked for.
        """
        own = self.profile.weights if self.profile and self.precision_taken in QUANTIZED else None
        if own == PER_TENSOR and self.weights == PER_CHANNEL:
            raise InvalidArgumentError(
                f"Device {self.device_name!r} takes one scale for a weight, and weights={self.weights!r} asks for one "
                f"for each channel; accepted: {PER_TENSOR!r}, or leave it out."
            )
        return self.weights or own or PER_CHANNEL

    @property
    def calibrated(self) -> bool:
        """Whether ranges are measured on samples."""
        return self.precision_taken in CALIBRATED
