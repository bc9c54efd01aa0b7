"""The page of devices is what the profiles say."""

import importlib.util

import pytest
from kerasbn_testing.pages import DOCS, PAGES

from kerasbn_export.devices.profiles.read import CHECKS

pytestmark = pytest.mark.quick


def test_the_page_of_devices_is_up_to_date():
    spec = importlib.util.spec_from_file_location("write_devices", DOCS / "reference" / "write_devices.py")
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    assert PAGES["docs/reference/devices.md"] == writer.page(), "run: python docs/reference/write_devices.py"


def test_the_how_to_explains_every_key_of_a_profile():
    page = PAGES["docs/how-to/which-precision.md"]
    assert [key for key in CHECKS if f"`{key}`" not in page] == []
