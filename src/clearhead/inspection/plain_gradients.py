"""The gradients of attention in plain array code: for any library, device and lines, some queries at a time.

It computes the lines of the backward pass as they are. Each query adds to the gradients of what all queries share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from clearhead.backward import GRAD
from clearhead.errors import SpecError
from clearhead.expr import Index, Number, Size, walk
from clearhead.expr.nodes import replace_refs
from clearhead.inspection.core import Core
from clearhead.inspection.plain import chunks, cut, positions_of
from clearhead.inspection.request import Request
from clearhead.inspection.rows import POSITIONED, compute, rows_of
from clearhead.line import Line

Array = Any


def gradient_lines(core: Core, wrt: Iterable[str]) -> tuple[Line, ...]:
    """The lines that lead from the gradient of the heads to those of arrays that the lines are given, in order.

    Raises:
        SpecError: they cannot be computed for some queries at a time.
    """
    names = tuple(wrt)
    backward = core.working.backward(core.head.name, names).ending_at(*(name + GRAD for name in names))
    rows = rows_of(core)
    axis = {**rows.axis, **{name + GRAD: place for name, place in rows.axis.items()}}
    for line in backward.lines:
        if GRAD in line.name:
            _check(line, axis)
    return backward.lines


def _check(line: Line, axis: Mapping[str, int]) -> None:
    """Refuses the gradient of a line that counts the positions of queries in an unknown way."""
    formula = line.formula
    named = zip(line.operands, formula.operands, strict=True)
    letters = {own[axis[name]] for name, own in named if name in axis and -axis[name] <= len(own)}
    bare = replace_refs(formula.body, lambda _: Number(0))
    counts = any(isinstance(node, Index) and node.name in letters for node in walk(bare))
    sized = any(isinstance(node, Size) and node.index in letters for node in walk(formula.body))
    if (counts or sized) and line.operation not in POSITIONED:
        raise SpecError(f"{line.name} counts the positions of queries in an unknown way.")


def gradients(request: Request, grad: Array, wrt: Sequence[str]) -> dict[str, Array]:
    """The gradients with respect to arrays that the lines are given, from that of the output, by name."""
    # NumPy alone would warn of infinities and NaN, which show in the results.
    with np.errstate(all="ignore"):
        return _gradients(request, grad, wrt)


def _gradients(request: Request, grad: Array, wrt: Sequence[str]) -> dict[str, Array]:
    xp, core = request.xp, request.core
    rows, lines = rows_of(core), gradient_lines(core, wrt)
    once = {line.name for line in rows.once}
    given = {core.query: request.query, core.key: request.key, core.value: request.value, **request.given}
    given[core.head.name + GRAD] = grad
    axis = {**rows.axis, core.head.name + GRAD: -2}
    for line in lines:
        if line.name in once:
            given[line.name] = compute(xp, line, given)
    found: dict[str, list[Array]] = {name: [] for name in wrt}
    for chunk in chunks(request):
        values = {name: cut(array, axis.get(name), chunk) for name, array in given.items()}
        places = positions_of(request, chunk)
        for line in lines:
            if line.name not in once:
                values[line.name] = compute(xp, line, values, **places)
        for name, parts in found.items():
            new = values[name + GRAD]
            if name in rows.axis or not parts:
                parts.append(new)
            else:
                parts[0] = parts[0] + new
    return {name: xp.concat(parts, axis=rows.axis.get(name, -1)) for name, parts in found.items()}
