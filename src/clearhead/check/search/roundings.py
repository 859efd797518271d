"""Which roundings the search tries: of which lines, in which way, and to how many decimals.

Most people round halves up, so that is tried on every line. Halves to the even neighbour differ from it only in ties,
and are tried where the data has one. Truncation is tried where it would be visible or is usual. Only a claimed line
can be *shown* rounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from clearhead.axes import Shape, head_axis
from clearhead.claim import Claim, decimals_of, leaves
from clearhead.deviations import Applied
from clearhead.line import find, split_head
from clearhead.ops import as_parameters
from clearhead.working import Working
from clearhead.written import is_exact

Values = Mapping[str, np.ndarray[Any, Any]]

MATRIX_OF_HEAD = -3
"""The axis of heads in a line that has a matrix for each; the sums of a softmax have a number for each query."""

MAX_DECIMALS = 5
"""The most decimals that are kept by rounding."""

USUAL = (1, 2, 3)
"""The decimals that are tried on lines that are not claimed, in large sets."""

NEAR_TIE = 1e-9
"""How near a number must be to the middle of two, in units of the last decimal kept, to be a tie."""


def roundings(
    working: Working,
    claims: Sequence[Claim],
    shapes: Mapping[str, Shape],
    *,
    brief: bool,
    values: Values = MappingProxyType({}),
) -> tuple[Applied, ...]:
    """The roundings of lines to try; those that are carried on come first.

    A claimed line can only have been rounded to decimals that it shows; others to any from 0 to 5. ``values`` are the
    lines of the working: without these no ties are known. ``brief`` tries single heads only where claims are of single
    heads, and only the usual decimals, rounded half up, on lines that are not claimed.
    """
    used = _decimals_used(working, claims)
    carried = [
        _applied(way, address, decimals)
        for address in _addresses(working, shapes, used, brief=brief)
        for decimals in _decimals(address, used, brief=brief)
        for way in _ways(
            address,
            decimals,
            _values_at(address, values, working),
            claimed=split_head(address)[0] in used,
            brief=brief,
        )
    ]
    return (*carried, *_only_shown(working, claims, used, values), *_transposed(working, shapes, used))


def _applied(way: str, address: str, decimals: int) -> Applied:
    return Applied(way, as_parameters({"line": address, "decimals": decimals}))


def _ways(address: str, decimals: int, numbers: np.ndarray[Any, Any], *, claimed: bool, brief: bool) -> Iterator[str]:
    yield "round"
    if (claimed or not brief) and _has_tie(numbers, decimals):
        yield "round-half-even"
    if claimed or not (brief or "@" in address or decimals not in USUAL):
        yield "truncate"


def _only_shown(
    working: Working, claims: Iterable[Claim], used: Mapping[str, int], values: Values
) -> Iterator[Applied]:
    """The ways in which a claimed line may be shown with fewer right decimals, or truncated."""
    written = _decimals_written(working, claims)
    for address, precision in written.items():
        if split_head(address)[0] not in [line.name for line in working.lines if len(line.axes) > 1]:
            continue
        for decimals in range(used[address], min(precision, MAX_DECIMALS) + 1):
            if decimals < precision:
                yield _applied("shown-rounded", address, decimals)
                if _has_tie(_values_at(address, values, working), decimals):
                    yield _applied("shown-half-even", address, decimals)
            yield _applied("shown-truncated", address, decimals)


def _transposed(working: Working, shapes: Mapping[str, Shape], used: Mapping[str, int]) -> Iterator[Applied]:
    """The claimed lines that may be written with tokens as columns: those that are square."""
    for line in working.lines:
        rows_and_columns = shapes[line.name][-2:]
        if line.name in used and len(line.axes) > 1 and len(set(rows_and_columns)) == 1:
            yield Applied("shown-transposed", (("line", line.name),))


def _values_at(address: str, values: Values, working: Working) -> np.ndarray[Any, Any]:
    name, label = split_head(address)
    axis = head_axis(working.axes[name])
    if name not in values:
        return np.zeros(0)
    return (
        values[name] if label is None or axis is None else np.take(values[name], label - working.label_base, axis=axis)
    )


def _has_tie(numbers: np.ndarray[Any, Any], decimals: int) -> bool:
    parts = np.abs(numbers[np.isfinite(numbers)]) * 10.0**decimals % 1.0
    return bool(np.any(np.abs(parts - 0.5) < NEAR_TIE))


def _claimed_addresses(working: Working, claims: Iterable[Claim]) -> Iterator[tuple[str, Claim]]:
    """Each claim under the full name of its line, and of its head where it is of one that has a matrix."""
    for claim in claims:
        short, label = split_head(claim.line)
        name = find(short, working.names)
        one_head = label is not None and head_axis(working.axes[name]) == MATRIX_OF_HEAD
        for address in dict.fromkeys((name, f"{name}@{label}" if one_head else name)):
            yield address, claim


def _decimals_used(working: Working, claims: Iterable[Claim]) -> dict[str, int]:
    """How many decimals the claims of each line, and of each head, show, without trailing zeros."""
    used: dict[str, int] = {}
    for address, claim in _claimed_addresses(working, claims):
        most = max((shown_decimals(number) for number in leaves(claim.written)), default=0)
        used[address] = max(used.get(address, 0), most)
    return used


def _decimals_written(working: Working, claims: Iterable[Claim]) -> dict[str, int]:
    """How many decimals the claims of each line, and of each head, were written in; those without any are left out."""
    written: dict[str, int] = {}
    for address, claim in _claimed_addresses(working, claims):
        if claim.precision is not None:
            written[address] = max(written.get(address, 0), claim.precision)
    return written


def shown_decimals(number: str) -> int:
    """The decimals that a number shows but for zeros at the end; more than anybody keeps for a fraction."""
    decimals = decimals_of(number)
    if decimals is None:
        return MAX_DECIMALS + 1 if is_exact(number) else 0
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
        if axis != MATRIX_OF_HEAD or shapes[line.name][axis] == 1:
            continue
        for head in range(shapes[line.name][axis]):
            address = f"{line.name}@{head + working.label_base}"
            if not brief or address in used:
                yield address


def _decimals(address: str, used: Mapping[str, int], *, brief: bool) -> Sequence[int]:
    shown = used.get(address, used.get(split_head(address)[0]))
    if shown is None:
        return USUAL if brief else range(MAX_DECIMALS + 1)
    # Whole numbers do not show how many decimals were kept.
    most = MAX_DECIMALS if not (brief and shown) else min(shown + 1, MAX_DECIMALS)
    return range(shown, most + 1)
