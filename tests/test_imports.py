"""The walls of the house: which folder may import which. Each contract is broken once in a copy, and has to say so."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"kerasbn": ROOT, "kerasbn_export": ROOT / "export", "kerasbn_models": ROOT / "models"}

BREAKS = {
    "packages": ("kerasbn/ghost.py", "import kerasbn_export.precision"),
    "folders": ("kerasbn_export/graph/model.py", "import kerasbn_export.folding.verdict"),
    "verification": (
        "kerasbn_export/verification/network/bound.py",
        "import kerasbn_export.verification.outputs.judge",
    ),
    "folding": ("kerasbn_export/folding/rules/add.py", "import kerasbn_export.folding.passes.clone"),
    "algebra": ("kerasbn_export/algebra/affine.py", "import kerasbn.errors"),
    "tensorflow": ("kerasbn_export/folding/ledger.py", "import tensorflow"),
    "circles": ("kerasbn_export/algebra/affine.py", "import kerasbn_export.algebra.linear"),
}
"""By contract: a file, and an import that it may not have."""


def lint(folder, *contracts):
    named = [word for contract in contracts for word in ("--contract", contract)]
    script = "import sys; from importlinter.cli import lint_imports_command as run; run(args=sys.argv[1:])"
    config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", *named]
    paths = os.pathsep.join(str(folder / package.relative_to(ROOT)) for package in PACKAGES.values())
    return subprocess.run(
        [sys.executable, "-P", "-c", script, *config],
        cwd=folder,
        env={"PYTHONPATH": paths, "PATH": "", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("house")
    for name, home in PACKAGES.items():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(home / name, folder / home.relative_to(ROOT) / name, ignore=ignored)
    return folder


def test_every_contract_is_kept():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert f"Contracts: {len(BREAKS)} kept, 0 broken." in done.stdout


@pytest.mark.parametrize("contract", BREAKS)
def test_a_contract_that_is_broken_is_found(copy, contract):
    name, line = BREAKS[contract]
    file = copy / PACKAGES[name.partition("/")[0]].relative_to(ROOT) / name
    before = file.read_text()
    file.write_text(
        before.replace("\nfrom __future__ import annotations\n", f"\nfrom __future__ import annotations\n{line}\n")
    )
    try:
        done = lint(copy, contract)
    finally:
        file.write_text(before)
    assert done.returncode == 1, done.stdout
    assert "0 kept, 1 broken" in done.stdout


def uses_of_tf_lite(text):
    """The lines that say ``tf.lite`` or ``tensorflow.lite`` in code."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and node.attr == "lite" and ast.unparse(node.value) in ("tf", "tensorflow")
    ]


def test_tf_lite_is_used_in_one_file():
    using = {
        str(path.relative_to(home))
        for name, home in PACKAGES.items()
        for path in (home / name).rglob("*.py")
        if uses_of_tf_lite(path.read_text())
    }
    assert using == {"kerasbn_export/conversion/tensorflow.py"}
    assert uses_of_tf_lite("x = 1\ny = tf.lite.Optimize") == [2]


def test_every_folder_says_what_it_is():
    for name, home in PACKAGES.items():
        for init in (home / name).rglob("__init__.py"):
            assert len((ast.get_docstring(ast.parse(init.read_text())) or "").split()) > 8, init
