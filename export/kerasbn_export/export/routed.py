"""By which route a float32 file is made, and whether that of the second route is the model.

``litert`` is younger than TensorFlow's converter: it has written files that compute something else, without a word. So
every file of that route is compared with the model before anyone gets it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from kerasbn.errors import ConversionError
from kerasbn_export.conversion.litert.package import installed, require
from kerasbn_export.conversion.routes import AUTO, LITERT, TENSORFLOW
from kerasbn_export.conversion.tensorflow import available
from kerasbn_export.export.objection import objection
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.prepared import Prepared, converted
from kerasbn_export.tflite.file import TFLiteFile, read_tflite

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


def check_route(options: ExportOptions) -> None:
    """Raises `MissingPackageError` where the route that was asked for is not installed."""
    if options.route == LITERT or (options.route == AUTO and not available()):
        require()


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
    if not available():
        return replace(_second(prepared, options, on_step), notes=("Route litert: this TensorFlow has no tf.lite.",))
    return _better(prepared, options, on_step)


def _second(prepared: Prepared, options: ExportOptions, on_step: Callable[[str], None]) -> Routed:
    options = replace(options, route=LITERT)
    on_step("convert: litert")
    data = converted(prepared, options, None, on_step)
    on_step("compare with the model: litert")
    wrong = objection(prepared, options, data)
    if wrong:
        raise ConversionError(f"litert-converter made a file that is not the model: {wrong.rstrip('.')}. {OTHER}")
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
        return Routed(first, TENSORFLOW, (f"Route tensorflow: {str(error).removesuffix(OTHER).rstrip()}",))
    more = _more(read_tflite(first), read_tflite(second.data))
    if more:
        return Routed(first, TENSORFLOW, (f"Route tensorflow: the file of litert has {more}.",))
    return replace(second, notes=("Route litert: it computes the same, with no more operations of any kind.",))


def not_tried(options: ExportOptions) -> tuple[str, ...]:
    """Why ``auto`` does not even try the second route, in a sentence; nothing where it does, or was not asked for."""
    if options.route != AUTO:
        return ()
    if options.precision_taken != "float32" or options.select_ops:
        return ("Route tensorflow: litert makes float32 files of TFLite's own operations.",)
    missing = "Route tensorflow: litert-converter is not installed (python -m pip install 'kerasbn[litert]')."
    return () if installed() else (missing,)


def _more(first: TFLiteFile, second: TFLiteFile) -> str:
    """The operations that the second file has more of than the first."""
    more = Counter(second.op_counts) - Counter(first.op_counts)
    return ", ".join(f"{count} {name} more" for name, count in sorted(more.items()))
