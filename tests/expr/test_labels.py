"""Formulas counted from 1: the same cells, as the labels beside them are counted."""

import numpy as np
import pytest

from clearhead import read_problem
from clearhead.expr import Binary, Index, Number, Ref, Scope, Size, evaluate, text
from clearhead.expr.labels import counted_from
from clearhead.expr.nodes import walk
from clearhead.line import equation
from clearhead.problems import bundled

I, J, N = Index("i"), Index("j"), Size("j")


@pytest.mark.parametrize(
    ("expr", "written"),
    [
        (Binary("<=", J, I), "j <= i"),
        (Binary("<", Binary("-", I, J), Number(4)), "i - j < 4"),
        (Binary("<", I, N), "i <= n_j"),
        (Binary("<", I, Binary("/", N, Number(2))), "i - 1 < n_j/2"),
        (Binary("==", Binary("%", I, Number(2)), Number(0)), "(i - 1) mod 2 == 0"),
        (Ref("a", (Binary("+", I, N), Binary("%", J, Number(2)))), "a[i + n_j,(j - 1) mod 2 + 1]"),
        (Ref("a", (I,), Binary("//", J, Number(2))), "a@((j - 1)//2 + 1)[i]"),
        (Binary("*", Number(0.5), I), "0.5*(i - 1)"),
    ],
)
def test_indices_that_are_numbers_are_counted_from_one(expr, written):
    """Where an index is a number it is one less than its label, and labels are one more than what is computed."""
    assert text(counted_from(expr, 1), first=1) == written
    assert counted_from(expr, 0) == expr


def labels_read(expr, sizes, places, first):
    """The labels of the cells that a formula names in every branch, counted as it counts, and its conditions."""
    scope = Scope({}, sizes, {name: value + first for name, value in places.items()})
    found = []
    for node in walk(expr):
        if isinstance(node, Ref):
            indices = [each for each in (*node.indices, node.at) if each is not None]
            if all(not any(isinstance(inner, Ref) for inner in walk(each)) for each in indices):
                values = [each.value + first if isinstance(each, Number) else evaluate(each, scope) for each in indices]
                found.append((node.operand, [value - first for value in values]))
        is_condition = isinstance(node, Binary) and node.symbol in ("<", "<=", "==")
        if is_condition and not any(isinstance(inner, Ref) for inner in walk(node)):
            found.append(("condition", bool(evaluate(node, scope))))
    return found


@pytest.mark.parametrize("name", bundled())
def test_formulas_of_problems_name_the_same_cells_either_way(name):
    """Counted from 0 and from 1 every formula reads the same cells and takes the same branch."""
    trace = read_problem(name).trace()
    for line in trace.working.lines:
        sizes = line.formula.bind([trace[operand].shape for operand in line.operands])
        zero, one = (equation(line, trace.working.axes, first)[1] for first in (0, 1))
        bound = {node.name for node in walk(zero) if isinstance(node, Index)}
        cells = list(np.ndindex(*(sizes[letter] for letter in sorted(bound))))
        for cell in cells[:: len(cells) // 40 + 1]:
            places = dict(zip(sorted(bound), cell, strict=True))
            assert labels_read(zero, sizes, places, 0) == labels_read(one, sizes, places, 1), line.name
