"""What `layer_speed.py` measures, and what each ratio must reach."""

from __future__ import annotations

from dataclasses import dataclass, field

SHAPES = {
    "rows": ((512, 512), -1),
    "sequences": ((32, 1000, 64), -1),
    "images": ((32, 56, 56, 64), -1),
    "small images": ((32, 14, 14, 256), -1),
    "volumes": ((8, 8, 16, 16, 32), -1),
    "channels first": ((32, 64, 56, 56), 1),
    "sequences, channels first": ((32, 64, 1000), 1),
}
SIZES = {100: 5, 1000: 8, 10_000: 16, 100_000: 32, 1_000_000: 64, 10_000_000: 128}
"""Numbers in an input of the sweep, and channels."""
ODD = [((64, 10), -1), ((4, 7, 7, 1024), -1), ((1, 112, 112, 16), -1), ((32, 64, 1000), 1), ((8, 3, 224, 224), 1)]
"""More inputs of the sweep: few and many channels for their size."""
RENORM = {"renorm": True, "renorm_clipping": {"rmin": 0.5, "rmax": 2.0, "dmax": 1.0}}
FASTER = {"keras": {2: 1.4, 3: 2.0, 4: 2.0, 5: 1.15}, "tf_keras": {2: 1.4, 3: 2.0, 4: 1.0, 5: 1.2}}
"""Stock layer's time in units of ours, by rank, with channels last."""
NOT_SLOWER = 1.0
RAW = 1.10
"""Our time in units of the raw operation's."""


@dataclass(frozen=True)
class Section:
    """One table.

    Attributes:
        dtype: The dtype policy.
        inference: Inference instead of forward + backward.
        jit: Compile with XLA.
        option: The option that both layers are given.
        arguments: The constructor arguments of that option.
    """

    dtype: str = "float32"
    inference: bool = False
    jit: bool = False
    option: str = ""
    arguments: dict[str, object] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The heading of the table."""
        parts = "inference" if self.inference else "forward + backward", self.dtype, self.option, "XLA" * self.jit
        return ", ".join(filter(None, parts))

    def target(self, flavour: str, shape: tuple[int, ...], axis: int) -> float:
        """What the stock layer's time in units of ours must reach."""
        plain = not (self.inference or self.jit or self.option) and axis == -1
        return FASTER[flavour][len(shape)] if plain else NOT_SLOWER


def sweep() -> list[tuple[tuple[int, ...], int]]:
    """Shapes and axes of about `SIZES` numbers, of ranks 2 to 5, with the channels last and first; and `ODD`."""
    found = list(ODD)
    for size, channels in SIZES.items():
        for rank in (2, 3, 4, 5):
            sides = (round((size / channels) ** (1 / (rank - 1))),) * (rank - 1)
            found.append(((*sides, channels), -1))
            found += [((sides[0], channels, *sides[1:]), 1)] if rank > 2 else []
    return found


OPTIONS: dict[str, dict[str, object]] = {"renorm": RENORM, "ghost": {"virtual_batch_size": 4}, "mask": {}}
DTYPES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def _sections() -> dict[str, Section]:
    """The plain layer, inference and each option, in each dtype, without and with XLA; no name says float32 but one."""
    found = {}
    for jit in (False, True):
        for name, dtype in DTYPES.items():
            parts = [*([] if dtype == "float32" else [name]), *(["xla"] if jit else [])]
            found["-".join(parts) or name] = Section(dtype, jit=jit)
            found["-".join(["inference", *parts])] = Section(dtype, inference=True, jit=jit)
            for option, arguments in OPTIONS.items():
                found["-".join([option, *parts])] = Section(dtype, jit=jit, option=option, arguments=arguments)
    return found


SECTIONS = _sections()
