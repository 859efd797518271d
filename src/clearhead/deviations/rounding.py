"""Rounding of lines as by hand, carried on or only shown, and other ways of showing a line."""

from __future__ import annotations

from msgspec.structs import replace

from clearhead.axes import head_axis
from clearhead.deviations.deviation import MAX_DECIMALS, Deviation, Parameter, Rewrite, never
from clearhead.deviations.norm_steps import CENTRED, in_steps
from clearhead.deviations.rewrites import Nothing, reread
from clearhead.errors import SpecError
from clearhead.line import Given, Holds, Line, find, free_name, head_position, split_head
from clearhead.ops import Operation, as_parameters
from clearhead.ops.textbook import scores
from clearhead.ops.variants import heads as variants_heads
from clearhead.ops.variants import rounding
from clearhead.ops.variants import scores as variants_scores
from clearhead.working import Working


def _carried(whole: Operation, one_head: Operation) -> Rewrite:
    """A rewrite that replaces a line by the rounded line; what follows reads the rounded one."""

    def rewrite(working: Working, line: str, decimals: int) -> Working:
        full, rounded = _rounded(working, line, decimals, (whole, one_head))

        def change(each: Line) -> list[Line]:
            return [replace(each, name=rounded.operands[0]), rounded] if each.name == full else [each]

        return working.rewrite(change)

    return rewrite


def _shown(whole: Operation, one_head: Operation) -> Rewrite:
    """A rewrite that shows a line rounded; what follows reads the exact one."""

    def rewrite(working: Working, line: str, decimals: int) -> Working:
        full, rounded = _rounded(working, line, decimals, (whole, one_head))
        return _seen_only(working, full, rounded)

    return rewrite


def _seen_only(working: Working, full: str, shown: Line) -> Working:
    """Gives a line's name to another form of it that nothing reads; what follows reads the line under a new name."""
    exact = shown.operands[0]

    def change(each: Line) -> list[Line]:
        return [replace(each, name=exact), shown] if each.name == full else [reread(each, {full: exact})]

    return working.rewrite(change)


def _by_hand(working: Working, decimals: int, at: str) -> Working:
    """Rounds every line, and with ``at="steps"`` also the steps between: exponentials, roots, variances."""
    if not 0 <= decimals <= MAX_DECIMALS:
        raise SpecError(f"rounded-by-hand expects decimals from 0 to {MAX_DECIMALS}, got {decimals}.")
    if at not in BY_HAND:
        raise SpecError(f"rounded-by-hand expects at as {' or '.join(BY_HAND)}, got {at!r}.")
    if at == "steps":
        working = in_small_steps(working)

    def change(line: Line) -> list[Line]:
        if _holds(working, line.name) != "numbers" or len(line.axes) < 2:
            return [line]  # what has no rows and columns is a loss, the last that is computed
        exact = free_name(f"{line.name}.unrounded", working.names)
        parameters = as_parameters({"decimals": decimals})
        if line.operation is scores.scale_by_depth and at == "steps":
            line = replace(line, operation=variants_scores.scale_by_rounded_root, parameters=parameters)
        rounded = Line(line.name, rounding.round_decimals, (exact,), line.axes, parameters)
        return [replace(line, name=exact), rounded]

    return working.rewrite(change)


def in_small_steps(working: Working) -> Working:
    """The working in the steps of hand computation: exponentials, variances and roots are separate lines."""
    working = working.rewrite(lambda line: _apart(working, line))
    return in_steps(working) if any(line.operation in CENTRED for line in working.lines) else working


def _apart(working: Working, line: Line) -> list[Line]:
    """A softmax as exponentials, each divided by their sum; any other line as it is."""
    if line.operation is not scores.softmax:
        return [line]
    inner = free_name(f"{line.name}.exponentials", working.names)
    return [
        replace(line, name=inner, operation=variants_scores.exponentials),
        replace(line, operation=variants_scores.share_of_sum, operands=(inner,)),
    ]


def _shown_transposed(working: Working, line: str) -> Working:
    full = find(line, [each.name for each in working.lines])
    axes = working.axes[full]
    turned = (*axes[:-2], *axes[:-3:-1])
    return _seen_only(
        working, full, Line(full, variants_heads.transposed, (free_name(f"{full}.as-rows", working.names),), turned)
    )


def _rounded(working: Working, line: str, decimals: int, ways: tuple[Operation, Operation]) -> tuple[str, Line]:
    """The full name of a line, and the line that rounds it under this name, or one head of it."""
    short, label = split_head(line)
    full = find(short, [each.name for each in working.lines])
    if (holds := _holds(working, full)) != "numbers":
        raise Nothing(f"{full} holds {holds}, which have no decimals.")
    if len(working.axes[full]) < 2:
        raise Nothing(f"{full} has no rows and columns; what has is rounded.")
    whole, one_head = ways
    chosen = {} if label is None else {"head": _head_number(working, full, label)}
    exact = free_name(f"{full}.unrounded", working.names)
    parameters = as_parameters({"decimals": decimals, **chosen})
    return full, Line(full, one_head if chosen else whole, (exact,), working.axes[full], parameters)


def _holds(working: Working, name: str) -> Holds:
    """What a line holds: numbers, or, if it only moves the cells of a given array, what that array holds."""
    part = working.line(name)
    if isinstance(part, Given):
        return part.holds
    kinds = {_holds(working, operand) for operand in part.operands} if part.formula.copies else set()
    return kinds.pop() if len(kinds) == 1 else "numbers"


