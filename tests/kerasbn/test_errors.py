"""The tree of errors, as its docstring draws it."""

import builtins
import re

import pytest

from kerasbn import errors

pytestmark = pytest.mark.quick

CLASSES = [item for item in vars(errors).values() if isinstance(item, type) and item is not errors.KerasBNError]
DRAWN = dict(re.findall(r"[├└]── (\w+) +\((\w+)\)", errors.__doc__))


def test_the_docstring_draws_every_error():
    assert sorted(DRAWN) == sorted(error.__name__ for error in CLASSES)


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_an_error_is_of_kerasbn_and_of_the_builtin_that_fits(error):
    assert error.__bases__ == (errors.KerasBNError, getattr(builtins, DRAWN[error.__name__]))
    assert error.exit_code in (1, 2, 3)
    assert error.__doc__.endswith(".")
