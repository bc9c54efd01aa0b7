"""How to convert: what the user chooses of it."""

from __future__ import annotations

from dataclasses import dataclass

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.calibration.ranges.methods import METHODS, methods_for
from kerasbn_export.conversion.routes import LITERT, TENSORFLOW
from kerasbn_export.precision import CALIBRATED, GRANULARITIES, ONE_SCALE, PER_CHANNEL, PRECISIONS


@dataclass(frozen=True)
class ConversionOptions:
    """How to convert.

    Attributes:
        precision: A key of `kerasbn_export.precision.PRECISIONS`.
        io_dtype: The type of inputs and outputs; None for the precision's own.
        per_channel_dense: Whether each output of a Dense layer has its own scale: more accurate, but TFLite
            Micro then needs a larger arena.
        select_ops: Whether operations that TFLite does not have may be TensorFlow's; the plain interpreter cannot
            run such a file.
        keep_float: The names of layers that stay in float in an int8 file.
        keep_int16: The names of layers whose activations have 16 bits in an int8 file.
        weights: ``"per-channel"``, or ``"per-tensor"`` for one scale in every quantized weight.
        ranges: How the range of an activation is chosen: a key of `kerasbn_export.calibration.ranges.METHODS`. None for
            the smallest and the largest value as the converter's own calibrator finds them.
        trained: Whether the model has its ranges in it, as one of `kerasbn_export.quantize_aware` has.
        route: ``"tensorflow"`` or ``"litert"``: whose converter makes the file.
    """

    precision: str = "float32"
    io_dtype: str | None = None
    per_channel_dense: bool = True
    select_ops: bool = False
    weights: str = PER_CHANNEL
    keep_float: tuple[str, ...] = ()
    keep_int16: tuple[str, ...] = ()
    ranges: str | None = None
    trained: bool = False
    route: str = TENSORFLOW

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InvalidArgumentError(f"Precision {self.precision!r} is not known; accepted: {', '.join(PRECISIONS)}.")
        if self.weights not in GRANULARITIES:
            raise InvalidArgumentError(f"weights={self.weights!r} is not known; accepted: {', '.join(GRANULARITIES)}.")
        if self.weights != PER_CHANNEL and self.precision not in ONE_SCALE:
            raise InvalidArgumentError(
                f"weights={self.weights!r} does not go with precision {self.precision!r}; accepted: "
                f"{', '.join(ONE_SCALE)}. Float weights have no scale; in int16x8 the converter fails on depthwise "
                "layers that have one."
            )
        self._check_ranges()
        self._check_route()
        accepted = PRECISIONS[self.precision].io_dtypes
        if self.io_dtype is not None and self.io_dtype not in accepted:
            raise InvalidArgumentError(
                f"Inputs and outputs of type {self.io_dtype!r} do not go with precision {self.precision!r}; "
                f"accepted: {', '.join(accepted)}."
            )

    def _check_ranges(self) -> None:
        if self.ranges is None:
            return
        if self.ranges not in METHODS:
            raise InvalidArgumentError(f"ranges={self.ranges!r} is not known; accepted: {', '.join(METHODS)}.")
        if self.precision not in CALIBRATED:
            raise InvalidArgumentError(
                f"ranges={self.ranges!r} does not go with precision {self.precision!r}, which measures no ranges; "
                f"those that do: {', '.join(sorted(CALIBRATED))}."
            )
        if self.ranges not in methods_for(self.precision):
            raise InvalidArgumentError(
                f"ranges={self.ranges!r} does not go with precision {self.precision!r}: its grids have more steps than "
                f"values are told apart by; accepted: {', '.join(methods_for(self.precision))}."
            )
        if self.select_ops:
            raise InvalidArgumentError(
                f"ranges={self.ranges!r} does not go with select_ops=True: LiteRT alone cannot run the float file, by "
                "whose values ranges are chosen."
            )

    @property
    def mixed(self) -> bool:
        """Whether some layers have another precision than the others."""
        return bool(self.keep_float or self.keep_int16)

    def _check_route(self) -> None:
        if self.route not in (TENSORFLOW, LITERT):
            raise InvalidArgumentError(f"route={self.route!r} is not known; accepted: {TENSORFLOW!r}, {LITERT!r}.")
        if self.route == TENSORFLOW:
            return
        if self.ranges is not None or self.trained:
            asked = "trained ranges do" if self.trained else f"ranges={self.ranges!r} does"
            raise InvalidArgumentError(
                f"{asked} not go with route='litert', where litert-quantizer takes the smallest and the largest value "
                "of each activation; take route='tensorflow'."
            )
        if self.select_ops:
            raise InvalidArgumentError(
                "select_ops=True keeps TensorFlow's operations, which route='litert' does not have; take "
                "route='tensorflow'."
            )

    @property
    def ends(self) -> str:
        """The type of inputs and outputs."""
        return self.io_dtype or PRECISIONS[self.precision].io_dtypes[0]


FLOAT32 = ConversionOptions()
