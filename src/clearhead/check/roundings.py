"""Which roundings are worth trying: where, and to how many decimals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from clearhead.axes import Shape, head_axis
from clearhead.claim import Claim, decimals_of, leaves
from clearhead.deviations import DEVIATIONS, Applied
from clearhead.line import find, split_head
from clearhead.ops import as_parameters
from clearhead.working import Working

MOST_DECIMALS = 5
"""Whoever rounds on the way keeps no more than these."""

USUAL = (1, 2, 3)
"""The decimals that are tried on lines which nobody wrote down, in large sets."""


def roundings(
    working: Working, claims: Sequence[Claim], shapes: Mapping[str, Shape], *, brief: bool
) -> tuple[Applied, ...]:
    """The roundings of lines to try, every way that the table of deviations has.

    A claimed line can only have been rounded to decimals that it shows; others to any from 0 to 5. ``brief`` leaves
    single heads to where claims are of single heads, and tries only the usual decimals.
    """
    ways = [each.id for each in DEVIATIONS.values() if {p.name for p in each.parameters} == {"line", "decimals"}]
    used = _decimals_used(working, claims)
    return tuple(
        Applied(way, as_parameters({"line": address, "decimals": decimals}))
        for address in _addresses(working, shapes, used, brief=brief)
        for decimals in _decimals(address, used, brief=brief)
        for way in (ways[:1] if brief and split_head(address)[0] not in used else ways)
    )


def _decimals_used(working: Working, claims: Sequence[Claim]) -> dict[str, int]:
    """How many decimals the claims of each line, and of each head, show but for zeros at the end."""
    used: dict[str, int] = {}
    for claim in claims:
        short, label = split_head(claim.line)
        name = find(short, working.names)
        most = max((_significant(number) for number in leaves(claim.written)), default=0)
        for address in {name, name if label is None else f"{name}@{label}"}:
            used[address] = max(used.get(address, 0), most)
    return used


def _significant(number: str) -> int:
    decimals = decimals_of(number)
    if decimals is None:
        return MOST_DECIMALS + 1 if "/" in number else 0
    mantissa, _, exponent = number.lower().partition("e")
    zeros = len(mantissa) - len(mantissa.rstrip("0")) if "." in mantissa and not exponent else 0
    return decimals - min(zeros, decimals)


def _addresses(working: Working, shapes: Mapping[str, Shape], used: Mapping[str, int], *, brief: bool) -> Iterator[str]:
    """The lines, and their heads where there are several."""
    for line in working.lines:
        if len(line.axes) < 2:
            continue
        yield line.name
        axis = head_axis(line.axes)
        if axis != -3 or shapes[line.name][axis] == 1:
            continue
        for head in range(shapes[line.name][axis]):
            address = f"{line.name}@{head + working.first}"
            if not brief or address in used:
                yield address


def _decimals(address: str, used: Mapping[str, int], *, brief: bool) -> Sequence[int]:
    shown = used.get(address, used.get(split_head(address)[0]))
    if shown is None:
        return USUAL if brief else range(MOST_DECIMALS + 1)
    return range(shown, MOST_DECIMALS + 1) if not brief else range(shown, min(shown + 2, MOST_DECIMALS + 1))
