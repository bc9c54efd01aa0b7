"""How close is close enough, for each numeric precision of a file.

==========  ==================================  ===========================================================
precision   gate per output                     why
==========  ==================================  ===========================================================
float32     max|difference| <= 2e-5 max|ref|    correct folds were measured at 1e-6 on reference kernels and
                                                5e-6 on XNNPACK; a fold that drops a bias at 1e-2
float16     max|difference| <= 5e-3 max|ref|    rounding a weight to 11 bits moves it by at most 2^-11 =
                                                4.9e-4 of itself; 5e-3 leaves room for some ten layers to
                                                err in the same direction
dynamic     SQNR >= 20 dB                       weights of 8 bits, activations quantised as they come
int16x8     SQNR >= 20 dB                       weights of 8 bits: the activations' 16 add nothing to it
int8        SQNR >= 15 dB                       correct files were measured between 16 and 37 dB
==========  ==================================  ===========================================================

A gate on the noise of a quantised output cannot see an error smaller than that noise. So where layers are compared,
`kerasbn_export.verification.layers.grids` bounds each operation by the rounding to its own grids, and every weight has
to be within half a step of the float64 algebra.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.precision import PRECISIONS


@dataclass(frozen=True)
class Gate:
    """What an output must reach to pass; a bound that is None does not count.

    Attributes:
        tolerance: The largest max|difference| as a part of max|reference|.
        min_sqnr: The smallest ratio of signal to quantisation noise, in dB.
    """

    tolerance: float | None = None
    min_sqnr: float | None = None

    def __str__(self) -> str:
        parts = []
        if self.tolerance is not None:
            parts.append(f"max|difference| <= {self.tolerance:g} max|reference|")
        if self.min_sqnr is not None:
            parts.append(f"SQNR >= {self.min_sqnr:g} dB")
        return " and ".join(parts)


GATES = {name: Gate(precision.tolerance, precision.min_sqnr) for name, precision in PRECISIONS.items()}


def gate_for(precision: str, tolerance: float | None, min_sqnr: float | None) -> Gate:
    """The gate of a precision with what the user asked for in place of the defaults.

    Raises:
        InvalidArgumentError: A bound that every output, or none, would pass.
    """
    if tolerance is not None and not 0.0 <= tolerance < 1.0:
        raise InvalidArgumentError(
            f"tolerance={tolerance!r} is relative to max|reference|; accepted: 0 <= tolerance < 1."
        )
    if min_sqnr is not None and not min_sqnr > 0.0:
        raise InvalidArgumentError(f"min_sqnr={min_sqnr!r} is in dB; accepted: greater than 0.")
    given = {name: value for name, value in (("tolerance", tolerance), ("min_sqnr", min_sqnr)) if value is not None}
    return replace(GATES[precision], **given)
