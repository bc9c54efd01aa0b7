"""Writes reasons.md from the reasons and their docstrings: ``python docs/reference/write_reasons.py``."""

import ast
import inspect
from pathlib import Path

from kerasbn_export.folding import verdict

PAGE = Path(__file__).with_name("reasons.md")
ADVICE = {
    "training": "Call the layer without `training=True` before you export.",
    "not-linear": "Put the BatchNorm before the activation, if you may train again.",
    "activation": "Take the activation out of the layer: Dense, BatchNorm, then the activation.",
    "several-uses": "Let the other users read the output of the BatchNorm.",
    "shared": "Use `--target latency`, which clones the layer.",
    "axis": "Normalize the channel axis.",
    "model-input": "Scale the inputs before the model, or put a convolution or Dense first.",
    "model-output": "Give out the value after the BatchNorm only.",
    "negative-scale": "Train with a gamma that stays at 0 or above.",
    "zero-padding": "Use `--target ops`, or padding `valid`.",
    "not-affine": "Put the BatchNorm right behind a convolution or Dense.",
    "shape": "Give `Input` a fixed size.",
    "overflow": "Look at the statistics: a variance is nearly 0, or a weight is huge.",
    "coarser": "Nothing: this file is the more accurate one. `--no-best` takes the other.",
    "opaque": "Register the class with `register_layer`, or use stock layers.",
}
HEAD = """# Why a BatchNorm stays

<!-- Written by docs/reference/write_reasons.py from kerasbn_export.folding.verdict.Reason. -->

A BatchNorm that is not gone has a verdict with one of these reasons, and a sentence that names the layers.
`kerasbn inspect MODEL` prints both.

| reason | meaning | what you can do |
| --- | --- | --- |
"""


def meanings() -> dict[str, str]:
    """What each reason means, by its value: the string below it in the class."""
    (reasons,) = ast.parse(inspect.getsource(verdict.Reason)).body
    assert isinstance(reasons, ast.ClassDef)
    pairs = zip(reasons.body, reasons.body[1:], strict=False)
    return {ast.literal_eval(a.value): ast.literal_eval(b.value) for a, b in pairs if isinstance(a, ast.Assign)}


def page() -> str:
    """The page."""
    rows = [f"| `{name}` | {text.replace('``', '`')} | {ADVICE.get(name, '')} |" for name, text in meanings().items()]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
