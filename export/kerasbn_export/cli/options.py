"""Options that several commands have."""

from __future__ import annotations

TARGETS = ("latency", "ops", "size")
"""As `kerasbn_export.cost.TARGETS`, which is not imported for the sake of ``--help``."""

TARGET_HELP = "What to prefer among exact forms."

DEVICE_HELP = (
    "What the file is for: xnnpack, tflm, ethos-u55, ethos-u65 or ethos-u85, the last three also as ethos-u55-128."
)

VERBOSE_HELP = "A line for every BatchNorm, not only for those that are left."
