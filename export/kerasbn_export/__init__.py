"""Deployment time: fold BatchNorm away, convert to TFLite, and prove that nothing changed.

Importing this package imports neither TensorFlow nor Keras; the first call does.
"""

from kerasbn_export.fold import FoldResult, fold
from kerasbn_export.verdict import Action, Reason, Verdict

__all__ = ["Action", "FoldResult", "Reason", "Verdict", "fold"]
