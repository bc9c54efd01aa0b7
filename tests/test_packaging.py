import configparser
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path, PurePosixPath

import pytest

import kerasbn

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {
    "kerasbn": ROOT / "kerasbn",
    "kerasbn_export": ROOT / "export" / "kerasbn_export",
    "kerasbn_models": ROOT / "models" / "kerasbn_models",
}


def build_wheel(root, folder):
    """The wheel as `pip install kerasbn` gets it: built from the source archive."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(root)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def source_files():
    return {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for package, folder in SOURCES.items()
        for path in (*folder.rglob("*.py"), *folder.rglob("templates/*"), *folder.rglob("profiles/*.toml"))
    } | {f"{package}/py.typed" for package in SOURCES}


def package_files(wheel):
    """What the wheel holds besides its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    return {name for name in names if not PurePosixPath(name).parts[0].endswith(".dist-info")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


def test_wheel_holds_exactly_the_three_packages(wheel):
    assert package_files(wheel) == source_files()


@pytest.mark.parametrize(
    "stray", ["kerasbn/notes.txt", "export/kerasbn_export/model.tflite", "models/kerasbn_models/.cache"]
)
def test_a_stray_file_is_noticed(tmp_path, stray):
    copy = tmp_path / "copy"
    ignore = shutil.ignore_patterns(".*", "__pycache__", "kerasbn-demo", "build", "dist")
    shutil.copytree(ROOT, copy, ignore=ignore)
    assert package_files(build_wheel(copy, tmp_path / "clean")) == source_files()
    (copy / stray).write_text("left here by accident")
    extra = package_files(build_wheel(copy, tmp_path / "dist")) - source_files()
    assert extra == {stray.split("/", 1)[-1] if stray.split("/")[0] in ("export", "models") else stray}


def test_a_missing_module_is_noticed(tmp_path, wheel):
    short = tmp_path / "short.whl"
    with zipfile.ZipFile(wheel) as full, zipfile.ZipFile(short, "w") as archive:
        for name in full.namelist():
            if name != "kerasbn/errors.py":
                archive.writestr(name, full.read(name))
    assert source_files() - package_files(short) == {"kerasbn/errors.py"}


def test_console_script_is_the_only_entry_point(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        parser = configparser.ConfigParser()
        parser.read_string(archive.read(name).decode())
    assert {key: dict(parser[key]) for key in parser.sections()} == {
        "console_scripts": {"kerasbn": "kerasbn_export.cli:main"}
    }


@pytest.fixture(scope="module")
def installed(tmp_path_factory, wheel):
    """Runs a program of a new environment that has the wheel, from a folder with a user's script in it.

    The dependencies, 2 GB, are lent by this environment; kerasbn is not: a .pth file does not follow others.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv")
    programs = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install", "-q"]
    subprocess.run([*pip, "--no-index", "--no-deps", str(wheel)], check=True, capture_output=True)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "export.py").write_text("raise ImportError('a user script shadows a package of kerasbn')")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(program, *arguments):
        command = [str(programs / program), *arguments]
        return subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True)

    assert "No module named 'click'" in run("python", "-c", "import click").stderr  # it really is empty
    lent = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    target = run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    (Path(target) / "lent.pth").write_text("\n".join(dict.fromkeys(lent)))
    return run


def test_the_installed_packages_come_from_the_wheel(installed):
    code = "import kerasbn as a, kerasbn_export as b, kerasbn_models as c; print(a.__file__, b.__file__, c.__file__)"
    done = installed("python", "-c", code)
    assert done.stdout.count("site-packages") == 3, done.stderr
    assert str(ROOT) not in done.stdout


def test_version_runs_from_another_folder(installed):
    done = installed("kerasbn", "--version")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == kerasbn.__version__
    assert done.stderr == ""


def test_the_wheel_folds_a_model(installed):
    code = "from kerasbn_export import fold; from kerasbn_models import mlp; print(fold(mlp()).verdicts[0].into)"
    done = installed("python", "-c", code)
    assert done.stdout.split() == ["('hidden',)"], done.stderr
