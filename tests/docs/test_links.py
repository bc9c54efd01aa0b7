"""Every link of the pages leads to a file that exists, and to a heading that it has."""

import pytest
from kerasbn_testing.pages import PAGES, broken_links, links


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
