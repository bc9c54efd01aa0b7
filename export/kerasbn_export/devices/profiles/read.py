"""Reads a profile: every key is checked, and an error names the file, the key, what was found and what is accepted."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.devices.profiles.device import ANY, MICRO, REFUSED, TFLITE, Device
from kerasbn_export.files.reading import first_line, reading
from kerasbn_export.precision import GRANULARITIES, PRECISIONS
from kerasbn_export.tflite.flatbuffer import enumeration

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST = 1 << 20
"""Bytes of a profile; those of kerasbn have some thousand."""
TOOLS = ("xnnpack", "tflite-micro", "ethos-u-vela")
"""What kerasbn can measure with; see `kerasbn_export.devices.measure`."""
MEMORIES = ("file_bytes", "arena_bytes")


@dataclass(frozen=True)
class Complaint:
    """What is not accepted: the key below the one that was checked, what was found there, and what is accepted."""

    below: str
    found: Any
    accepted: str


Check = Callable[[Any], Complaint | None]


def read_profile(path: Path) -> Device:
    """The device that a TOML file describes.

    Raises:
        InvalidArgumentError: There is no such file, it is no TOML, or it says something that is not accepted.
    """
    with reading(path, "is no device profile", InvalidArgumentError, missing="there is no such device profile"):
        if path.stat().st_size > LARGEST:
            raise InvalidArgumentError(f"{path}: is no device profile: it has more than {LARGEST:,} bytes.")
        record = _parsed(path)
    _check(record, path)
    operations = {key: frozenset(ops) for key, ops in record.get("operations", {}).items()}
    made: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}
    made.update(operations=operations, refused_others=_only(record, operations))
    return Device(**made)


def _only(record: Mapping[str, Any], operations: Mapping[str, frozenset[str]]) -> frozenset[str] | None:
    """The operations outside of which a file cannot run."""
    others = record.get("others", TFLITE)
    if others == MICRO:
        return read_profile(Path(__file__).with_name(f"{MICRO}.toml")).refused_others
    return frozenset[str]().union(*operations.values()) if others == REFUSED else None


def _parsed(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        return record
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgumentError(f"{path}: is no TOML: {first_line(str(error)) or 'nested too deeply'}.") from error


def _check(record: Mapping[str, Any], path: Path) -> None:
    for key, value in record.items():
        if key not in CHECKS:
            raise InvalidArgumentError(f"{path}: key {key!r} is not known; accepted: {', '.join(CHECKS)}.")
        if wrong := CHECKS[key](value):
            where = f"{key}.{wrong.below}" if wrong.below else key
            raise InvalidArgumentError(f"{path}: {where} = {_shown(wrong.found)}; accepted: {wrong.accepted}.")
    for key in ("name", "precisions"):
        if key not in record:
            wanted = CHECKS[key](None)
            raise InvalidArgumentError(
                f"{path}: key {key!r} is missing; accepted: {wanted.accepted if wanted else ''}."
            )
    if record.get("others") == REFUSED and not record.get("operations"):
        raise InvalidArgumentError(f"{path}: others = {REFUSED!r} refuses every operation; operations must name some.")
    if record.get("measured_by") == "ethos-u-vela" and not record.get("sizes"):
        raise InvalidArgumentError(f"{path}: measured_by = 'ethos-u-vela' needs sizes, as [256, 128].")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _is(holds: Callable[[Any], object], accepted: str) -> Check:
    """The check of a single value."""
    return lambda value: None if holds(value) else Complaint("", value, accepted)


def _one_of(*accepted: str) -> Check:
    return _is(lambda value: isinstance(value, str) and value in accepted, ", ".join(accepted))


def _each(check: Check) -> Check:
    """The check of a list, of which each item is checked."""

    def checked(value: Any) -> Complaint | None:
        if isinstance(value, list) and value:
            return next(filter(None, map(check, value)), None)
        one = check(None)
        return Complaint("", value, f"a list, each of it one of {one.accepted}" if one else "a list")

    return checked


def _table(keys: Sequence[str], check: Callable[[str], Check]) -> Check:
    """The check of a table; what its values may be depends on their keys."""

    def checked(value: Any) -> Complaint | None:
        if not isinstance(value, Mapping):
            return Complaint("", value, f"a table with the keys {', '.join(keys)}")
        for key, each in value.items():
            if key not in keys:
                return Complaint("", key, f"the keys {', '.join(keys)}")
            if wrong := check(key)(each):
                return replace(wrong, below=f"{key}.{wrong.below}".rstrip("."))
        return None

    return checked


def _io_dtype(precision: str) -> Check:
    return _one_of(*PRECISIONS[precision].io_dtypes)


def _is_operation(value: Any) -> bool:
    return isinstance(value, str) and value in _schema()


@cache
def _schema() -> frozenset[str]:
    return frozenset(enumeration("BuiltinOperator").values())


_NAME = _is(
    lambda value: isinstance(value, str) and re.fullmatch(r"[\w.-]+", value), "a name of letters, digits and - _ ."
)
_TEXT = _is(lambda value: isinstance(value, str) and value.strip(), "a text")
_COUNT = _is(lambda value: type(value) is int and value >= 1, "a whole number at least 1")
_OPERATION = _is(_is_operation, "the names of TFLite's schema, as CONV_2D")
_SPEED = _one_of("cheap", "slow")
FACTS = tuple(each.name for each in fields(Device) if each.name not in ("name", "title", "refused_others", "size"))
CHECKS: Mapping[str, Check] = {
    "name": _NAME,
    "title": _TEXT,
    "precisions": _each(_one_of(*PRECISIONS)),
    "weights": _one_of(*GRANULARITIES),
    "fixed_batch": _is(lambda value: isinstance(value, bool), "true, false"),
    "operations": _table((ANY, *PRECISIONS), lambda _: _each(_OPERATION)),
    "others": _one_of(TFLITE, MICRO, REFUSED),
    "activations": _table(tuple(PRECISIONS), lambda _: _one_of("symmetric", "asymmetric")),
    "io_dtypes": _table(tuple(PRECISIONS), _io_dtype),
    "memory": _table(MEMORIES, lambda _: _COUNT),
    "channels": _COUNT,
    "lone_activation": _SPEED,
    "depthwise_1x1": _SPEED,
    "sizes": _each(_COUNT),
    "measured_by": _one_of(*TOOLS),
    "compiler": _TEXT,
    "sources": _table(FACTS, lambda _: _TEXT),
}
"""What each key of a profile accepts."""
