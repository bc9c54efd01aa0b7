"""Deployment time: fold BatchNorm away, convert to TFLite, and prove that nothing changed.

Importing this package imports nothing else; each name is read from its module when it is first used, so that the
command line answers at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasbn_export.capture.tensorflow_function import TensorFlowFunction
    from kerasbn_export.explanation.explain import Explanation, explain
    from kerasbn_export.export.learning import LearnedRounding, learn_rounding
    from kerasbn_export.export.tflite import ExportResult, export_tflite
    from kerasbn_export.folding.fold import FoldResult, fold
    from kerasbn_export.folding.verdict import Action, Reason, Verdict
    from kerasbn_export.graph.registry import register_layer
    from kerasbn_export.quantization.aware import quantize_aware
    from kerasbn_export.quantization.schedule import quantization_schedule
    from kerasbn_export.slim.records import SlimResult
    from kerasbn_export.slim.remove import remove_constant_channels
    from kerasbn_export.verification import Comparison, assert_equivalent, verify

__all__ = [
    "Action",
    "Comparison",
    "Explanation",
    "ExportResult",
    "FoldResult",
    "LearnedRounding",
    "Reason",
    "SlimResult",
    "TensorFlowFunction",
    "Verdict",
    "assert_equivalent",
    "explain",
    "export_tflite",
    "fold",
    "learn_rounding",
    "quantization_schedule",
    "quantize_aware",
    "register_layer",
    "remove_constant_channels",
    "verify",
]

_MODULES = {
    "capture.tensorflow_function": ("TensorFlowFunction",),
    "explanation.explain": ("Explanation", "explain"),
    "export.learning": ("LearnedRounding", "learn_rounding"),
    "export.tflite": ("ExportResult", "export_tflite"),
    "folding.fold": ("FoldResult", "fold"),
    "graph.registry": ("register_layer",),
    "quantization.aware": ("quantize_aware",),
    "quantization.schedule": ("quantization_schedule",),
    "slim.records": ("SlimResult",),
    "slim.remove": ("remove_constant_channels",),
    "folding.verdict": ("Action", "Reason", "Verdict"),
    "verification": ("Comparison", "assert_equivalent", "verify"),
}
"""No module has the name of something public: importing it would put the module in the place of that."""


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
