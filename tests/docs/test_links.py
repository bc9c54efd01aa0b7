"""Every link and every path in the pages leads to a file that exists, and every anchor to a heading."""

import pytest
from kerasbn_testing.pages import PAGES, broken_links, links, missing_paths

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    assert broken_links(page, PAGES[page]) == []


def test_there_are_links():
    assert sum(len(links(text)) for text in PAGES.values()) > 60


@pytest.mark.parametrize("target", ["docs/none.md", "docs/glossary.md#none", "#none", "docs/how-to/none/phone.md"])
def test_a_broken_link_is_noticed(target):
    assert broken_links("README.md", f"# Title\n\nSee [this]({target}).\n") == [target]


@pytest.mark.parametrize("target", ["docs/glossary.md#sqnr", "#what-folds-in-short", "docs/", "https://example.org/x"])
def test_a_good_link_is_none(target):
    assert broken_links("README.md", f"# What folds, in short\n\nSee [this]({target}).\n") == []


@pytest.mark.parametrize("page", PAGES)
def test_paths_in_code_exist(page):
    assert missing_paths(PAGES[page]) == []


def test_a_path_that_is_not_there_is_noticed():
    assert missing_paths("Run `python benchmarks/none.py`, see `tests/docs` and `kerasbn/none/`.") == [
        *("benchmarks/none.py", "kerasbn/none/"),
    ]
