"""The demos in one table, out of the reports that `kerasbn demo` wrote: that of docs/models.md.

    python benchmarks/demos.py FOLDER...              the demo.json files in these folders, and in folders in them
    python benchmarks/demos.py FOLDER... --markdown   the same as a table for a page

Scores are in percent. "BatchNorms" are those of the model, of the stock converter's int8 file, and of ours. Times are
ours over stock's. The exit code is 1 where a report says that the verifier refused a file of ours.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kerasbn_export.demo.tasks import TASKS
from models import print_table

HEADS = (
    *("demo", "Keras", "task, model", "data", "parameters", "BatchNorms", "metric", "float"),
    *("int8: stock, ours", "operations: stock, ours", "int8, kB: stock, ours", "time: float32, int8"),
)


def main() -> int:
    """Prints the table; 1 if a file was refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--markdown", action="store_true", help="the table for a page")
    arguments = parser.parse_args()
    records = [*reports(arguments.folders)]
    print_table(HEADS, [cells(record) for record in records], arguments.markdown)
    refused = [f"{record['task']}, {record['keras']}: refused" for record in records if not record["verified"]]
    print("\n".join(refused))
    return int(bool(refused))


def reports(folders: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """What the demos found, in the order of the demos, Keras 3 first."""
    found = [json.loads(path.read_text("utf-8")) for folder in folders for path in sorted(folder.rglob("demo.json"))]
    order = list(TASKS)
    yield from sorted(found, key=lambda record: (record["keras"] != "keras", order.index(record["task"])))


def cells(record: dict[str, Any]) -> list[str]:
    """A row."""
    task, forms = TASKS[record["task"]], {form["name"]: form for form in record["variants"]}
    trained, stock, ours = (forms[name] for name in ("Keras, trained", "int8, stock", "int8, kerasbn"))
    files, metric = (stock, ours), record["metric"]
    times = [forms[f"{precision}, kerasbn"]["latency"]["ratio"] for precision in ("float32", "int8")]
    return [
        f"`{task.name}`",
        record["keras"],
        task.title,
        task.data,
        f"{task.build(record['keras'], None).count_params():,}",
        ", ".join(str(form["batchnorms"]) for form in (trained, *files)),
        metric,
        f"{100 * trained[metric]:.1f}",
        ", ".join(f"{100 * form[metric]:.1f}" for form in files),
        ", ".join(str(form["ops"]) for form in files),
        ", ".join(f"{form['bytes'] / 1000:,.0f}" for form in files),
        ", ".join(f"{ratio:.2f}" for ratio in times),
    ]


if __name__ == "__main__":
    sys.exit(main())