def _head_number(working: Working, name: str, label: int) -> int:
    """The position of a head, counted from 0, for its label."""
    axes = working.axes[name]
    axis = head_axis(axes)
    position = head_position(name, label, axes, working.sizes.get(axes[axis or 0]), working.label_base)
    if axis != -3:
        raise SpecError(f"round: {name} has no matrix for each head: its axes are {', '.join(axes)}.")
    return position


_HALF_UP = (rounding.round_decimals, rounding.round_head)
_HALF_EVEN = (rounding.round_half_even, rounding.round_half_even_head)
_CUT = (rounding.truncate, rounding.truncate_head)

_PARAMETERS = (
    Parameter("line", str, "a line, or one head of it, as in weights@2"),
    Parameter("decimals", int, "how many are kept", least=0, most=MAX_DECIMALS),
)
_INVISIBLE = "Where the numbers have no more decimals than that."
_CARRY = "Carry at least two decimals more than you show, and round only what you show."
_SHOW = "Nothing to correct in the working: write only correct decimals, or say how many are correct."

BY_HAND = ("lines", "steps")
"""Whether only lines are rounded, or also the steps between two lines."""

CARRIED = ("round", "round-half-even", "truncate")
SHOWN = ("shown-rounded", "shown-half-even", "shown-truncated", "shown-transposed")
"""The ways of rounding that later lines read, and those that are only shown: half up, half to even, truncated."""

ROWS = (
    Deviation(
        id="round",
        kind="rounding",
        does="A line is rounded, halves away from zero, and the rounded numbers are carried on.",
        invisible=_INVISIBLE,
        remedy=_CARRY,
        seen="The hand solutions in the notebook this project grew from: weights with two decimals.",
        rewrite=_carried(*_HALF_UP),
        parameters=_PARAMETERS,
        tries=never,
        catalogue=("F13", "H1", "H3"),
    ),
    Deviation(
        id="round-half-even",
        kind="rounding",
        does="A line is rounded, halves to the even neighbour, and the rounded numbers are carried on.",
        invisible=f"{_INVISIBLE[:-1]}, or none is a tie: then it is ordinary rounding.",
        remedy=f"np.round, Python's round and torch.round take halves to even: 2.5 becomes 2. {_CARRY}",
        seen="Code that calls np.round between steps, or Python's round.",
        rewrite=_carried(*_HALF_EVEN),
        parameters=_PARAMETERS,
        tries=never,
        catalogue=("H2", "H3"),
    ),
    Deviation(
        id="truncate",
        kind="rounding",
        does="A line is truncated, not rounded, and the truncated numbers are carried on.",
        invisible=_INVISIBLE,
        remedy=f"Round, do not truncate: 0.787 is 0.79, not 0.78. {_CARRY}",
        seen="Hand work and calculators that truncate; no public thread is known.",
        rewrite=_carried(*_CUT),
        parameters=_PARAMETERS,
        tries=never,
        catalogue=("H2", "H3"),
    ),
    Deviation(
        id="rounded-by-hand",
        kind="rounding",
        does="Every line is rounded and carried on rounded; at steps also exponentials, the root of the depth, and "
        "variances and roots of norms.",
        invisible=_INVISIBLE,
        remedy=_CARRY,
        seen="Hand solutions, where it is the most common difference; no public thread is known.",
        rewrite=_by_hand,
        parameters=(
            Parameter("decimals", int, "how many are kept"),
            Parameter("at", str, "lines, or steps: also the steps between two lines"),
        ),
        tries=never,
        catalogue=("F13", "H1", "H3"),
    ),
    Deviation(
        id="shown-rounded",
        kind="rounding",
        does="A line is shown rounded to fewer decimals than it is written with; what follows was computed "
        "with the exact numbers.",
        invisible=_INVISIBLE,
        remedy=_SHOW,
        seen="The 1.2 for 7/6 in the notebook this project grew from, where it is also carried on.",
        rewrite=_shown(*_HALF_UP),
        parameters=_PARAMETERS,
        tries=never,
        catalogue=("H1",),
    ),
    Deviation(
        id="shown-half-even",
        kind="rounding",
        does="A line is shown rounded, halves to the even neighbour; what follows was computed with the exact numbers.",
        invisible=f"{_INVISIBLE[:-1]}, or none is a tie: then it is ordinary rounding.",
        remedy=_SHOW,
        seen="Printed np.round(x, 2), beside numbers computed with x.",
        rewrite=_shown(*_HALF_EVEN),
        parameters=_PARAMETERS,
        tries=never,
        catalogue=("H2",),
    ),
    Deviation(
        id="shown-truncated",
        kind="rounding",
        does="A line is shown truncated, not rounded; what follows was computed with the exact numbers.",
        invisible=_INVISIBLE,
        remedy="Nothing to correct in the working: round what you write down, 0.787 as 0.79.",
        seen="Numbers copied from a longer display without their last digits; no public thread is known.",
        rewrite=_shown(*_CUT),
        parameters=_PARAMETERS,
        tries=never,
        catalogue=("H2",),
    ),
    Deviation(
        id="shown-transposed",
        kind="convention",
        does="A line is shown transposed: tokens are columns instead of rows.",
        invisible="Where the matrix is symmetric; where it is not square its shape shows it.",
        remedy="Nothing to correct if all is written so: with tokens as columns weights are softmax(K.T @ Q) down the "
        "columns. Transpose to compare.",
        seen="Lectures and textbooks that write X as features by tokens; no public thread is known.",
        rewrite=_shown_transposed,
        parameters=(Parameter("line", str, "the line that is written so"),),
        tries=never,
    ),
)
