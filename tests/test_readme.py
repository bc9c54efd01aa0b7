"""The README is true: its code runs and prints what it says, its commands run, its tables are complete.

What holds for every page, as links and prose, is tested in tests/docs.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerasbn import recalibrate
from kerasbn_export.algebra.linear import LINEAR
from kerasbn_export.cli.main import run
from kerasbn_export.folding.rules.recurrent import KINDS as RECURRENT
from kerasbn_models import digits_cnn

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
SET_UP = (
    "python -m pip install -e '.[demo]' && kerasbn demo",
    "python -m pip install -e '.[test]' && python -m pytest",
)
KERASBN = [sys.executable, "-c", "import sys; from kerasbn_export.cli import main; sys.exit(main())"]


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def first_block_line(text):
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith("```"))


def machine_paths(text):
    return re.findall(r"(?:^|[\s\"'`(=])((?:/(?:tmp|work|home|root|Users|opt|var)/|[A-Z]:\\)\S*)", text)


def run_python(code, folder):
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_shape():
    lines = README.splitlines()
    assert len(lines) <= 110
    assert max(len(line) for line in lines if not line.startswith("|")) <= 120
    assert first_block_line(README) < 20
    assert "![" not in README
    assert "TODO" not in README


def test_set_up_commands_stand_on_lines_of_their_own():
    commands = [line.strip() for line in README.splitlines() if "pip install" in line]
    assert commands == list(SET_UP)


def test_python_block_prints_what_the_readme_shows(tmp_path):
    (code,) = blocks(README, "python")
    (shown,) = blocks(README, "text")
    assert run_python(code, tmp_path) == shown


def test_a_wrong_output_would_be_noticed(tmp_path):
    readme = "```python\nprint('kept')\n```\n```text\nfolded\n```\n"
    (code,), (shown,) = blocks(readme, "python"), blocks(readme, "text")
    assert run_python(code, tmp_path) != shown


def test_layers_that_take_a_batchnorm_in_are_listed():
    cells = dict(row.strip("| ").split(" | ") for row in README.splitlines() if row.startswith("| into weights"))
    assert sorted(cells["into weights, backwards or forwards"].split(", ")) == sorted(LINEAR)
    assert cells["into weights, one way only"] == f"backwards Embedding; forwards {', '.join(RECURRENT)}"


def test_no_machine_paths():
    assert machine_paths(README) == []
    assert machine_paths("see `/home/me/model.keras` or C:\\models") == ["/home/me/model.keras`", "C:\\models"]


def save_untrained(folder):
    """Images, and a model that is not trained but whose statistics are those of the images."""
    images, model = np.random.default_rng(0).random((512, 8, 8, 1), np.float32), digits_cnn()
    recalibrate(model, images, exact=True, force=True)
    np.save(folder / "images.npy", images)
    model.save(folder / "digits.keras")


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    """What `kerasbn demo`, tested in tests/export, leaves for the commands that follow it."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "kerasbn-demo").mkdir()
    save_untrained(folder / "kerasbn-demo")
    return folder


def test_commands_run_in_their_order(demo_folder, monkeypatch, capsys):
    monkeypatch.chdir(demo_folder)
    (console,) = blocks(README, "console")
    first, *others = console.splitlines()
    assert first == "kerasbn demo"
    for line in others:
        program, *arguments = shlex.split(line)
        assert program == "kerasbn"
        # A network that is not trained has nothing that training for int8 could keep.
        forced = ["--force"] if arguments[0] == "finetune" else []
        code = run([*arguments, *forced])
        answers = (0, 1) if arguments[0] == "explain" else (0,)  # likewise there may be something to mend
        assert code in answers, f"{line}\n{capsys.readouterr()}"
    assert {path.name for path in demo_folder.iterdir()} == {
        *(
            "kerasbn-demo",
            "recalibrated.keras",
            "folded.keras",
            "digits.tflite",
            "report.json",
            "report.html",
            "unfolded.tflite",
            "trained.tflite",
        ),
    }


def test_every_command_is_shown():
    import click

    from kerasbn_export.cli import main

    (console,) = blocks(README, "console")
    shown = {shlex.split(line)[1] for line in console.splitlines()}
    group = main if isinstance(main, click.Group) else None
    listed = set(group.commands) if group else set(re.findall(r"^  (\w+)  ", _help(), re.MULTILINE))
    assert shown == listed


def _help():
    return subprocess.run([*KERASBN, "--help"], capture_output=True, text=True, check=True).stdout
