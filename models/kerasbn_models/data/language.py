"""Which language is this sentence? Text classification."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kerasbn.errors import ModelFileError
from kerasbn_models.data.files import Array, Split, package_file, split_of

LANGUAGES = ("cs", "da", "de", "es", "fi", "fr", "hu", "it", "nl", "pl", "pt", "ro", "sv", "tr")


def messages(*, length: int = 64, shortest: int = 15, languages: tuple[str, ...] = LANGUAGES) -> Split:
    """Sentences as UTF-8 bytes (sentences, length), ended by zeros, and the number of their language.

    The translated messages of the web framework Django, **BSD-3** (``pip install --no-deps Django``). A fifth of the
    English messages is held out, with every translation: no test sentence says what a training sentence says.

    Args:
        length: Bytes of a sentence; what is longer is cut.
        shortest: Characters that a sentence must have.
        languages: Names of Django's folders.

    Raises:
        MissingPackageError: Django is not installed, or has no such language.
    """
    held: dict[bytes, bool] = {}
    rows: dict[tuple[bytes, int], None] = {}
    for number, language in enumerate(languages):
        for english, sentence in sorted(_sentences(language)):
            if len(sentence) >= shortest and sentence != english:
                text = sentence.encode()[:length]
                rows[text, number] = None
                # Two messages may have one translation, or begin alike: then neither is held out.
                held[text] = held.get(text, True) and _is_held_out(english)
    return split_of((_part([row for row in rows if held[row[0]] == part], length) for part in (False, True)), languages)


def _part(rows: list[tuple[bytes, int]], length: int) -> tuple[Array, Array]:
    """The bytes of every sentence, ended by zeros, and its language."""
    tokens = np.zeros((len(rows), length), "int32")
    for row, (text, _) in zip(tokens, rows, strict=True):
        row[: len(text)] = np.frombuffer(text, "uint8")
    return tokens, np.array([number for _, number in rows])


def _sentences(language: str) -> set[tuple[str, str]]:
    """The English message and its translation, of every part of Django."""
    folder = package_file("Django", "django", "conf", "locale", language, "LC_MESSAGES", "django.mo")
    root = folder.parents[4]
    others = root.glob(f"contrib/*/locale/{language}/LC_MESSAGES/django.mo")
    return {pair for path in (folder, *others) for pair in read_mo(path)}


def read_mo(path: Path) -> Iterator[tuple[str, str]]:
    """The messages of a gettext ``.mo`` file and their translations; of plurals the first.

    Raises:
        ModelFileError: The file is none.
    """
    content = path.read_bytes()
    order = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}.get(content[:4])
    if order is None:
        raise ModelFileError(f"{path} is no gettext .mo file; it begins with {content[:4]!r}.")
    count, originals, translations = struct.unpack_from(f"{order}3I", content, 8)
    for number in range(count):
        pair = [_text(content, order, table + 8 * number) for table in (originals, translations)]
        if pair[0]:  # the empty message is the header
            yield pair[0], pair[1]


def _text(content: bytes, order: str, entry: int) -> str:
    length, start = struct.unpack_from(f"{order}2I", content, entry)
    return content[start : start + length].rpartition(b"\x04")[2].partition(b"\x00")[0].decode("utf-8")


def _is_held_out(english: str) -> bool:
    return zlib.crc32(english.encode()) % 5 == 0
