"""Writes devices.md from the profiles of devices: ``python docs/reference/write_devices.py``."""

from pathlib import Path

from kerasbn_export.devices.profiles import NAMES, find_device

PAGE = Path(__file__).with_name("devices.md")
HEAD = """# Devices

<!-- Written by docs/reference/write_devices.py from export/kerasbn_export/devices/profiles. -->

`kerasbn export --device NAME` exports for a device: [which precision for which chip](../how-to/which-precision.md).
`kerasbn devices` prints this page's facts. An empty cell is a fact that kerasbn does not know, and does not claim.

| device | what it is | precisions | weights | fixed batch | measured by | maker's tool |
| --- | --- | --- | --- | --- | --- | --- |
"""
OPERATIONS = """
## Operations

Only listed where a public document lists them. An operation outside of its device's list is named in the report.

| device | precision | operations |
| --- | --- | --- |
"""
SPEED = """
## What is slow or cheap there

| device | a lone activation | a depthwise 1x1 | channels in multiples of |
| --- | --- | --- | --- |
"""
SOURCES = """
## Sources

| device | fact | source |
| --- | --- | --- |
"""


def row(*cells):
    """A row of a table; what is not known is empty."""
    return "| " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |\n"


def main_row(device):
    """The device's row of the first table."""
    precisions = ", ".join(f"`{precision}`" for precision in device.precisions)
    batch = {True: "yes", False: "no"}.get(device.fixed_batch)
    return row(f"`{device.name}`", device.title, precisions, device.weights, batch, device.measured_by, device.compiler)


def page():
    """The page."""
    found = [find_device(name) for name in NAMES]
    text = HEAD + "".join(map(main_row, found)) + OPERATIONS
    for device in found:
        for precision, ops in device.operations.items():
            text += row(f"`{device.name}`", precision, ", ".join(sorted(ops)))
    text += SPEED
    for device in found:
        facts = (device.lone_activation, device.depthwise_1x1, device.channels)
        text += row(f"`{device.name}`", *facts) if any(facts) else ""
    text += SOURCES
    for device in found:
        for fact, source in device.sources.items():
            text += row(f"`{device.name}`", fact, f"<{source}>" if source.startswith("http") else source)
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
