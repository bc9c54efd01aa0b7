"""What is known of devices, as data: one TOML file each in this folder, and users' own.

A profile sets how to export where nothing was asked for, and says what the file must satisfy. A fact that is not known
is left out, and nothing is claimed of it. ``kerasbn devices`` prints them. A device is where the file runs; the
``target`` of folding, which is something else, is what folding prefers among exact forms.

=====================  ============================================================================================
key                    what it says
=====================  ============================================================================================
``name``, ``title``    what it is called after ``--device``, and in words
``precisions``         those that it runs; the first is taken where none is asked for
``weights``            ``"per-channel"``, or ``"per-tensor"`` where it takes one scale for a weight only
``fixed_batch``        whether it needs one
``operations``         those that it has, by precision, or for ``any``; left out where they are not known
``others``             what becomes of all others: ``"tflite"`` or ``"tflm"`` runs them, or they are ``"refused"``
``activations``        whether a zero is at 0 (``"symmetric"``) or anywhere (``"asymmetric"``), by precision
``io_dtypes``          the type of inputs and outputs where none is asked for, by precision
``memory``             ``file_bytes`` and ``arena_bytes`` that it has
``channels``           channels cost in multiples of this number
``lone_activation``,   ``"cheap"`` or ``"slow"``
``depthwise_1x1``
``sizes``              of a family; its name may end in one, and the first is what the bare name means
``measured_by``        the tool that measures a file for it: ``"xnnpack"``, ``"tflite-micro"`` or ``"ethos-u-vela"``
``compiler``           the maker's own tool, which the report names
``sources``            where each of these facts is from
=====================  ============================================================================================
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.devices.profiles.device import Device
from kerasbn_export.devices.profiles.read import read_profile

__all__ = ["NAMES", "SUFFIX", "Device", "find_device", "read_profile"]

NAMES = (
    "xnnpack",
    "tflm",
    "ethos-u55",
    "ethos-u65",
    "ethos-u85",
    "cmsis-nn",
    "esp-nn",
    "edge-tpu",
    "gpu",
    "qualcomm-htp",
    "mediatek-mdla",
    "stm32n6",
    "stm32mp2",
    "npu-per-tensor",
)
"""Of the profiles in this folder, in the order in which they are listed."""
SUFFIX = ".toml"


def find_device(name: str) -> Device:
    """The profile of that name, or in that file where it ends in ``.toml``.

    Raises:
        InvalidArgumentError: There is none, or the file says something that is not accepted.
    """
    if name.endswith(SUFFIX):
        return read_profile(Path(name))
    if name in NAMES:
        return _known(name)
    family, _, size = name.rpartition("-")
    if family in NAMES and size in map(str, _known(family).sizes):
        return _known(family).of_size(int(size))
    sized = next(each for each in map(_known, NAMES) if each.sizes)
    raise InvalidArgumentError(
        f"Device {name!r} is not known; accepted: {', '.join(NAMES)}, those of a family also with their size, as "
        f"{sized.name}-{sized.sizes[1]}, and the path of your own profile, as my_npu{SUFFIX}."
    )


@cache
def _known(name: str) -> Device:
    return read_profile(Path(__file__).with_name(f"{name}{SUFFIX}"))
