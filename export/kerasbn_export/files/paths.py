"""Every path that a command or a function reads and writes, looked at before anything slow.

Refused is what would cost a file of the user's: an output that is something read, by whatever name (a link, a hard
link, other letters on a file system that knows no case), or lies in a folder that is read; two outputs at one place; an
output whose suffix says that it is something else.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from kerasbn.errors import OutputError
from kerasbn_export.files.atomic import check_destination

STANDARD_OUTPUT = "-"
MODELS = ("MODEL", "REFERENCE", "CANDIDATE", "model")
"""What a model is called among what is read."""


@dataclass(frozen=True)
class Kind:
    """What is written to a path.

    Attributes:
        name: In words, with an article.
        suffixes: Of its files.
        strict: Whether it takes no other suffix; else it takes all but those of the other kinds and of data.
    """

    name: str
    suffixes: tuple[str, ...]
    strict: bool = False


KERAS_MODEL = Kind("a Keras model", (".keras", ".h5", ".hdf5"), strict=True)
TFLITE = Kind("a TFLite file", (".tflite",), strict=True)
ANY_TFLITE = Kind("a TFLite file", (".tflite",))
C_SOURCE = Kind("a C array", (".c", ".h", ".cc", ".cpp", ".hpp", ".inc"), strict=True)
JSON = Kind("JSON", (".json",))
JUNIT = Kind("JUnit XML", (".xml",))
HTML = Kind("an HTML page", (".html", ".htm"))
KINDS = (KERAS_MODEL, TFLITE, C_SOURCE, JSON, JUNIT, HTML)
DATA = frozenset({".npy", ".npz", ".pb", ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".csv", ".py", ".index"})
"""What kerasbn never writes and a user would not want to lose."""


@dataclass(frozen=True)
class Output:
    """One path that is written, by the name of its option or argument; ``-`` is standard output."""

    option: str
    path: str | Path | None
    kind: Kind

    @property
    def to_file(self) -> bool:
        """Whether a file is written."""
        return self.path not in (None, STANDARD_OUTPUT)


def check_paths(reads: Mapping[str, Any], outputs: Sequence[Output]) -> None:
    """Refuses what would cost a file, before anything slow is begun.

    Args:
        reads: The paths that are read, by the names of their options; what is no path is passed over.
        outputs: What is written.

    Raises:
        OutputError: See the module's docstring, or a path cannot be written.
    """
    files = [output for output in outputs if output.to_file]
    for output in files:
        check_destination(_path(output))
    _check_apart([output for output in outputs if output.path is not None])
    for option, source in reads.items():
        if isinstance(source, (str, Path)) and is_there(source):
            for output in files:
                _check_source(option, Path(source), output)
    for output in files:
        _check_suffix(output)


def is_there(path: str | Path) -> bool:
    """Whether a file or a folder has that name; false for what cannot be a name."""
    try:
        return Path(path).exists()
    except OSError:
        return False


def _path(output: Output) -> Path:
    return Path(str(output.path))


def _check_suffix(output: Output) -> None:
    suffix, kind = _path(output).suffix.lower(), output.kind
    others = DATA.union(*(other.suffixes for other in KINDS)).difference(kind.suffixes)
    if suffix not in kind.suffixes and (kind.strict or suffix in others):
        raise OutputError(
            f"{output.path}: {output.option} writes {kind.name}; give a name that ends in {_either(kind.suffixes)}."
        )


def _either(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _check_apart(outputs: Sequence[Output]) -> None:
    for one, other in combinations(outputs, 2):
        if one.to_file != other.to_file or (one.to_file and not _same_place(_path(one), _path(other))):
            continue
        where = f"{other.path}" if one.to_file else "standard output"
        raise OutputError(f"{where}: both {one.option} and {other.option} would be written there; give two names.")


def _same_place(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return _plain(one) == _plain(other)


def _plain(path: Path) -> str:
    """The path without links, and as a file system sees it that knows no case."""
    return unicodedata.normalize("NFC", str(path.resolve())).casefold()


def _check_source(option: str, source: Path, output: Output) -> None:
    path = _path(output)
    if path.exists() and path.samefile(source):
        what = "the model itself" if option in MODELS else "what is read"
        raise OutputError(
            f"{output.path}: is {what}, given as {option}; give another name for {output.option}, the result."
        )
    if source.is_dir() and any(_inside(source, path)):
        raise OutputError(
            f"{output.path}: {output.option} would be written into the folder {source} of {option}, which is read; "
            "give a name elsewhere."
        )


def _inside(folder: Path, path: Path) -> Iterator[bool]:
    """Whether a folder, or what its links point at, holds the path."""
    yield from (parent.samefile(folder) for parent in path.resolve().parents if parent.exists())
    if path.exists():
        yield from (file.samefile(path) for file in folder.rglob("*") if file.exists())
