"""Options that several commands have."""

from __future__ import annotations

TARGETS = ("latency", "ops", "size")
"""As `kerasbn_export.cost.TARGETS`, which is not imported for the sake of ``--help``."""

TARGET_HELP = "What to prefer among exact forms."
