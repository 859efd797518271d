"""Rounding on the way, as people do by hand."""

from __future__ import annotations

from itertools import chain, count

from msgspec.structs import replace

from clearhead.axes import head_axis
from clearhead.deviations.deviation import Deviation, Parameter, never
from clearhead.errors import SpecError, UnknownName
from clearhead.line import Line, find, split_head
from clearhead.ops import as_parameters, rounding
from clearhead.working import Working

_MOST_DECIMALS = 15
"""A float64 has no more that mean anything."""


def _round(working: Working, line: str, decimals: int) -> Working:
    """Puts a rounded line in the place of a line; what follows reads the rounded one."""
    if not 0 <= decimals <= _MOST_DECIMALS:
        raise SpecError(f"round expects decimals from 0 to {_MOST_DECIMALS}, got {decimals}.")
    short, label = split_head(line)
    full = find(short, [each.name for each in working.lines])
    if label is None:
        operation, chosen = rounding.round_decimals, {}
    else:
        operation, chosen = rounding.round_head, {"head": _head_number(working, full, label)}

    def change(each: Line) -> list[Line]:
        if each.name != full:
            return [each]
        exact = replace(each, name=_free_name(f"{full}.unrounded", working))
        return [exact, Line(full, operation, (exact.name,), each.axes, as_parameters({"decimals": decimals, **chosen}))]

    return working.rewrite(change)


def _free_name(name: str, working: Working) -> str:
    """The name, or with a number behind it the first that no line bears: a line may be rounded head by head."""
    names = chain([name], (f"{name}{number}" for number in count(2)))
    return next(free for free in names if free not in working.names)


def _head_number(working: Working, name: str, label: int) -> int:
    """The position of a head, counted from 0, that a label of a line means."""
    axes = working.axes[name]
    if head_axis(axes) != -3:
        raise SpecError(f"round: {name} has no heads: its axes are {', '.join(axes)}. Leave out @{label}.")
    first, heads = working.first, working.sizes.get(axes[-3], label + 1)
    if not first <= label < first + heads:
        raise UnknownName(f"{name} has heads {first} to {first + heads - 1}, not {label}.")
    return label - first


ROWS = (
    Deviation(
        id="round",
        kind="rounding",
        does="A line is rounded, halves away from zero, and the rounded numbers are carried on.",
        invisible="Where the numbers have no more decimals than that.",
        remedy="Carry at least two decimals more than you show, and round only what you show.",
        seen="The hand solutions in the notebook this project grew from: weights with two decimals.",
        rewrite=_round,
        parameters=(
            Parameter("line", str, "a line, or one head of it, as in weights@2"),
            Parameter("decimals", int, "how many are kept"),
        ),
        tries=never,
        catalogue=("F13", "H1", "H3"),
    ),
)
