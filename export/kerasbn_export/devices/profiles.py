"""What a file is for: profiles of devices, which set how to export and say what the file must satisfy.

============================  ================================  =====================================================
device                        precisions, the first is default  what is checked and measured
============================  ================================  =====================================================
``xnnpack``                   all, ``float32``                  operations that XNNPACK leaves to TFLite's own kernels
``tflm``                      ``int8``, ``int16x8``,            only operations that TFLite Micro has; bytes of the
                              ``float32``                       arena, measured by ``tflite-micro``
``ethos-u55``, ``ethos-u65``, ``int8``, ``int16x8``             operations left on the CPU, cycles, SRAM and flash,
``ethos-u85``                                                   estimated by Arm's compiler ``ethos-u-vela``
============================  ================================  =====================================================

All of them take one fixed batch. The Ethos-U names may end in the number of multipliers, as ``ethos-u55-128``. A device
is where the file runs; the ``target`` of folding, which is something else, is what folding prefers among exact forms.

This module imports nothing heavy, for the sake of ``--help``.
"""

from __future__ import annotations

from dataclasses import dataclass

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.precision import PRECISIONS

MULTIPLIERS = {"ethos-u55": (256, 32, 64, 128), "ethos-u65": (256, 512), "ethos-u85": (256, 128, 512, 1024, 2048)}
"""The sizes of each Ethos-U; the first is what the bare name means."""

# Every operation of the schema was put to the package; it did not refuse these (tests/export/devices/test_micro.py).
_MICRO = """
ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_ARGS
BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV
DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED
GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG
LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG
NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE
RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND
SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE
TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE ZEROS_LIKE
"""
MICRO_OPS = frozenset(_MICRO.split())
"""The builtin operations of TFLite Micro, of the package of October 2026."""


@dataclass(frozen=True)
class Device:
    """Where a file runs.

    Attributes:
        name: As asked for.
        precisions: Those that it runs; the first is the one that is taken where none is asked for.
        ops: The builtin operations that it has; None for all of TFLite's.
        accelerator: For an Ethos-U, its name for the ``ethos-u-vela`` package.
    """

    name: str
    precisions: tuple[str, ...] = tuple(PRECISIONS)
    ops: frozenset[str] | None = None
    accelerator: str | None = None

    def precision(self, asked: str | None) -> str:
        """The precision to export in.

        Raises:
            InvalidArgumentError: The device does not run the one asked for.
        """
        if asked is None:
            return self.precisions[0]
        if asked in PRECISIONS and asked not in self.precisions:
            raise InvalidArgumentError(
                f"Device {self.name!r} does not run precision {asked!r}; accepted: {', '.join(self.precisions)}."
            )
        return asked

    def ends(self, precision: str) -> str | None:
        """The type of inputs and outputs where none is asked for; None for the precision's own.

        A microcontroller is given integers: converting them from float would be an operation more, on the CPU.
        """
        return "int16" if precision == "int16x8" and self.ops is not None else None


XNNPACK = Device("xnnpack")
MICRO = Device("tflm", ("int8", "int16x8", "float32"), MICRO_OPS)


def find_device(name: str) -> Device:
    """The profile of that name.

    Raises:
        InvalidArgumentError: There is none.
    """
    for device in (XNNPACK, MICRO):
        if name == device.name:
            return device
    for family, sizes in MULTIPLIERS.items():
        for size in sizes:
            if name in (family, f"{family}-{size}") and (name != family or size == sizes[0]):
                # What the accelerator leaves on the CPU runs there in TFLite Micro.
                return Device(name, ("int8", "int16x8"), MICRO_OPS, f"{family}-{size}")
    raise InvalidArgumentError(
        f"Device {name!r} is not known; accepted: xnnpack, tflm, {', '.join(MULTIPLIERS)}, the last three also with "
        f"a number of multipliers, as ethos-u55-{MULTIPLIERS['ethos-u55'][1]}."
    )


@dataclass(frozen=True)
class DeviceReport:
    """What a device makes of a file.

    Attributes:
        device: Its name.
        tool: The package that measured, with its version; None if it is not installed.
        missing: Where it is not installed, what was not measured and how to install it.
        numbers: What was measured, by name with unit, as ``"arena, bytes"``.
        elsewhere: The operations that do not run on the accelerator or delegate, each with its layer.
    """

    device: str
    tool: str | None
    missing: str | None
    numbers: dict[str, int | float]
    elsewhere: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The report in words."""
        if self.missing is not None:
            return [f"{self.device}: {self.missing}"]
        numbers = "; ".join(f"{name}: {_shown(value)}" for name, value in self.numbers.items())
        found = [f"{self.device}, by {self.tool}: {numbers}."]
        if self.elsewhere:
            found.append(f"Not on {self.device}: {', '.join(self.elsewhere)}.")
        return found


def _shown(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
