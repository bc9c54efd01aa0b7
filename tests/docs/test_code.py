"""Every Python block of the pages compiles; those that are marked run, and print the block behind them."""

import contextlib
import io
import itertools

import pytest
from kerasbn_testing.pages import PAGES, all_blocks, blocks_of

SNIPPET = "--8<--"
CODE = [block for block in all_blocks("python") if SNIPPET not in block.text]


def printed(code):
    """What the code prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {"__name__": "page"})  # noqa: S102 - the page's own code
    return out.getvalue()


def marked(page, text):
    """The blocks that are run, each with the output that the page shows behind it."""
    blocks = blocks_of(page, text)
    return [(block, shown) for block, shown in itertools.pairwise(blocks) if block.run and block.language == "python"]


MARKED = [pair for page, text in PAGES.items() for pair in marked(page, text)]


@pytest.mark.parametrize("block", CODE, ids=lambda block: block.page)
def test_code_compiles(block):
    compile(block.text, block.page, "exec")


@pytest.mark.parametrize(("block", "shown"), MARKED, ids=lambda block: f"{block.page}-{block.language}")
def test_marked_code_prints_what_the_page_shows(block, shown):
    assert shown.language == "text"
    assert printed(block.text) == shown.text


def test_some_are_marked():
    assert len(MARKED) >= 2


def test_another_output_or_wrong_code_would_be_noticed():
    page = "<!-- run -->\n```python\nprint('kept')\n```\n\n```text\nfolded\n```\n\n```python\nprint(\n```\n"
    ((block, shown),) = marked("x.md", page)
    assert printed(block.text) != shown.text
    with pytest.raises(SyntaxError):
        compile(blocks_of("x.md", page, "python")[1].text, "x.md", "exec")
