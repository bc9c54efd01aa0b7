"""The layer before one that stays in float among quantized ones: it does nothing, and says so to the export."""

from __future__ import annotations

from typing import Any


class InFloatMixin:
    """What the layer behind it computes stays in float in the file.

    Shapes: any, float32; the output is the input.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The inputs."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the inputs."""
        return input_shape
