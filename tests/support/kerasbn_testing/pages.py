"""The pages for readers, and what is in them: README, CONTRIBUTING, CHANGELOG and docs/."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in (*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "benchmarks" / "README.md")
}
WRITTEN = ("kerasbn-demo", "site")
"""Folders that commands of the pages write."""
RUN = "<!-- run -->"
"""Stands before a block that the tests run."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    text: str
    run: bool

    @property
    def lines(self):
        return self.text.splitlines()


def blocks_of(page, text, language=None):
    """The fenced blocks, in their order."""
    found = re.findall(rf"^({RUN}\n)?```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    blocks = [Block(page, name, body, bool(mark)) for mark, name, body in found]
    return [block for block in blocks if language in (None, block.language)]


def all_blocks(language):
    return [block for page, text in PAGES.items() for block in blocks_of(page, text, language)]


def without_blocks(text):
    """The page without code and comments."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def anchors(text):
    """The names that a page's headings can be linked to by."""
    titles = re.findall(r"^#+ (.*)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def links(text):
    """The targets of the page's links that lead to other pages of this repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", without_blocks(text)))
    return [target for target in found if "://" not in target]


def broken_links(page, text, pages=PAGES):
    """The links that lead nowhere."""
    return [target for target in links(text) if not _leads_somewhere(page, text, target, pages)]


def _leads_somewhere(page, text, target, pages):
    path, _, anchor = target.partition("#")
    there = (ROOT / page).parent / path if path else ROOT / page
    if not there.exists():
        return False
    if not anchor:
        return True
    name = there.resolve().relative_to(ROOT).as_posix()
    return anchor in anchors(text if name == page else pages[name])


def commands(text):
    """The arguments of every kerasbn command in a block."""
    parts = [shlex.split(line, comments=True) for line in text.splitlines()]
    return [words[1:] for words in parts if words and words[0] == "kerasbn"]


def sentences(text):
    """The sentences of a page's prose: no code, no tables, no headings."""
    prose = [line for line in without_blocks(text).splitlines() if not re.match(r"\||#| {4}", line)]
    paragraphs = re.split(r"\n\s*\n|\n(?=\s*(?:[*-]|\d+\.) )", "\n".join(prose))
    return [sentence for paragraph in paragraphs for sentence in _split(paragraph)]


def _split(paragraph):
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]*`", "code", paragraph))
    plain = re.sub(r"^\s*(?:[*-]|\d+\.) ", "", plain).replace("*", "")
    return [part for part in re.split(r"(?<=[.!?])\s+", plain.strip()) if part]


def words_per_sentence(text):
    """The mean length of a page's sentences."""
    found = sentences(text)
    return sum(len(sentence.split()) for sentence in found) / max(len(found), 1)


def spans(text):
    """The inline code of a page."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", without_blocks(text))


def missing_paths(text):
    """The paths of this repository in a page's code that do not exist."""
    tops = "|".join(re.escape(path.name) for path in ROOT.iterdir() if path.is_dir() and path.name not in WRITTEN)
    found = [path for span in spans(text) for path in re.findall(rf"(?:^|\s)((?:{tops})/[\w./-]*\w/?)", span)]
    return [path for path in found if not (ROOT / path).exists()]
