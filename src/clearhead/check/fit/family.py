"""A deviation with one free parameter, computed for many values of it at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct

from clearhead.check.fit.evaluation import Evaluation, Numbers
from clearhead.check.search.stacked import run_stacked
from clearhead.deviations import Applied
from clearhead.errors import ClearheadError
from clearhead.line import Line
from clearhead.working import Working

MARK = 1.1920929078125
"""A value that no working has: the lines that have it are those with the parameter."""


class Family(Struct, frozen=True):
    """A rewritten working for all values of one parameter.

    Attributes:
        working: the working with `MARK` as the value.
        open: the lines with the value.
    """

    working: Working
    open: frozenset[str]


def family(applied: Callable[[float], Applied], working: Working) -> Family | None:
    """The family that a deviation makes of a working; None if it does not apply.

    Args:
        applied: the deviation with a value of its parameter.
        working: the working.
    """
    try:
        rewritten = applied(MARK).rewrite(working)
    except ClearheadError:
        return None
    marked = frozenset(line.name for line in rewritten.lines if MARK in (value for _, value in line.parameters))
    return Family(rewritten, marked)


def numbers_of(family: Family, values: Sequence[float], evaluation: Evaluation) -> Numbers | None:
    """The numbers for the claimed cells with each of these values.

    Returns:
        The claimed cells side by side, a row for each value; None if a line does not fit, or no work is left.
    """

    def compute(line: Line, operands: list[Numbers]) -> Numbers:
        return _on_values(line, operands, values) if line.name in family.open else run_stacked(line, operands)

    fresh = evaluation.fresh(evaluation.leading(family.working), compute)
    if fresh is None:
        return None
    stacks = {name: fresh.get(name, np.asarray(evaluation.values[name])[None]) for name in evaluation.names}
    every = {name: np.broadcast_to(stack, (len(values), *stack.shape[1:])) for name, stack in stacks.items()}
    return evaluation.cells(evaluation.parts(family.working, every, stacked=True))


def _on_values(line: Line, operands: Sequence[Numbers], values: Sequence[float]) -> Numbers:
    """An open line with each of the values: at once, where its code takes an array for the parameter, or one by one."""
    names = [name for name, value in line.parameters if value == MARK]
    try:
        result = run_stacked(line, operands, dict.fromkeys(names, np.array(values)))
        if len(result) == len(values):
            return result
    except (TypeError, ValueError, IndexError):
        pass  # its code needs the parameter as a single number
    return np.concatenate(
        [
            run_stacked(line, [a[n : n + 1] if len(a) > 1 else a for a in operands], dict.fromkeys(names, value))
            for n, value in enumerate(values)
        ]
    )
