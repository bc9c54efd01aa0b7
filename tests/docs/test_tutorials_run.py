"""The tutorials run from the first line to the last, in an empty folder, and their own assertions hold."""

import subprocess
import sys

import pytest
from kerasbn_testing.pages import DOCS, PAGES

TUTORIALS = sorted((DOCS / "tutorials").glob("*.py"))
LAST = {"photos_to_int8.py": "accuracy: model ", "ecg_to_microcontroller.py": "accuracy "}
FILES = {"photos_to_int8.py": {"photos.tflite"}, "ecg_to_microcontroller.py": {"ecg.tflite"}}


@pytest.mark.parametrize("script", TUTORIALS, ids=lambda path: path.stem)
def test_the_tutorial_runs(script, tmp_path):
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(LAST[script.name])
    assert {path.name for path in tmp_path.iterdir()} == FILES[script.name]


def test_each_has_a_page_that_shows_it():
    assert {path.name for path in TUTORIALS} == set(LAST)
    for path in TUTORIALS:
        assert any(f'--8<-- "docs/tutorials/{path.name}"' in text for text in PAGES.values()), path.name
