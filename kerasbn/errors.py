"""Every error that kerasbn raises on purpose.

::

    KerasBNError
    ├── InvalidArgumentError     (ValueError)           an argument has a value that is not accepted
    ├── UnsupportedFeatureError  (NotImplementedError)  a known option that kerasbn does not implement
    ├── InvalidModelError        (ValueError)           the model holds numbers that mean nothing, as NaN
    ├── UnsupportedModelError    (ValueError)           the model cannot be read as a graph of layers
    ├── ModelFileError           (OSError)              a model file is missing or is no model
    ├── UnsafeModelError         (PermissionError)      loading would run code that the file carries
    ├── CalibrationError         (ValueError)           calibration data do not fit the model
    ├── NotFoldedError           (ValueError)           strict folding left a BatchNorm
    ├── MetricError              (ValueError)           a file lost more of the user's metric than was accepted
    ├── MissingPackageError      (ImportError)          an optional package is not installed
    ├── NotComparableError       (ValueError)           two models cannot be compared
    ├── ConversionError          (RuntimeError)         the TFLite converter failed
    └── OutputError              (OSError)              a result cannot be written

A message says what was found and where, what is accepted, and what to do. ``exit_code`` is what the
command line exits with: 1 the answer is no, 2 the question cannot be answered as it was put, 3 the tool failed.
"""


class KerasBNError(Exception):
    """The root: catch this one to catch whatever kerasbn raises on purpose."""

    exit_code = 2


class InvalidArgumentError(KerasBNError, ValueError):
    """An argument has a value that is not accepted."""


class UnsupportedFeatureError(KerasBNError, NotImplementedError):
    """A known option that kerasbn does not implement."""


class InvalidModelError(KerasBNError, ValueError):
    """The model holds numbers that mean nothing, as a NaN in a moving variance."""


class UnsupportedModelError(KerasBNError, ValueError):
    """The model cannot be read as a graph of layers."""


class ModelFileError(KerasBNError, OSError):
    """A model file is missing or is no model."""


class UnsafeModelError(KerasBNError, PermissionError):
    """Loading would run code that the file carries."""


class CalibrationError(KerasBNError, ValueError):
    """Calibration data do not fit the model."""


class NotFoldedError(KerasBNError, ValueError):
    """Strict folding left a BatchNorm in the model."""

    exit_code = 1


class MetricError(KerasBNError, ValueError):
    """A file lost more of the user's metric than was accepted."""

    exit_code = 1


class MissingPackageError(KerasBNError, ImportError):
    """An optional package is not installed."""


class NotComparableError(KerasBNError, ValueError):
    """Two models cannot be compared."""


class ConversionError(KerasBNError, RuntimeError):
    """The TFLite converter failed."""

    exit_code = 3


class OutputError(KerasBNError, OSError):
    """A result cannot be written."""

    exit_code = 3
