"""What the docs say of the code is what the code says: reasons, rules, folders, layers, and the pages of the site."""

import importlib.util
import re
from pathlib import Path

import pytest
import yaml
from kerasbn_testing.pages import DOCS, PAGES, ROOT

import kerasbn_export
from kerasbn_export.folding.verdict import Reason

pytestmark = pytest.mark.quick

SOURCE = ROOT / "export" / "kerasbn_export"


def column(text, heading, number=0):
    """The code spans in one column of the table whose first column has the heading."""
    rows = re.search(rf"^\| {heading} \|.*\n\| ---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    cells = [re.split(r"(?<!\\)\|", row)[1:-1][number] for row in rows.group(1).splitlines()]
    return [span for cell in cells for span in re.findall(r"`([^`]+)`", cell)]


@pytest.fixture(scope="module")
def writer():
    """The script that writes the page of reasons."""
    spec = importlib.util.spec_from_file_location("write_reasons", DOCS / "reference" / "write_reasons.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_reasons_is_up_to_date(writer):
    page = PAGES["docs/reference/reasons.md"]
    assert page == writer.page(), "run: python docs/reference/write_reasons.py"
    assert list(writer.meanings()) == [reason.value for reason in Reason]
    assert set(writer.ADVICE) <= set(writer.meanings())


def test_the_reference_lists_every_public_name():
    listed = re.findall(r"^::: kerasbn_export\.(\w+)$", PAGES["docs/reference/api.md"], re.MULTILINE)
    assert sorted(listed) == sorted(kerasbn_export.__all__)


def test_the_rules_of_the_page_are_modules():
    listed = column(PAGES["docs/folding.md"], "rule", -1)
    there = {path.stem for folder in ("rules", "passes") for path in (SOURCE / "folding" / folder).glob("*.py")}
    assert len(listed) > 20
    assert set(listed) <= there


def contract(identifier, key="layers"):
    """The list of an import contract of pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    body = re.search(rf'id = "{identifier}".*?{key} = \[(.*?)\]', text, re.DOTALL).group(1)
    return re.findall(r'"([^"]+)"', body)


def test_the_map_of_the_house_is_the_import_contract():
    floors = [floor for floor in contract("folders") if "|" not in floor]
    assert column(PAGES["CONTRIBUTING.md"], "floor") == floors


def test_paths_of_the_map_exist():
    paths = column(PAGES["CONTRIBUTING.md"], "path")
    assert len(paths) >= 8
    for path in paths:
        assert (ROOT / path).exists(), path
        assert (ROOT / path).is_dir() == path.endswith("/"), path


def pages_of_the_site(nav):
    """The files that the site's order names."""
    values = [value for entry in nav for value in entry.values()]
    return [page for value in values for page in (pages_of_the_site(value) if isinstance(value, list) else [value])]


def test_the_site_names_every_page_once():
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    named = pages_of_the_site(yaml.safe_load(text)["nav"])
    there = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    assert sorted(named) == sorted(there)


def test_a_path_of_this_machine_stands_nowhere():
    machine = re.compile(r"(?:^|[\s\"'`(=])(/(?:tmp|work|home|root|Users|opt|var)/\S*)", re.MULTILINE)
    assert {page: machine.findall(text) for page, text in PAGES.items() if machine.search(text)} == {}
    assert machine.findall("see `/home/me/model.keras`") == ["/home/me/model.keras`"]


def test_python_files_of_the_docs_are_shown_or_write_a_page():
    scripts = {path.name for path in Path(DOCS).rglob("*.py")}
    shown = {name for name in scripts if any(name in text for text in PAGES.values())}
    assert scripts == shown
