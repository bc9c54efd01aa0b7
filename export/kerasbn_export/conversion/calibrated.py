"""A model with the ranges of its activations measured: what files with other ranges are made from, one after another.

The model is traced, converted to float and calibrated once. The values of its tensors are counted once. A file for each
method of `kerasbn_export.calibration.ranges` is then the converter's last step alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from kerasbn.errors import ConversionError, KerasBNError
from kerasbn_export.calibration.ranges.choosing import holding_what_is_chosen_from
from kerasbn_export.calibration.ranges.histogram import Counting
from kerasbn_export.calibration.ranges.observed import count_values
from kerasbn_export.calibration.ranges.places import Place, places
from kerasbn_export.calibration.ranges.written import with_ranges
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.mended import mended
from kerasbn_export.conversion.mixed import mixed
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.conversion.relabel import relabel
from kerasbn_export.conversion.servable import Signature
from kerasbn_export.conversion.tensorflow import failure, quantized
from kerasbn_export.program.program import Program
from kerasbn_export.tflite.file import read_ops
from kerasbn_export.tflite.flatbuffer import parse

ENDS = {"int8": "int8", "int16x8": "int16"}
"""Inputs and outputs on a grid of their own."""


@dataclass(frozen=True)
class Calibrated:
    """A calibrated float file.

    Attributes:
        data: Its content: each tensor with its smallest and largest value.
        options: How it is to be quantized.
        programs: What it was converted from.
        signatures: What the file computes.
        samples: What the ranges were measured on.
        batch_size: How many samples the file takes at a time.
        on_sample: Called with the number of samples counted and of all.
    """

    data: bytes
    options: ConversionOptions
    programs: Sequence[Program]
    signatures: Sequence[Signature]
    samples: Calibration
    batch_size: int
    on_sample: Callable[[int, int], None]

    @cached_property
    def places(self) -> list[Place]:
        """Where there may be another range."""
        inner = replace(self.options, io_dtype=ENDS[self.options.precision], keep_int16=())
        made = self._made(self.data, inner)
        return places(parse(self.data), parse(made), self.options.precision)

    @cached_property
    def counted(self) -> list[Counting]:
        """The values of each place."""
        return count_values(
            self.data,
            self.places,
            self.samples,
            [end.key for end in self.signatures[0].inputs],
            batch_size=self.batch_size,
            symmetric=self.options.precision == "int16x8",
            on_sample=self.on_sample,
        )

    def quantized(
        self,
        method: str | None,
        *,
        keep_float: tuple[str, ...] | None = None,
        keep_int16: tuple[str, ...] | None = None,
    ) -> bytes:
        """The content of a file.

        Args:
            method: How its ranges are chosen: a key of `kerasbn_export.calibration.ranges.METHODS`; None for those that
                the calibrator found.
            keep_float: Other layers in float than those of the options.
            keep_int16: Likewise of 16 bits.

        Raises:
            ConversionError: The converter failed, or adds operations to those that it makes of the ranges as found.
        """
        floats = self.options.keep_float if keep_float is None else keep_float
        long = self.options.keep_int16 if keep_int16 is None else keep_int16
        options = replace(self.options, keep_float=floats, keep_int16=long)
        if method is None:
            return self._finished(self._made(self.data, options))
        if method not in self._changed:
            ranged = with_ranges(self.data, self.places, self.counted, method, self.options.precision)
            sources = {place.source for place in self.places}
            self._changed[method] = holding_what_is_chosen_from(ranged, self.data, sources)
            self._check(method)
        return self._finished(self._made(self._changed[method], options))

    @cached_property
    def _changed(self) -> dict[str, bytes]:
        """The float file with the ranges of each method."""
        return {}

    def _made(self, data: bytes, options: ConversionOptions) -> bytes:
        try:
            quantize = partial(quantized, options=options)
            return mixed(self.programs, options)(data, quantize) if options.mixed else quantize(data, kept=())
        except KerasBNError:
            raise
        except Exception as error:  # the converter raises many types, none of them public
            raise failure(error, self.signatures[0].inputs, self.samples) from error

    def _finished(self, made: bytes) -> bytes:
        return relabel(mended(made), self.signatures, {})

    def _check(self, method: str) -> None:
        """Ranges that do not fit each other would cost a QUANTIZE between them."""
        files = (self._made(data, self.options) for data in (self.data, self._changed[method]))
        before, after = (Counter(read_ops(made)) for made in files)
        more = ", ".join(f"{count} {name}" for name, count in (after - before).items())
        if more:
            raise ConversionError(
                f"With ranges={method!r} the converter adds {more}: tensors that could share a grid have ranges of "
                "their own. Leave ranges out, and please report the model."
            )
