"""The command where nobody reads it to the end, where a stream is closed, and where it is interrupted at once."""

import os
import signal
import subprocess
import sys

import pytest

COMMAND = "from kerasbn_export.cli import main; main()"
LONG = "print('line\\n' * 100_000)"
ANSWER = """
import sys
from kerasbn_export.cli import main as entry
from kerasbn_export.cli import dispatch
def command(arguments):
    {body}
    return {code}
dispatch._run = command
entry()
"""


def ended(script, *arguments, **how):
    """The exit code and what was written to standard error."""
    how = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **how}
    done = subprocess.run([sys.executable, "-c", script, *arguments], text=True, check=False, **how)
    return done.returncode, done.stderr


@pytest.mark.parametrize("code", [0, 1])
def test_a_pipe_whose_reader_has_gone_does_not_change_the_answer(code):
    """1 means that two models differ; a reader that has seen enough is no difference."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert ended(ANSWER.format(body=LONG, code=code), stdout=writer) == (code, "")
    finally:
        os.close(writer)


def test_a_full_disk_is_no_answer():
    with open("/dev/full", "w") as full:
        code, text = ended(ANSWER.format(body=LONG, code=0), stdout=full)
    assert code == 3
    assert text == "error: standard output: cannot be written: No space left on device.\n"


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_closed_stream_is_as_good_as_the_null_device(number, tmp_path):
    """A file that is opened must not get the number of a stream, or what is printed would go into it."""
    body = f"file = open({str(tmp_path / 'user')!r}, 'w'); print('text'); print('text', file=sys.stderr); file.flush()"
    script = f"import os\nos.close({number})\nos.execv(sys.executable, [sys.executable, '-c', {{inner!r}}])"
    inner = ANSWER.format(body=body, code=0)
    code, _ = ended("import sys\n" + script.format(inner=inner))
    assert code == 0
    assert (tmp_path / "user").read_text() == ""


def test_letters_that_the_stream_does_not_know():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    code, text = ended(ANSWER.format(body="print('n\\u00f6rm \\u2603 \\ud800')", code=0), env=environment)
    assert (code, text) == (0, "")


INTERRUPTED = "error: interrupted; nothing half-written is left\n"
EARLY = {
    "before anything is imported": """
import signal, sys
import kerasbn_export.cli.streams as streams
streams.open_missing = lambda: signal.raise_signal(signal.{name})
""",
    "while the folder for temporary files is made": """
import signal, sys, tempfile
real = tempfile.mkdtemp
def mkdtemp(**options):
    signal.raise_signal(signal.{name})
    return real(**options)
tempfile.mkdtemp = mkdtemp
""",
    "in the command": """
import os, signal, sys
from importlib import import_module
import_module("kerasbn_export.cli.main").run = lambda _: signal.raise_signal(signal.{name}) or 0
""",
    "in an import that makes another error of it": """
import signal
from kerasbn_export.cli import dispatch
def command(_):
    try:
        signal.raise_signal(signal.{name})
    except BaseException:
        pass
    raise RuntimeError("could not be imported")
dispatch._run = command
""",
    "while an error is told": """
import os, signal, sys
from kerasbn_export.cli import dispatch
def command(_):
    raise KeyboardInterrupt
dispatch._run = command
""",
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("place", EARLY)
def test_an_interruption_at_any_time_is_one_line(place, number, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    code, text = ended(EARLY[place].format(name=number.name) + COMMAND, "inspect", "none.keras", env=environment)
    assert (code, text) == (130, INTERRUPTED)
    assert list(tmp_path.iterdir()) == []


def test_an_error_without_an_interruption_is_one(tmp_path):
    """The same error, and nobody asked to stop."""
    script = EARLY["in an import that makes another error of it"].replace("signal.raise_signal(signal.{name})", "pass")
    code, text = ended(script + COMMAND, "inspect", "none.keras", env={**os.environ, "TMPDIR": str(tmp_path)})
    assert code == 3
    assert text.startswith("error: unexpected RuntimeError: could not be imported")


def test_the_entry_point_imports_nothing_before_it_sees_to_signals():
    script = (
        "import sys\nbefore = set(sys.modules)\nimport kerasbn_export.cli\nprint(sorted(set(sys.modules) - before))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "kerasbn_export.cli.main" in found
    for late in ("click", "rich", "numpy", "kerasbn.errors", "kerasbn_export.cli.dispatch", "tempfile"):
        assert f"'{late}'" not in found


def test_no_folder_for_temporary_files():
    environment = {**os.environ, "TMPDIR": "", "TEMP": "", "TMP": ""}
    script = "import tempfile\ntempfile.gettempdir = lambda: '/proc/nothing'\n" + COMMAND
    code, text = ended(script, "inspect", "none.keras", env=environment)
    assert code == 3
    assert text.startswith("error: no folder for temporary files")
