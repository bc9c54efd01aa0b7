"""The command line: ``kerasbn demo | inspect | fold | export | verify | recheck | benchmark | devices``.

One file per command; a command's file imports nothing heavy until the command runs.

Exit codes: 0 done, and equal where something was compared; 1 the answer is no; 2 the question cannot be answered as
it was put; 3 the tool failed; 130 interrupted.
"""

from kerasbn_export.cli.main import main

__all__ = ["main"]
