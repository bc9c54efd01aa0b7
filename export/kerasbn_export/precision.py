"""The numeric precisions of a file, from the most exact to the least: one table.

=============  ======================  =====================  ==============================  ============
precision      weights                 activations            inputs and outputs              gate
=============  ======================  =====================  ==============================  ============
``float32``    float32                 float32                float32                         2e-5 of max
``float16``    float16                 float32                float32                         5e-3 of max
``dynamic``    int8 (large kernels)    float32, quantized     float32                         20 dB
                                       where they are used
``int16x8``    int8, int64 biases      int16                  float32, or int16               20 dB
``int8``       int8, int32 biases      int8                   int8, or uint8 or float32       15 dB
=============  ======================  =====================  ==============================  ============

`kerasbn_export.verification.records.gates` says why the gates are where they are.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Precision:
    """One row of the table.

    Attributes:
        io_dtypes: The types that inputs and outputs may have; the first is the default.
        quantized: Whether weights become int8.
        calibrated: Whether ranges are measured on data.
        tolerance: The largest accepted max|difference| as a part of max|reference|; None where that is no gate.
        min_sqnr: The smallest accepted signal to noise in dB; None where that is no gate.
    """

    io_dtypes: tuple[str, ...] = ("float32",)
    quantized: bool = False
    calibrated: bool = False
    tolerance: float | None = None
    min_sqnr: float | None = None


PRECISIONS = {
    "float32": Precision(tolerance=2e-5),
    "float16": Precision(tolerance=5e-3),
    "dynamic": Precision(quantized=True, min_sqnr=20.0),
    "int16x8": Precision(("float32", "int16"), quantized=True, calibrated=True, min_sqnr=20.0),
    "int8": Precision(("int8", "uint8", "float32"), quantized=True, calibrated=True, min_sqnr=15.0),
}
PER_CHANNEL, PER_TENSOR = "per-channel", "per-tensor"
GRANULARITIES = (PER_CHANNEL, PER_TENSOR)
"""Whether each output channel of a weight has its own scale, or all of a weight have one."""
FLOAT, INT16 = LIFTS = ("float", "int16")
"""What single layers of an int8 file can be lifted to."""
ONE_SCALE = ("int8", "dynamic")
"""Those that can have one scale for a weight: in int16x8 the converter fails on depthwise convolutions then."""
QUANTIZED = tuple(name for name, precision in PRECISIONS.items() if precision.quantized)
CALIBRATED = tuple(name for name, precision in PRECISIONS.items() if precision.calibrated)
"""Their ranges were measured on data: inputs of another size prove nothing."""


def coarsest(*precisions: str) -> str:
    """The least exact of several precisions: the one whose gate applies."""
    return max(precisions, key=list(PRECISIONS).index)
