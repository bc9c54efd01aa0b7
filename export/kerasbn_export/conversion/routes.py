"""The routes from a model to the bytes of a file, by name."""

from __future__ import annotations

TENSORFLOW, LITERT, AUTO = "tensorflow", "litert", "auto"
ROUTES = (TENSORFLOW, LITERT, AUTO)
"""TensorFlow's converter, LiteRT's own, or the second where it is as good."""
