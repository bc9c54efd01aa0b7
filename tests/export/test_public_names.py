"""What scripts outside the repository import."""

import importlib
import pkgutil

import pytest

import kerasbn_export

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("name", kerasbn_export.__all__)
def test_every_public_name_is_there(name):
    assert callable(getattr(kerasbn_export, name))


def test_what_is_listed_is_what_can_be_had():
    assert sorted(name for names in kerasbn_export._MODULES.values() for name in names) == kerasbn_export.__all__


def test_no_module_stands_in_the_way_of_a_name():
    modules = {module.name for module in pkgutil.iter_modules(kerasbn_export.__path__)}
    assert not modules & set(kerasbn_export.__all__)
    for module in ("folding", "verification", "export"):
        importlib.import_module(f"kerasbn_export.{module}")
    assert kerasbn_export.fold.__name__ == "fold"
    assert kerasbn_export.verify.__name__ == "verify"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'unfold'"):
        kerasbn_export.unfold  # noqa: B018 - the access is the test
