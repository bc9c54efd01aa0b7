"""``kerasbn demo``: train on real digits, fold, export, verify, and say what came of it."""

from kerasbn_export.demo.report import DemoReport
from kerasbn_export.demo.run import run_demo

__all__ = ["DemoReport", "run_demo"]
