"""What models are folded for in tests: targets of `kerasbn_export.folding.choices`, and forms of some options."""

from __future__ import annotations

from typing import Any

FORMS: dict[str, dict[str, Any]] = {
    "latency": {},
    "ops": {"target": "ops"},
    "size": {"target": "size"},
    "int8": {"precision": "int8"},
    "averages": {"through_averages": False},
}
"""The options of `kerasbn_export.folding.fold.plan`, by name: the smallest latency there is in float32 and in int8, and
with every BatchNorm on its side of an average."""
DRAWN = ("latency", "int8", "ops", "size")
"""Those that random models are folded for."""
