"""Every argument of the public functions is refused by name where it is not what its annotation says."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest

from kerasbn.arguments import AtLeastOne, Finite, Positive, Seed, Share, check_arguments, checks_arguments
from kerasbn.errors import InvalidArgumentError
from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.benchmark.latency import compare_latency
from kerasbn_export.benchmark.side_by_side import measure_files
from kerasbn_export.export.tflite import ExportOptions
from kerasbn_export.verification.report import recheck

FUNCTIONS = (fold, export_tflite, verify, compare_latency, measure_files, recheck)
WRONG = {
    bool: ["no", 2, None],
    str: [5, b"x"],
    int: ["2", 1.5, True, None, -1, 10**20, float("nan")],
    float: ["x", float("nan"), float("inf"), 10**400, 1j, True],
}


def declared(function):
    """The arguments that say what they may be, each with its annotation."""
    hints = get_type_hints(function, include_extras=True)
    return {name: hints[name] for name in inspect.signature(function).parameters if hints[name] is not Any}


def wrong_values(hint):
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kinds = [get_args(kind)[0] if get_origin(kind) is Annotated else kind for kind in kinds]
    known = WRONG.get(kinds[0], []) if isinstance(kinds[0], type) else []
    values = [value for value in known if value is not None or type(None) not in kinds]
    return values if Path not in kinds else [5, None]


CASES = [(f, name, value) for f in FUNCTIONS for name, hint in declared(f).items() for value in wrong_values(hint)]


@pytest.mark.parametrize(
    ("function", "name", "value"), CASES, ids=lambda case: getattr(case, "__name__", str(case)[:9])
)
def test_a_wrong_value_is_refused_by_name(function, name, value):
    required = inspect.signature(function).parameters.values()
    given = {each.name: [Path("a")] for each in required if each.default is each.empty}
    given |= {"path": "a.tflite"} if "path" in given else {}
    with pytest.raises(InvalidArgumentError, match=rf"^{name}=.*accepted: "):
        function(**{**given, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scales", ()), ("scales", "abc"), ("scales", (-1,)), ("scales", (0,)), ("scales", (1, float("inf"))),
        ("scales", 1.0), ("samples", -1), ("tolerance", 1.0), ("tolerance", -0.1), ("min_sqnr", 0), ("seed", 2**32),
    ],
)  # fmt: skip
def test_a_value_beyond_the_range_is_refused(name, value):
    with pytest.raises(InvalidArgumentError, match=f"^{name}="):
        verify(None, None, **{name: value})


@pytest.mark.parametrize("value", [(1,), (0, float("nan")), (0, 1, 2), "01", 5])
def test_the_range_of_images_is_two_numbers(value):
    with pytest.raises(InvalidArgumentError, match=r"^image_range="):
        ExportOptions(precision="int8", calibration="data-free", image_range=value)


def test_a_resize_that_is_none_is_refused_by_name():
    with pytest.raises(InvalidArgumentError, match=r"image_resize='fit' is not known; accepted: stretch, crop, pad"):
        ExportOptions(precision="int8", calibration="images", image_resize="fit")


def test_what_is_right_passes():
    @checks_arguments
    def function(seed: Seed, count: AtLeastOne | None = 3, *, share: Share = 0.5, near: tuple[Finite, Finite] = (0, 1)):
        return seed, count, share, near

    assert function(0) == (0, 3, 0.5, (0, 1))
    assert function(np.int64(5), None, share=np.float32(0), near=[0, 1]) == (5, None, 0, [0, 1])
    with pytest.raises(TypeError, match="seed"):
        function()
    with pytest.raises(InvalidArgumentError, match=r"near=.*accepted"):
        function(0, near=(0, "1"))


def test_one_function_checks_and_names_what_is_accepted():
    def owner(epsilon: Positive, text: str | None): ...

    check_arguments(owner, {"epsilon": 1e-3, "text": None, "other": 5})
    with pytest.raises(InvalidArgumentError, match=r"^epsilon=0; accepted: a finite number above 0\.$"):
        check_arguments(owner, {"epsilon": 0})
    with pytest.raises(InvalidArgumentError, match=r"^text=5; accepted: a text or None\.$"):
        check_arguments(owner, {"text": 5})


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_number_says_its_range(function):
    """A bare int or float would let NaN, negative and huge numbers through."""
    for name, hint in get_type_hints(function, include_extras=True).items():
        kinds = get_args(hint) if get_origin(hint) in (Union, UnionType, tuple, Sequence) else (hint,)
        assert int not in kinds, name
        assert float not in kinds, name


def test_lists_of_unequal_lengths_are_refused_by_name(keras_flavour):
    keras = keras_flavour.keras
    model = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(2)])
    with pytest.raises(InvalidArgumentError, match="The data are no array"):
        verify(model, model, data={"x": [[1, 2], [3]]})
    with pytest.raises(ValueError, match="The calibration data are no array"):
        export_tflite(model, "never.tflite", precision="int8", calibration={"x": [[1, 2], [3]]})
