"""What Arm's compiler for Ethos-U makes of a ``.tflite`` file: operators left on the CPU, cycles, memory.

The compiler is the package ``ethos-u-vela``. Its numbers are its own estimates, for the system and the memory that it
takes where no configuration is given; both are in the report. It runs in a process of its own.
"""

from __future__ import annotations

import csv
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kerasbn.errors import ConversionError, MissingPackageError
from kerasbn_export.child import last_line, run_child
from kerasbn_export.devices.optional_package import VELA
from kerasbn_export.tflite.file import Op, read_tflite

NPU_OP = "CUSTOM:ethos-u"


@dataclass(frozen=True)
class VelaRun:
    """What the compiler says.

    Attributes:
        cpu_ops: The operations of the compiled file that are not on the accelerator.
        cycles: Of the accelerator, for one inference.
        sram_bytes: Peak use of the memory that holds activations.
        flash_bytes: What the weights and commands take, in flash or DRAM.
        system: The system configuration and memory mode that were assumed.
    """

    cpu_ops: tuple[Op, ...]
    cycles: int
    sram_bytes: int
    flash_bytes: int
    system: str


def run_vela(data: bytes, accelerator: str) -> VelaRun:
    """Compiles a file for an accelerator; the compiled file is thrown away.

    Args:
        data: The file.
        accelerator: As ``"ethos-u55-128"``.

    Raises:
        MissingPackageError: ``ethos-u-vela`` is not installed.
        ConversionError: The compiler fails.
    """
    if VELA.tool is None:
        raise MissingPackageError(VELA.missing)
    with tempfile.TemporaryDirectory(prefix="kerasbn_") as name:
        folder = Path(name)
        (folder / "model.tflite").write_bytes(data)
        options = ["--accelerator-config", accelerator, "--output-dir", name]
        done = run_child("-m", "ethosu.vela", str(folder / "model.tflite"), *options)
        summaries, compiled = list(folder.glob("*_summary_*.csv")), folder / "model_vela.tflite"
        if done.returncode or not summaries or not compiled.exists():
            raise ConversionError(f"ethos-u-vela cannot compile the file for {accelerator}: {last_line(done)}")
        with summaries[0].open(newline="") as file:
            summary = next(csv.DictReader(file))
        cpu_ops = tuple(op for op in read_tflite(compiled).ops if op.name != NPU_OP)
    kilobytes = {key: float(summary[key] or 0) for key in summary if key.endswith("_memory_used")}
    return VelaRun(
        cpu_ops=cpu_ops,
        cycles=int(float(summary["cycles_total"])),
        sram_bytes=round(1024 * kilobytes.pop("sram_memory_used")),
        flash_bytes=round(1024 * sum(kilobytes.values())),
        system=f"{summary['system_config']}, {summary['memory_mode']}",
    )
