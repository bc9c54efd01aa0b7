"""Training time: a BatchNormalization layer for both Kerases.

Importing this package imports neither TensorFlow nor Keras. The layer is chosen by its import path::

    from kerasbn.keras import BatchNormalization      # Keras 3
    from kerasbn.tf_keras import BatchNormalization   # Keras 2 (tf_keras)

`check` says whether the moving averages of a model are fit to ship; `recalibrate` gives it those of data.
"""

import importlib
from typing import TYPE_CHECKING, Any

from kerasbn.errors import KerasBNError

if TYPE_CHECKING:
    from kerasbn.statistics.checking import check
    from kerasbn.statistics.renewal import recalibrate

__version__ = "0.1.0"

__all__ = ["KerasBNError", "__version__", "check", "recalibrate"]

_MODULES = {"check": "kerasbn.statistics.checking", "recalibrate": "kerasbn.statistics.renewal"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
