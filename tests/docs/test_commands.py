"""Every command line of the pages is one that kerasbn takes, and those that are marked run."""

import re
import shlex

import click
import pytest
import yaml
from kerasbn_testing.pages import PAGES, ROOT, all_blocks, blocks_of, commands, spans

from kerasbn_export.cli.dispatch import COMMANDS, kerasbn_command
from kerasbn_export.cli.main import run

FOREIGN = {"--accelerator-config"}
"""Options of other programs."""
MARKED = [block for block in all_blocks("console") if block.run]


def indented(text):
    """Command lines that stand indented, without a fence."""
    return re.findall(r"^    (kerasbn .*)$", text, re.MULTILINE)


def in_jobs(page, text):
    """The command lines of a build server's jobs."""
    jobs = [job for block in blocks_of(page, text, "yaml") for job in yaml.safe_load(block.text)["jobs"].values()]
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def of_page(page, text):
    blocks = [block.text for block in blocks_of(page, text, "console")]
    return [arguments for each in (*blocks, *indented(text), *in_jobs(page, text)) for arguments in commands(each)]


def parse(arguments):
    """Raises where the command or an option does not exist."""
    command = kerasbn_command.get_command(click.Context(kerasbn_command), arguments[0])
    assert command is not None, arguments[0]
    command.make_context(arguments[0], arguments[1:])


COMMAND_LINES = [(page, arguments) for page, text in PAGES.items() for arguments in of_page(page, text)]


@pytest.mark.parametrize(("page", "arguments"), COMMAND_LINES, ids=lambda value: str(value)[:60])
def test_the_command_exists(page, arguments):
    del page
    parse(arguments)


def known_options():
    """The options of every command, and of the benchmarks."""
    group = [kerasbn_command.get_command(click.Context(kerasbn_command), name) for name in COMMANDS]
    params = [param for command in (kerasbn_command, *group) for param in command.params]
    scripts = " ".join(path.read_text("utf-8") for path in (ROOT / "benchmarks").glob("*.py"))
    own = {name for param in params for name in (*param.opts, *param.secondary_opts)}
    return own | FOREIGN | {"--help"} | set(re.findall(r"--[a-z0-9-]+", scripts))


def unknown_options(text):
    """The options in a page's inline code that no command has."""
    named = {name for span in spans(text) for name in re.findall(r"(?:^|\s)(--[a-z][a-z0-9-]*)", span)}
    return sorted(named - known_options())


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_options_in_the_prose_exist(page):
    assert unknown_options(PAGES[page]) == []


def test_an_option_that_is_not_there_is_noticed():
    assert unknown_options("Say `--best` or `kerasbn export --bets`.") == ["--bets"]


def test_every_command_is_shown():
    assert {arguments[0] for _, arguments in COMMAND_LINES} == set(COMMANDS)


def test_a_wrong_command_would_be_noticed():
    page = "```console\nkerasbn export m.keras -o m.tflite --precison int8\nkerasbn prove a b\nls\n```\n"
    wrong, unknown = of_page("x.md", page)
    with pytest.raises(click.UsageError):
        parse(wrong)
    with pytest.raises(AssertionError):
        parse(unknown)


@pytest.mark.parametrize("block", MARKED, ids=lambda block: block.page)
def test_marked_commands_run(block, tmp_path, monkeypatch, capsys):
    from kerasbn_models import digits_cnn

    monkeypatch.chdir(tmp_path)
    digits_cnn().save("model.keras")
    for line in block.lines:
        program, *arguments = shlex.split(line)
        assert program == "kerasbn"
        assert run(arguments) == 0, line + capsys.readouterr().err


def test_some_are_marked():
    assert {block.page for block in MARKED} >= {"docs/how-to/phone.md", "docs/how-to/ci.md"}
