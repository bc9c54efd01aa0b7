"""Which input and output of the candidate is which of the reference: by name, then order, then shape.

A name that both sides have decides, whatever else would fit: two outputs that changed places are not equal. Names that
a framework made up, such as ``dense`` and ``dense_1`` here and ``dense_2`` and ``dense_3`` there, count by their order.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from kerasbn.errors import NotComparableError
from kerasbn_export.calibration.named_arrays import owners
from kerasbn_export.verification.records.outputs import Match
from kerasbn_export.verification.sides.ports import Port, Runnable
from kerasbn_export.verification.sides.sides import Sides

_NUMBER = re.compile(r"_\d+$")
_NUMBERED = re.compile(r"^(?:output|args|inputs)_(\d+)$")

Pairing = dict[int, tuple[int, str]]
"""For ends of the reference the index of the candidate's, and what they were paired by."""


def match_sides(reference: Runnable, candidate: Runnable) -> tuple[Sides, tuple[Match, ...], tuple[Match, ...]]:
    """The two sides with their ends paired, and the matches of the inputs and of the outputs as records.

    Raises:
        NotComparableError: See `match_ports`.
    """
    try:
        feeds, inputs = match_ports(reference.inputs, candidate.inputs, "input")
        pairs, outputs = match_ports(reference.outputs, candidate.outputs, "output")
    except NotComparableError as error:
        raise NotComparableError(f"{candidate.label} against {reference.label}: {error}") from error
    return Sides(reference, candidate, feeds, pairs), inputs, outputs


def match_ports(
    reference: Sequence[Port], candidate: Sequence[Port], what: str
) -> tuple[tuple[int, ...], tuple[Match, ...]]:
    """Pair the ends of the two sides.

    Args:
        reference: The ends of the reference.
        candidate: The ends of the candidate, in its own order.
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
    for ignored in (_shifted(reference, candidate), _made_up(reference, candidate)):
        named = _by_name(reference, candidate, ignored)
        for rest in (_in_order(reference, candidate, named), _by_shape(reference, candidate, named)):
            pairing = {**named, **rest}
            if len(pairing) == len(reference) and all(reference[i].fits(candidate[j]) for i, (j, _) in pairing.items()):
                pairs = [pairing[i] for i in range(len(reference))]
                return tuple(j for j, _ in pairs), tuple(
                    Match(port.name, candidate[j].name, by) for port, (j, by) in zip(reference, pairs, strict=True)
                )
    raise NotComparableError(
        f"The {what}s do not fit: the reference has {_list(reference)}; the candidate has {_list(candidate)}. "
        "Shapes must agree but for the batch, and ends of one name belong together."
    )


def _list(ports: Sequence[Port]) -> str:
    return "; ".join(str(port) for port in ports) or "none"


def _stem(name: str) -> str:
    return _NUMBER.sub("", name)


def _made_up(reference: Sequence[Port], candidate: Sequence[Port]) -> frozenset[str]:
    """The names that Keras made up on a side that knows; the other has them from there."""
    stems = {_stem(port.name) for port in (*reference, *candidate) if port.made_up}
    return frozenset(port.name for port in (*reference, *candidate) if _stem(port.name) in stems)


def _shifted(reference: Sequence[Port], candidate: Sequence[Port]) -> frozenset[str]:
    """Of the names that Keras made up those that it counted from another number on each side."""
    made_up = _made_up(reference, candidate)
    ours, theirs = ({port.name for port in side if port.name in made_up} for side in (reference, candidate))
    shifted = {_stem(name) for name in ours ^ theirs}
    return frozenset(name for name in made_up if _stem(name) in shifted)


def _by_name(reference: Sequence[Port], candidate: Sequence[Port], ignored: frozenset[str]) -> Pairing:
    """The ends that have a name in common; that of a dict's key or a signature is stronger than an alias."""
    ours, theirs = ([tuple(n for n in port.names if n not in ignored) for port in s] for s in (reference, candidate))
    pairing: Pairing = {}
    for mine, yours in ((1, 1), (1, None), (None, 1), (None, None)):
        a, b = owners([names[:mine] for names in ours]), owners([names[:yours] for names in theirs])
        for name in (name for name in a if name in b):
            if a[name] not in pairing and b[name] not in _taken(pairing):
                pairing[a[name]] = (b[name], "name")
    return pairing


def _taken(pairing: Pairing) -> set[int]:
    return {j for j, _ in pairing.values()}


def _left(ports: Sequence[Port], taken: Collection[int]) -> list[int]:
    """What is not paired yet, in the order of the side; names such as output_10 count by their number."""
    left = [i for i in range(len(ports)) if i not in taken]
    numbers = [match and int(match.group(1)) for match in (_NUMBERED.match(ports[i].name) for i in left)]
    return left if None in numbers else [i for _, i in sorted(zip(numbers, left, strict=True))]


def _in_order(reference: Sequence[Port], candidate: Sequence[Port], named: Pairing) -> Pairing:
    """What has no name in common, each side in its own order."""
    pairs = zip(_left(reference, named), _left(candidate, _taken(named)), strict=True)
    return {i: (j, "order") for i, j in pairs}


def _by_shape(reference: Sequence[Port], candidate: Sequence[Port], named: Pairing) -> Pairing:
    """Only where every shape fits exactly one: a guess between equals would be worth nothing."""
    left = _left(candidate, _taken(named))
    fitting = {i: [j for j in left if reference[i].fits(candidate[j])] for i in _left(reference, named)}
    found = {i: (choices[0], "shape") for i, choices in fitting.items() if len(choices) == 1}
    return found if len(_taken(found)) == len(fitting) else {}
