"""Formulas as the lists from which typst's template sets them."""

import pytest

from clearhead.expr import (
    Binary,
    Call,
    Expr,
    Index,
    Let,
    Local,
    Number,
    Reduce,
    Ref,
    Size,
    Terms,
    Where,
)  # fmt: skip
from clearhead.show.formula.typst import _Printer, arithmetic, formula

i, j, k, d = (Index(name) for name in "ijkd")
I, J, K = (["letter", name] for name in "ijk")
PLUS, MINUS, TIMES, EQUALS = (["sign", sign] for sign in "+\u2212\u22c5=")

EXAMPLES = [
    (Number(2.5), "2.5"),
    (Number(-2), "\u22122"),
    (Number(-1.5e-9), ["row", "\u22121.5", TIMES, ["attach", "10", "\u22129", ""]]),
    (Number(float("-inf")), "\u2212\u221e"),
    (Size("d"), ["attach", ["letter", "n"], "", ["letter", "d"]]),
    (
        Ref("query", (i, Number(0)), Number(1)),
        ["attach", ["letter", "Q"], ["round", "2"], ["row", I, ",", "1"]],
    ),
    (Ref("scaled", (i,)), ["attach", ["tilde", ["letter", "S"]], "", I]),
    (Ref("my#line", ()), "my#line"),
    (Local("mean"), ["letter", "\u03bc"]),
    (Local("square", 4.0), "4"),
    (Call("sqrt", (i,)), ["sqrt", I]),
    (Call("exp", (i,)), ["attach", ["letter", "e"], I, ""]),
    (Call("tanh", (i,)), ["row", ["name", "tanh"], ["round", I]]),
    (Binary("/", i, Binary("+", j, k)), ["frac", I, ["row", J, PLUS, K]]),
    (Binary("+", i, Number(-2)), ["row", I, MINUS, "2"]),
    (Binary("*", Number(3), Number(-2)), ["row", "3", TIMES, ["round", "\u22122"]]),
    (Binary("-", i, Binary("-", j, k)), ["row", I, MINUS, ["round", ["row", J, MINUS, K]]]),
    (Binary("^", Binary("-", i, j), Number(2)), ["attach", ["round", ["row", I, MINUS, J]], "2", ""]),
    (Reduce("sum", ("k",), Binary("*", i, k)), ["row", ["big", "sum", K], ["row", I, " ", K]]),
    (Where(Binary("<", i, j), i, j), ["cases", [I, ["row", "if ", ["row", I, ["sign", "<"], J]]], [J, "otherwise"]]),
    (Let("mean", i, Local("mean")), ["row", ["letter", "\u03bc"], " where ", ["row", ["letter", "\u03bc"], EQUALS, I]]),
    (Terms("mean", (Number(1), Number(-2)), 2), ["frac", ["row", "1", MINUS, "2"], "2"]),
    (Terms("sum", (Number(1),), 5, 0.5), ["row", "1", PLUS, ["under", "\u22ef", ["row", "4 more: ", "0.5"]]]),
]


@pytest.mark.parametrize(("expr", "expected"), EXAMPLES, ids=[repr(expr)[:40] for expr, _ in EXAMPLES])
def test_an_expression_is_set_as_a_textbook_does(expr, expected):
    """Each kind of node has its usual form, with parentheses only where they are needed."""
    assert _Printer(3, 1).whole(expr) == expected


def test_every_kind_of_node_has_an_example():
    """The algebra has no node that the examples leave out; an index is in most of them."""
    assert {type(expr) for expr, _ in EXAMPLES} | {Index} == set(Expr.__subclasses__())


def test_what_a_formula_names_stands_in_equations_of_its_own():
    """The body comes first, then each value that it gives a name to."""
    stated = formula(Ref("x", ()), Let("mean", i, Local("mean") + 1), 3, 1)
    assert stated == [
        ["row", "x", EQUALS, ["row", ["letter", "\u03bc"], PLUS, "1"]],
        ["row", ["letter", "\u03bc"], EQUALS, I],
    ]


def test_the_arithmetic_of_a_cell_has_its_numbers(trace):
    """A cell's name, its sum and its value, as the notebook's example has them; what is said once is not said twice."""
    (written,) = arithmetic(trace.explain("head@2", 0, 0))
    name = ["attach", ["letter", "H"], ["round", "2"], ["row", "1", ",", "1"]]
    terms = [
        ["row", "0.212", TIMES, ["round", "\u22121"]],
        ["row", "0.576", TIMES, "1"],
        ["row", "0.212", TIMES, ["round", "\u22122"]],
    ]
    total = ["row", terms[0], PLUS, terms[1], PLUS, terms[2]]
    assert written == ["row", name, EQUALS, total, EQUALS, "\u22120.060"]
    (given,) = arithmetic(trace.explain("position", 0, 0))
    assert given == ["row", ["attach", ["letter", "P"], "", ["row", "1", ",", "1"]], EQUALS, "1"]
