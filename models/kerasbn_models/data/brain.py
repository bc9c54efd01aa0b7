"""Slices of an average brain: segmentation into grey and white matter."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

from kerasbn.errors import ModelFileError
from kerasbn_models.data.files import Array, Split, package_file

FIRST, LAST = 45, 135
"""Axial slices with much of the brain in them."""
HELD_OUT = range(80, 100)


def brain_slices(*, size: tuple[int, int] = (192, 224), gap: int = 6) -> Split:
    """Axial slices (slices, height, width, 1) from 0 to 1, and each pixel's tissue: 0 neither, 1 grey, 2 white matter.

    The MNI152 average of 152 heads, ICBM 2009a symmetric (Fonov et al., 2011), out of the package nilearn, BSD-3
    (``pip install --no-deps nilearn``). Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre, Montreal
    Neurological Institute, McGill University, whose notice allows use, copies and changes without fee as long as it is
    kept. nilearn's own description says "License: unknown": ask before you ship the pictures.

    It is one symmetric head. A slab of 20 slices is held out, with a gap on each side: neighbours are alike.

    Args:
        size: Height and width, cut or filled with zeros around the middle.
        gap: Slices on each side of the slab that nobody sees.

    Raises:
        MissingPackageError: nilearn is not installed.
    """
    volumes = {
        name: read_nifti(
            package_file(
                "nilearn", "nilearn", "datasets", "data", f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"
            )
        )
        for name in ("t1", "gm", "wm")
    }
    head, grey, white = (np.moveaxis(volume / volume.max(), 2, 0) for volume in volumes.values())
    tissue = np.where(np.maximum(grey, white) < 0.5, 0, np.where(grey >= white, 1, 2))
    x, y = _fitted(head, size).astype("float32")[..., None], _fitted(tissue, size).astype("int32")
    test = list(HELD_OUT)
    train = [n for n in range(FIRST, LAST) if n < HELD_OUT.start - gap or n >= HELD_OUT.stop + gap]
    return Split(x[train], y[train], x[test], y[test], ("neither", "grey matter", "white matter"))


def read_nifti(path: Path) -> Array:
    """The numbers of a gzipped NIfTI-1 file of bytes.

    Raises:
        ModelFileError: The file is none, or holds other numbers.
    """
    content = gzip.decompress(path.read_bytes())
    if len(content) < 352 or content[344:348] not in (b"n+1\0", b"ni1\0") or content[:4] != struct.pack("<i", 348):
        raise ModelFileError(f"{path} is no little-endian NIfTI-1 file.")
    rank, *sizes = struct.unpack_from("<8h", content, 40)
    (kind,) = struct.unpack_from("<h", content, 70)
    if kind != 2:
        raise ModelFileError(f"{path} holds numbers of NIfTI type {kind}; type 2, bytes, is what is read here.")
    (offset,) = struct.unpack_from("<f", content, 108)
    shape = sizes[:rank]
    numbers = np.frombuffer(content, "uint8", count=int(np.prod(shape)), offset=int(offset))
    return numbers.reshape(shape, order="F")


def _fitted(volume: Array, size: tuple[int, int]) -> Array:
    """Every slice cut, or filled with zeros, to a size around its middle."""
    for axis, wanted in zip((1, 2), size, strict=True):
        missing = max(0, wanted - volume.shape[axis])
        volume = np.pad(volume, [(missing // 2, missing - missing // 2) if a == axis else (0, 0) for a in range(3)])
        start = (volume.shape[axis] - wanted) // 2
        volume = np.take(volume, range(start, start + wanted), axis)
    return volume
