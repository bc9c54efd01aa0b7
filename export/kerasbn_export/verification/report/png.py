"""A picture inside the page: PNG (ISO/IEC 15948) as a data address."""

from __future__ import annotations

import base64
import struct
import zlib

COLOUR_TYPE = {1: 0, 3: 2}
"""Of grey and of red, green, blue; a PNG's own numbers."""


def png_address(rows: int, columns: int, channels: int, pixels: str) -> str:
    """The address of a picture.

    Args:
        rows: The height.
        columns: The width.
        channels: 1 for grey, 3 for red, green, blue.
        pixels: Its bytes in base64, row by row.
    """
    data, stride = base64.b64decode(pixels), columns * channels
    lines = b"".join(b"\0" + data[i * stride : (i + 1) * stride] for i in range(rows))  # 0: a line as it is
    header = struct.pack(">IIBBBBB", columns, rows, 8, COLOUR_TYPE[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    content = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
