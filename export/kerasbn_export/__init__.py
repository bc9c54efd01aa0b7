"""Deployment time: fold BatchNorm away, convert to TFLite, and prove that nothing changed.

Importing this package imports neither TensorFlow nor Keras; the first call does.
"""

from kerasbn_export.export import ExportResult, export_tflite
from kerasbn_export.fold import FoldResult, fold
from kerasbn_export.registry import register_layer
from kerasbn_export.verdict import Action, Reason, Verdict
from kerasbn_export.verify import Comparison, verify

__all__ = [
    "Action",
    "Comparison",
    "ExportResult",
    "FoldResult",
    "Reason",
    "Verdict",
    "export_tflite",
    "fold",
    "register_layer",
    "verify",
]
