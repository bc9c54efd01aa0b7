"""A file as an array in C or C++, for a microcontroller without a file system."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

PER_LINE = 16


def c_array(data: bytes, path: Path, ops: Mapping[str, int], arena_bytes: int | None) -> str:
    """The source text: the bytes aligned to 16, as the interpreter wants them, and their number.

    Args:
        data: The file.
        path: Where the text goes; the array is named after it.
        ops: The operations of the file with their counts, which the interpreter must know.
        arena_bytes: The arena that was measured; None where it was not.
    """
    name = identifier(path.stem)
    lines = [data[start : start + PER_LINE] for start in range(0, len(data), PER_LINE)]
    body = "\n".join("  " + ", ".join(f"0x{byte:02x}" for byte in line) + "," for line in lines)
    arena = "was not measured" if arena_bytes is None else f"{arena_bytes} bytes, measured with 64-bit pointers"
    return f"""/* Written by kerasbn. In another file:
 *   extern const unsigned char {name}[];    (in C++: extern "C" ...)
 *   extern const unsigned int {name}_size;
 * Operations: {", ".join(sorted(ops))}
 * Arena: {arena}
 */
#ifdef __cplusplus
extern "C" {{
extern const unsigned char {name}[];
extern const unsigned int {name}_size;
}}
alignas(16)
#else
_Alignas(16)
#endif
const unsigned char {name}[] = {{
{body}
}};
const unsigned int {name}_size = {len(data)};
"""


def identifier(name: str) -> str:
    """The name with what C does not take in a name made an underscore."""
    made = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{made}" if not made or made[0].isdigit() else made
