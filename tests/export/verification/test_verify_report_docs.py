"""The pages about verify are true: their code runs, their tables are the constants, their output is the output."""

import math
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from kerasbn.errors import ConversionError, KerasBNError, NotComparableError
from kerasbn_export.cli.main import run
from kerasbn_export.tflite.interpreter import BACKENDS
from kerasbn_export.verification.records.comparison import Comparison
from kerasbn_export.verification.records.gates import GATES
from kerasbn_export.verification.records.outputs import Status

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE = (DOCS / "verify.md").read_text("utf-8")
CI = (DOCS / "how-to" / "ci.md").read_text("utf-8")
STORY = (DOCS / "how-to" / "verify-a-file.md").read_text("utf-8")
CORPUS = os.environ.get("KERASBN_CORPUS")


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def rows(text, heading):
    """The cells of the table whose first column has the heading."""
    found = re.search(rf"^\| {heading} \|.*\n\| ---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in found.group(1).splitlines()]


def test_the_gates_are_those_that_judge():
    listed = {row[0]: row[1].replace("\\|", "|").strip("`") for row in rows(PAGE, "precision")}
    wanted = {name: str(gate).replace("difference", "r - c").replace("reference", "r") for name, gate in GATES.items()}
    assert listed == wanted


def test_the_exit_codes_are_those_that_there_are():
    listed = {int(row[0]): row[1].split(":")[0].split(",")[0] for row in rows(PAGE, "exit code")}
    assert listed == {0: "equal", 1: "differs", 2: "that cannot be said", 3: "the tool failed"}
    assert [status.value for status in Status] == ["equal", "differs", "unproven", "unjudged"]
    assert NotComparableError.exit_code == KerasBNError.exit_code == 2
    assert ConversionError.exit_code == 3
    assert isinstance(Comparison.exit_code, property)


def test_every_backend_is_named():
    assert all(f"`{name}`" in PAGE or f"--backend {name}" in PAGE for name in BACKENDS)


def test_the_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in (*blocks(PAGE, "python"), *blocks(CI, "python")):
        exec(code, names)  # noqa: S102 - the page's own code
    names["model"].save("model.keras")
    shutil.copy("digits.tflite", "model.tflite")
    names["test_the_file_is_the_model"]()
    assert names["report"].exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("digits.tflite", "model.keras", "model.tflite", "report.json"),
    ]


def workflow(text):
    """The steps of the job, by what they do."""
    (source,) = blocks(text, "yaml")
    loaded = yaml.safe_load(source)
    assert sorted(map(str, loaded)) == ["True", "jobs", "name"]  # YAML 1.1 reads `on` as true
    (job,) = loaded["jobs"].values()
    return job["steps"]


def test_the_workflow_is_one():
    steps = workflow(CI)
    assert [sorted(step)[-1] for step in steps] == ["uses", "with", "run", "run", "run", "with"]
    uploaded = steps[-1]["with"]["path"]
    written = [part for part in shlex.split(steps[-2]["run"]) if part.startswith("report.")]
    assert len(written) == 3
    assert all(Path(name).match(uploaded) for name in written)
    assert steps[-1]["if"] == "always()"


def same(shown, printed):
    """Whether two outputs say the same; the last digits, and rounding errors, are the machine's."""
    pattern = re.compile(r"(\d[\d,]*\.?\d*(?:e[+-]?\d+)?)")
    one, other = (pattern.split(" ".join(re.sub("─+", "", text).split())) for text in (shown, printed))
    pairs = zip(one[1::2], other[1::2], strict=False)
    return one[::2] == other[::2] and all(_close(*(float(n.replace(",", "")) for n in pair)) for pair in pairs)


def _close(a, b):
    tiny = max(a, b) < 1e-5
    return math.isclose(a, b, rel_tol=0.1) or (tiny and min(a, b) * 10 > max(a, b))


def test_other_words_or_numbers_would_be_noticed():
    assert same("error 4.69e-07, 1,070x, 38.3 dB\n ──── a", "error 9e-07,  1,080x, 38.2 dB\n ─ a")
    for other in ("wrong 4.69e-07", "error 4.69e-03", "error 4.69e-07 1", "error"):
        assert not same("error 4.69e-07", other)
    assert not same("differs by 0.615", "differs by 0.5")


@pytest.mark.skipif(
    not CORPUS,
    reason="set KERASBN_CORPUS to a folder with ad01.h5 and ad01_fp32.tflite (github.com/mlcommons/tiny, 1afd2c9, "
    "benchmark/training/anomaly_detection/trained_models)",
)
def test_the_story_is_what_the_commands_print(tmp_path, monkeypatch, capsys):
    for name in ("ad01.h5", "ad01_fp32.tflite"):
        shutil.copy(Path(CORPUS) / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    lines = [shlex.split(line)[1:] for block in blocks(STORY, "console") for line in block.splitlines()]
    wrong, right = blocks(STORY, "text")
    assert [run(line) for line in lines[:1]] == [1]
    printed = capsys.readouterr().out
    assert same(wrong, printed), printed
    assert [run(line) for line in lines[1:]] == [0, 0]
    printed = capsys.readouterr().out
    assert same(right, printed.splitlines()[-1]), printed
