"""What a device makes of a file: by its profile, and measured with the tool that its maker ships."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib.metadata import version

from kerasbn_export.devices.check import ProfileCheck
from kerasbn_export.devices.micro import run_micro
from kerasbn_export.devices.optional_package import TFLITE_MICRO, VELA, OptionalPackage
from kerasbn_export.devices.profiles import Device
from kerasbn_export.devices.report import DeviceReport
from kerasbn_export.devices.vela import run_vela
from kerasbn_export.devices.xnnpack import delegation
from kerasbn_export.tflite.file import Op, TFLiteFile


def measure_device(device: Device, data: bytes, file: TFLiteFile, describe: Callable[[Op], str]) -> DeviceReport:
    """What a device makes of a file; where its tool is not installed, the report says so and holds no numbers.

    Args:
        device: The device.
        data: The file.
        file: The same, parsed.
        describe: An operation and its layer in words.

    Raises:
        ConversionError: The tool refuses the file.
    """
    measured = _measured(device, data, file, describe)
    return replace(measured, findings=ProfileCheck(device, file, describe).findings())


def _measured(device: Device, data: bytes, file: TFLiteFile, describe: Callable[[Op], str]) -> DeviceReport:
    if device.accelerator is not None:
        return _ethos(device, device.accelerator, data, describe)
    if device.measured_by == TFLITE_MICRO.name:
        return _micro(device, data)
    return _xnnpack(device, data, file, describe) if device.measured_by == "xnnpack" else _unmeasured(device)


def _unmeasured(device: Device) -> DeviceReport:
    """Nothing here measures for it: its maker's tool does."""
    by = f"compile it with {device.compiler}" if device.compiler else "its maker's tool says what it takes"
    return DeviceReport(device.name, None, f"nothing measures for it here; {by}.", {})


def _xnnpack(device: Device, data: bytes, file: TFLiteFile, describe: Callable[[Op], str]) -> DeviceReport:
    found = delegation(data)
    left = [file.ops[index] for index in found.left]
    numbers = {"operations in XNNPACK": file.main_ops - len(left), "of": file.main_ops, "parts": found.parts}
    tool = f"ai-edge-litert {version('ai-edge-litert')} on this machine"
    return DeviceReport(device.name, tool, None, dict(numbers), _counted(map(describe, left)))


def _micro(device: Device, data: bytes) -> DeviceReport:
    if TFLITE_MICRO.tool is None:
        return _absent(device, TFLITE_MICRO)
    run = run_micro(data)
    numbers = {"arena, bytes": run.arena_bytes, "of these for activations": run.activation_bytes}
    return DeviceReport(device.name, TFLITE_MICRO.tool, None, dict(numbers))


def _ethos(device: Device, accelerator: str, data: bytes, describe: Callable[[Op], str]) -> DeviceReport:
    if VELA.tool is None:
        return _absent(device, VELA)
    run = run_vela(data, accelerator)
    numbers = {
        "operators on the CPU": len(run.cpu_ops),
        "cycles": run.cycles,
        "SRAM, bytes": run.sram_bytes,
        "weights and commands, bytes": run.flash_bytes,
    }
    tool = f"{VELA.tool} for {accelerator} ({run.system})"
    return DeviceReport(device.name, tool, None, dict(numbers), _counted(map(describe, run.cpu_ops)))


def _absent(device: Device, package: OptionalPackage) -> DeviceReport:
    return DeviceReport(device.name, None, package.missing, {})


def _counted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name if count == 1 else f"{count} x {name}" for name, count in Counter(names).items())
