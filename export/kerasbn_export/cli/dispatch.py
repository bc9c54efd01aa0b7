"""Finds the command, keeps it quiet, and turns every error into one line and an exit code."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

import click

import kerasbn
from kerasbn.errors import KerasBNError
from kerasbn_export.cli.exit_codes import FAILED, INTERRUPTED, INTERRUPTION, USAGE
from kerasbn_export.cli.interrupts import was_interrupted
from kerasbn_export.cli.output import printable
from kerasbn_export.cli.quiet import quiet
from kerasbn_export.cli.streams import patient_stdout

COMMANDS = (
    *("demo", "check", "recalibrate", "inspect", "fold", "export", "finetune", "verify", "recheck", "benchmark"),
    *("explain", "devices"),
)
"""In the order in which one uses them."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands in the order in which one uses them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of that name, from the module of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"kerasbn_export.cli.{cmd_name}").command
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(kerasbn.__version__, prog_name="kerasbn", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show log lines and the traceback of an error.")
def kerasbn_command(debug: bool) -> None:
    """Train with BatchNorm, ship without it, and prove that nothing changed.

    MODEL is a .keras, .h5/.hdf5 or SavedModel of Keras 2 or Keras 3; kerasbn finds out which.
    """


def run(arguments: Sequence[str]) -> int:
    """Runs one command; gives its exit code."""
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        with quiet(enabled=not debug), patient_stdout():
            return _run(arguments)
    except BaseException as error:
        if debug:
            traceback.print_exc()
        return _report(error)


def _run(arguments: list[str]) -> int:
    code = kerasbn_command.main(arguments, prog_name="kerasbn", standalone_mode=False)
    return code if isinstance(code, int) else 0


def _report(error: BaseException) -> int:
    """Writes an error as one line; gives the exit code."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if was_interrupted() or isinstance(error, (KeyboardInterrupt, click.Abort)):
        return _say(INTERRUPTION, INTERRUPTED)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return USAGE
    if isinstance(error, click.UsageError):
        hint = f" (see '{error.ctx.command_path} --help')" if error.ctx else ""
        return _say(error.format_message() + hint, USAGE)
    if isinstance(error, click.ClickException):
        return _say(error.format_message(), USAGE)
    if isinstance(error, KerasBNError):
        return _say(str(error), error.exit_code)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    what = str(error) or "no message"
    return _say(f"unexpected {type(error).__name__}: {what} (--debug shows the traceback)", FAILED)


def _say(message: str, code: int) -> int:
    with suppress(OSError):  # nobody reads it; the exit code stands
        click.echo("error: " + printable(" ".join(message.split())), err=True)
    return code
