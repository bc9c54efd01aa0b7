"""The pages are in short sentences."""

import pytest
from kerasbn_testing.pages import PAGES, sentences, words_per_sentence

pytestmark = pytest.mark.quick

MEAN, LONGEST = 15, 30
"""Words of a sentence."""
LISTS = (
    *("docs/compatibility.md", "docs/models.md", "docs/statistics.md"),
    *("docs/reference/api.md", "benchmarks/README.md"),
)
"""Pages that are mostly tables, with notes between."""
GUARDED = [page for page in PAGES if page not in LISTS]


def too_long(text):
    """What is wrong with the prose, empty where nothing is."""
    long = [sentence for sentence in sentences(text) if len(sentence.split()) > LONGEST]
    mean = words_per_sentence(text)
    return long + ([f"{mean:.1f} words a sentence"] if mean > MEAN else [])


@pytest.mark.parametrize("page", GUARDED)
def test_sentences_are_short(page):
    assert too_long(PAGES[page]) == []


def test_the_pages_are_guarded():
    assert len(GUARDED) >= 20


def test_a_long_sentence_is_caught():
    long = "Where folding may cost accuracy " + "and so on " * 10 + "it measures."
    assert too_long(f"# Title\n\nShort. So is this. And this.\n{long}\n") == [long]
    assert too_long("One word is " + "one word " * 8 + "more.") == ["20.0 words a sentence"]


def test_code_tables_and_headings_are_no_prose():
    prose = "First `a b c d`. Second [a link](to/it.md)."
    page = f"# A heading\n\n{prose}\n\n| a | b |\n\n```python\ncode.\n```\n\n* An item.\n"
    assert sentences(page) == ["First code.", "Second a link.", "An item."]
