"""Which input and output of the candidate is which of the reference: by name, then order, then shape."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kerasbn.errors import NotComparableError
from kerasbn_export.verification.ports import Port
from kerasbn_export.verification.records import Match

_NUMBERED = re.compile(r"^(?:output|args|inputs)_(\d+)$")


def match_ports(
    reference: Sequence[Port], candidate: Sequence[Port], what: str
) -> tuple[tuple[int, ...], tuple[Match, ...]]:
    """Pair the ends of the two sides.

    Args:
        reference: The ends of the reference.
        candidate: The ends of the candidate, in the order of its signature.
        what: ``"input"`` or ``"output"``.

    Returns:
        For each end of the reference the index of the candidate's, and the matches as records.

    Raises:
        NotComparableError: There is none, their numbers differ, or shapes do not fit.
    """
    if not reference or len(reference) != len(candidate):
        raise NotComparableError(
            f"The reference has {len(reference)} {what}(s): {_list(reference)}; the candidate has "
            f"{len(candidate)}: {_list(candidate)}. Each needs its counterpart."
        )
    for by, pairing in (
        ("name", _by_name(reference, candidate)),
        ("order", _in_order(candidate)),
        ("shape", _by_shape(reference, candidate)),
    ):
        if pairing and all(port.fits(candidate[i]) for port, i in zip(reference, pairing, strict=True)):
            return pairing, tuple(
                Match(port.name, candidate[i].name, by) for port, i in zip(reference, pairing, strict=True)
            )
    raise NotComparableError(
        f"The {what}s do not fit: the reference has {_list(reference)}; the candidate has {_list(candidate)}. "
        "Shapes must agree but for the batch."
    )


def _list(ports: Sequence[Port]) -> str:
    return "; ".join(str(port) for port in ports) or "none"


def _by_name(reference: Sequence[Port], candidate: Sequence[Port]) -> tuple[int, ...] | None:
    owner = {name: i for i, port in enumerate(candidate) for name in port.names}
    found = [next((owner[name] for name in port.names if name in owner), None) for port in reference]
    pairing = tuple(i for i in found if i is not None)
    return pairing if len(set(pairing)) == len(reference) else None


def _in_order(candidate: Sequence[Port]) -> tuple[int, ...]:
    """The order of the signature; names such as output_10 count by their number."""
    numbers = [_NUMBERED.match(port.name) for port in candidate]
    if not all(numbers):
        return tuple(range(len(candidate)))
    return tuple(sorted(range(len(candidate)), key=lambda i: int(candidate[i].name.rpartition("_")[2])))


def _by_shape(reference: Sequence[Port], candidate: Sequence[Port]) -> tuple[int, ...] | None:
    """Only where every shape fits exactly one: a guess between equals would be worth nothing."""
    fitting = [[i for i, other in enumerate(candidate) if port.fits(other)] for port in reference]
    pairing = tuple(choices[0] for choices in fitting if len(choices) == 1)
    return pairing if len(set(pairing)) == len(reference) else None
