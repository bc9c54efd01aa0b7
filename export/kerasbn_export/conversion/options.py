"""How to convert: what the user chooses of it."""

from __future__ import annotations

from dataclasses import dataclass

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.precision import PRECISIONS


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
        trained: Whether the model has its ranges in it, as one of `kerasbn_export.quantize_aware` has.
    """

    precision: str = "float32"
    io_dtype: str | None = None
    per_channel_dense: bool = True
    select_ops: bool = False
    trained: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InvalidArgumentError(f"Precision {self.precision!r} is not known; accepted: {', '.join(PRECISIONS)}.")
        accepted = PRECISIONS[self.precision].io_dtypes
        if self.io_dtype is not None and self.io_dtype not in accepted:
            raise InvalidArgumentError(
                f"Inputs and outputs of type {self.io_dtype!r} do not go with precision {self.precision!r}; "
                f"accepted: {', '.join(accepted)}."
            )

    @property
    def ends(self) -> str:
        """The type of inputs and outputs."""
        return self.io_dtype or PRECISIONS[self.precision].io_dtypes[0]


FLOAT32 = ConversionOptions()
