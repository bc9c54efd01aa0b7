"""``kerasbn demo``: train on real data, fold, export, verify, and say what came of it."""

from kerasbn_export.demo.listing import print_tasks
from kerasbn_export.demo.report import DemoReport
from kerasbn_export.demo.run import run_demo
from kerasbn_export.demo.task import Task
from kerasbn_export.demo.tasks import TASKS, task_named

__all__ = ["TASKS", "DemoReport", "Task", "print_tasks", "run_demo", "task_named"]
