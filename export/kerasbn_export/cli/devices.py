"""``kerasbn devices``."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from kerasbn_export.cli.output import print_json, stdout, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kerasbn_export.devices.profiles import Device

SCHEMA_VERSION = 1
COLUMNS = ("device", "precisions", "weights", "operations", "memory", "measured by", "source")
UNKNOWN = "-"


@click.command("devices")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(name: str | None, as_json: bool) -> None:
    """What can be named after --device, and what is known of each.

    NAME shows one of them, or your own profile: my_npu.toml. A - stands for what is not known.
    """
    from kerasbn_export.devices.profiles import NAMES, find_device

    found = [find_device(each) for each in ([name] if name else NAMES)]
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, "devices": [device.to_json() for device in found]})
        return
    console = stdout()
    if name:
        console.print(table(found[0].title, ("fact", "is", "source"), _facts(found[0])))
        return
    console.print(table("", COLUMNS, map(_row, found)))
    console.print("kerasbn devices NAME shows one; --device my_npu.toml takes your own.", soft_wrap=True)


def _row(device: Device) -> tuple[str, ...]:
    sites = dict.fromkeys(urlsplit(source).netloc for source in device.sources.values())
    return (
        device.name,
        ", ".join(device.precisions),
        device.weights or UNKNOWN,
        _operations(device),
        ", ".join(f"{name.removesuffix('_bytes')} {size:,}" for name, size in device.memory.items()) or UNKNOWN,
        device.measured_by or device.compiler or UNKNOWN,
        ", ".join(filter(None, sites)) or UNKNOWN,
    )


def _operations(device: Device) -> str:
    return ", ".join(f"{len(ops)} in {key}" for key, ops in device.operations.items()) or UNKNOWN


def _facts(device: Device) -> Iterator[tuple[str, str, str]]:
    for fact, value in device.to_json().items():
        if fact in ("title", "sources"):
            continue
        pairs = value.items() if isinstance(value, dict) else [("", value)]
        for key, each in pairs:
            shown = ", ".join(map(str, each)) if isinstance(each, list) else str(each)
            yield f"{fact} {key}".strip(), shown, device.sources.get(fact, "")
