"""The referee: the reference's own network in float64, for where two float32 results disagree."""

from __future__ import annotations

from typing import Any

from kerasbn.errors import KerasBNError
from kerasbn_export.verify.network import Network


def call_referee(model: Any) -> tuple[Network | None, str]:
    """The float64 network of a Keras model, or None and the reason.

    Args:
        model: The reference if it is a Keras model, else None.
    """
    if model is None:
        return None, "referee unavailable: the reference is a .tflite file, which has no float64 form."
    from kerasbn_export.capture import capture

    try:
        return Network(capture(model)), ""
    except KerasBNError as error:
        return None, f"referee unavailable: {error}"
