"""``kerasbn inspect`` of a finished ``.tflite`` file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from kerasbn_export.cli.output import print_json, stdout, table
from kerasbn_export.files.paths import is_there

SCHEMA_VERSION = 1


def is_tflite(path: str) -> bool:
    """Whether the path names a ``.tflite`` file, by its suffix or its content."""
    if Path(path).suffix == ".tflite":
        return True
    if not is_there(path) or not Path(path).is_file():
        return False
    with Path(path).open("rb") as file:
        return file.read(8)[4:] == b"TFL3"


def inspect_tflite(path: str, *, as_json: bool) -> None:
    """Prints what is in a file, and what kerasbn wrote into it when it made it."""
    from kerasbn_export.conversion.provenance import read_provenance
    from kerasbn_export.tflite.file import read_tflite

    file = read_tflite(path)
    made = read_provenance(file)
    if as_json:
        print_json(
            {
                "schema_version": SCHEMA_VERSION,
                "model": path,
                "precision": file.precision,
                "bytes": file.size,
                "ops": file.op_counts,
                "signatures": [signature.name for signature in file.signatures],
                "inputs": [{**asdict(tensor), "name": name} for name, tensor in _ends(file, "input")],
                "outputs": [{**asdict(tensor), "name": name} for name, tensor in _ends(file, "output")],
                "affine_ops": len(file.affine_ops),
                "made_by_kerasbn": made,
            }
        )
        return
    _print(path, file, made)


def _ends(file: Any, side: str) -> Any:
    return zip(getattr(file, f"{side}_names"), getattr(file, f"{side}s"), strict=True)


def _print(path: str, file: Any, made: dict[str, Any] | None) -> None:
    console = stdout()
    rows = [
        (signature.name, side, name, "x".join(map(str, tensor.shape)), tensor.dtype.lower())
        for signature in file.signatures
        for side in ("input", "output")
        for name, tensor in _ends(signature, side)
    ]
    console.print(table("", ("signature", "", "name", "shape", "type"), rows))
    console.print(table("", ("operation", "count>"), file.op_counts.items()))
    if made and made["verdicts"]:
        verdicts = [(v["layer"], v["action"], ", ".join(v["into"]) or v["sentence"]) for v in made["verdicts"]]
        console.print(table("", ("BatchNorm", "is", "into, or why not"), verdicts))
    lines = [f"{path}: {file.precision}, {file.size:,} bytes, {len(file.ops)} operations."]
    lines.append(f"{len(file.affine_ops)} operations multiply or add a per-channel constant.")
    lines.append(_maker(made))
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)


def _maker(made: dict[str, Any] | None) -> str:
    if made is None:
        return "Not made by kerasbn: what became of its BatchNorms is not known."
    how = "folded" if made["verdicts"] is not None else "not folded"
    source = f"{made['keras']} model {made['model']!r}, {how}; weights {made['sha256'][:16]}"
    device = f" for {made['device']}" if made.get("device") else ""
    return f"Made by kerasbn {made['kerasbn']}{device} from {source}."
