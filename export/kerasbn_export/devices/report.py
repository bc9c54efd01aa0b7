"""What a device makes of a file, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something in a file that a device does not run, or not well.

    Attributes:
        what: The operations with their layers, or the part of the file.
        why: What is wrong with them there.
        way_out: What to do about it.
    """

    what: str
    why: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}. {self.way_out}"


@dataclass(frozen=True)
class DeviceReport:
    """What a device makes of a file.

    Attributes:
        device: Its name.
        tool: The package that measured, with its version; None if it is not installed, or there is none.
        missing: What was not measured and why; None where it was.
        numbers: What was measured, by name with unit, as ``"arena, bytes"``.
        elsewhere: The operations that do not run on the accelerator or delegate, each with its layer, as measured.
        findings: What the device's profile says against the file.
    """

    device: str
    tool: str | None
    missing: str | None
    numbers: dict[str, int | float]
    elsewhere: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    def lines(self) -> list[str]:
        """The report in words."""
        against = [f"{self.device}, by its profile: {finding}" for finding in self.findings]
        if self.missing is not None:
            return [f"{self.device}: {self.missing}", *against]
        numbers = "; ".join(f"{name}: {_shown(value)}" for name, value in self.numbers.items())
        found = [f"{self.device}, by {self.tool}: {numbers}."]
        if self.elsewhere:
            found.append(f"Not on {self.device}: {', '.join(self.elsewhere)}.")
        return found + against


def _shown(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
