"""The forms of a file whose weights have one scale each: what makes that usable, one thing after the other.

=================  ====================================================================================================
done               why
=================  ====================================================================================================
equalized          `kerasbn_export.export.forms.equalize`, also through ReLU6: the channels of a weight get like ranges
clipped            `kerasbn_export.export.forms.clipped_weights`: the range of a weight is the one with the least error
bias corrected     `kerasbn_export.export.forms.bias_correction`: means that moved come back
=================  ====================================================================================================

Equalizing may cost accuracy that the correction more than brings back, so what is judged is every sum of the three, of
the model as folded and of the equalized one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.export.forms.bias_correction import corrected
from kerasbn_export.export.forms.clipped_weights import clipped_weights
from kerasbn_export.export.forms.equalize import equalized
from kerasbn_export.export.forms.search import Search
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.prepared import Prepared, exact
from kerasbn_export.program.program import functional_program

Step = Callable[[str], None]


def try_one_scale(search: Search[Prepared], options: ExportOptions, samples: Calibration, on_step: Step) -> None:
    """Tries the sums of the three on the best form so far.

    Args:
        search: What was tried.
        options: How to export.
        samples: What ranges are measured on.
        on_step: Called with the name of each step as it begins.
    """
    for done, form, data in list(_starts(search, samples, on_step)):
        on_step(f"{', '.join(done) or 'as it is'}: clip weights, correct biases")
        reference = exact(form, options)
        clipped = clipped_weights(data, reference)
        files = [(done, data)] + ([((*done, "clipped"), clipped.data)] if clipped.ops else [])
        for names, made in files:
            if names:
                search.attempt(", ".join(names), form, made)
            search.attempt(", ".join((*names, "bias corrected")), form, corrected(made, reference, samples).data)


def _starts(
    search: Search[Prepared], samples: Calibration, on_step: Step
) -> Iterator[tuple[tuple[str, ...], Prepared, bytes]]:
    """The best form so far and the same equalized, each with its file."""
    yield (), search.form, search.data
    equal = equalized(search.form.programs[0].model, samples)
    if equal.layers:
        on_step("convert: equalized")
        form = replace(search.form, programs=(functional_program(equal.model),))
        yield ("equalized",), form, search.convert(form)
