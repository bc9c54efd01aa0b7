"""By which route a file is made, and whether that of the second route is the model.

``litert`` is younger than TensorFlow's converter: it has written files that compute something else, without a word. So
every file of that route is compared with the model before anyone gets it. Files with ranges have choices of their own:
see `kerasbn_export.export.forms.quantizer`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from kerasbn.errors import ConversionError
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.litert.package import installed, needed, require
from kerasbn_export.conversion.routes import AUTO, LITERT, TENSORFLOW
from kerasbn_export.conversion.tensorflow import available
from kerasbn_export.export.objection import objection
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.prepared import Prepared, converted
from kerasbn_export.tflite.file import read_tflite

OTHER = "Take route='tensorflow', and please report it."


@dataclass(frozen=True)
class Routed:
    """A file, and how it was made.

    Attributes:
        data: Its content, before its metadata.
        route: Whose converter made it.
        notes: Why that, in sentences, where it was a choice.
    """

    data: bytes
    route: str = TENSORFLOW
    notes: tuple[str, ...] = ()


def settled_route(options: ExportOptions) -> tuple[ExportOptions, tuple[str, ...]]:
    """The options, where there is one route alone with that; and why, in a sentence.

    Args:
        options: How to export.

    Raises:
        MissingPackageError: A package of the route that was asked for is not installed.
        InvalidArgumentError: An option asks for a route that this TensorFlow does not have.
    """
    notes: tuple[str, ...] = ()
    if options.route == AUTO and not available():
        options, notes = replace(options, route=LITERT), ("Route litert: this TensorFlow has no tf.lite.",)
    if options.route == LITERT:
        require(options.precision_taken)
    return options, notes


def routed(prepared: Prepared, options: ExportOptions, on_step: Callable[[str], None]) -> Routed:
    """The file of a model that needs no samples.

    Args:
        prepared: What to convert.
        options: How.
        on_step: Called with the name of each step as it begins.

    Raises:
        ConversionError: The converter failed, or that of the second route made something else than the model.
    """
    if options.route == TENSORFLOW:
        on_step("convert")
        return Routed(converted(prepared, options, None, on_step))
    if options.route == LITERT:
        return _second(prepared, options, on_step)
    return _better(prepared, options, on_step)


def refuse_another(
    prepared: Prepared,
    options: ExportOptions,
    data: bytes,
    samples: Calibration | None,
    on_step: Callable[[str], None],
) -> None:
    """Raises `ConversionError` where a file of the second route is not the model.

    Args:
        prepared: What was converted.
        options: How.
        data: The file.
        samples: What its ranges were measured on, if they were.
        on_step: Called with the name of the step.
    """
    on_step("compare with the model: litert")
    wrong = objection(prepared, options, data, samples)
    if wrong:
        maker = needed(options.precision_taken)[-1]
        raise ConversionError(f"{maker} made a file that is not the model: {wrong.rstrip('.')}. {OTHER}")


def _second(prepared: Prepared, options: ExportOptions, on_step: Callable[[str], None]) -> Routed:
    options = replace(options, route=LITERT)
    on_step("convert: litert")
    data = converted(prepared, options, None, on_step)
    refuse_another(prepared, options, data, None, on_step)
    return Routed(data, LITERT)


def _better(prepared: Prepared, options: ExportOptions, on_step: Callable[[str], None]) -> Routed:
    """The second route's file where it is the model and has no more operations of any kind, else the first's."""
    on_step("convert: tensorflow")
    first = converted(prepared, replace(options, route=TENSORFLOW), None, on_step)
    if why := not_tried(options):
        return Routed(first, TENSORFLOW, why)
    try:
        second = _second(prepared, options, on_step)
    except ConversionError as error:
        return Routed(first, TENSORFLOW, (why_first(error),))
    more = more_operations(first, second.data)
    if more:
        return Routed(first, TENSORFLOW, (f"Route tensorflow: the file of litert has {more}.",))
    return replace(second, notes=("Route litert: it computes the same, with no more operations of any kind.",))


def not_tried(options: ExportOptions) -> tuple[str, ...]:
    """Why ``auto`` does not even try the second route, in a sentence; nothing where it does, or was not asked for."""
    if options.route != AUTO:
        return ()
    if options.select_ops:
        return ("Route tensorflow: litert makes files of TFLite's own operations.",)
    if options.ranges is not None or options.auto_precision is not None:
        return ("Route tensorflow: litert-quantizer takes the smallest and the largest values.",)
    missing = [package for package in needed(options.precision_taken) if not installed(package)]
    install = "python -m pip install 'kerasbn[litert]'"
    return tuple(f"Route tensorflow: {package} is not installed ({install})." for package in missing[:1])


def why_first(error: ConversionError) -> str:
    """Why ``auto`` takes the first route, where the second failed."""
    return f"Route tensorflow: {str(error).removesuffix(OTHER).rstrip()}"


def more_operations(first: bytes, second: bytes) -> str:
    """The operations that the second file has more of than the first."""
    more = Counter(read_tflite(second).op_counts) - Counter(read_tflite(first).op_counts)
    return ", ".join(f"{count} {name} more" for name, count in sorted(more.items()))
