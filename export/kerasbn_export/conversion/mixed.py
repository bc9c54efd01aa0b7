"""An int8 file in which some layers have another precision, made from one calibrated file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from kerasbn_export.conversion.keep_float import nodes_to_keep
from kerasbn_export.conversion.keep_int16 import no_such_form, nodes_but, with_int16
from kerasbn_export.conversion.long_constants import constants_as_inputs, inputs_as_constants
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.program.program import Program

LONG = 16
"""Bits of an activation that has more than 8."""


class Quantizer(Protocol):
    """What the converter does with a calibrated file."""

    def __call__(self, calibrated: bytes, *, kept: Sequence[str], bits: int = 8) -> bytes:
        """The quantized file, with some operations in float; with 16 bits, the inputs and outputs as well."""


def mixed(programs: Sequence[Program], options: ConversionOptions) -> Callable[[bytes, Quantizer], bytes]:
    """What makes the file of a calibrated one.

    Args:
        programs: What is converted.
        options: How.

    Raises:
        ConversionError: No operation comes from a layer that was named.
    """

    def finish(calibrated: bytes, quantize: Quantizer) -> bytes:
        floats = nodes_to_keep(calibrated, programs, options.keep_float) if options.keep_float else []
        short = quantize(calibrated, kept=floats)
        if not options.keep_int16:
            return short
        others = nodes_but(calibrated, programs, options.keep_int16)
        return with_int16(short, _in_16_bits(calibrated, quantize, others), programs, options.keep_int16)

    return finish


def _in_16_bits(calibrated: bytes, quantize: Quantizer, others: Sequence[str]) -> bytes:
    try:
        given, constants = constants_as_inputs(calibrated)
        return inputs_as_constants(quantize(given, kept=others, bits=LONG), constants)
    except RuntimeError as error:  # what is wrong the converter writes to the screen alone
        raise no_such_form() from error
