"""Formulas in MathML."""

import re
from xml.etree import ElementTree

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
from clearhead.line import equation as equation_of
from clearhead.ops.table import OPERATIONS
from clearhead.show.formula.mathml import arithmetic, equation, escape, mathml

i, j, k = (Index(name) for name in "ijk")

EXAMPLES = [
    (Number(2.5), "2.5"),
    (Number(float("-inf")), "−∞"),
    (Number(1e-5), "10^(−5)"),
    (Size("d"), "n_(d)"),
    (Ref("query", (i, k), Index("h")), "Q_(i,k)^((h))"),
    (Ref("key.rotated", (j,)), "K_(j)^(rotated)"),
    (Ref("my_line", (Number(0),)), "my_line_(1)"),
    (Ref("scores", (i, j)), "S_(i,j)"),
    (Ref("scores", (i, j), None, -0.25), "−0.25"),
    (Local("mean"), "μ"),
    (Call("sqrt", (Size("d"),)), "√(n_(d))"),
    (Call("exp", (i,)), "exp(i)"),
    (Call("abs", (-i,)), "|−i|"),
    (Call("share", (i, j)), "(i)/(j)"),
    (Binary("+", i, Number(-2)), "i−2"),
    (Binary("*", Number(3), Number(-2)), "3·(−2)"),
    (Binary("*", Binary("+", i, j), k), "(i+j)k"),
    (Binary("-", i, Binary("-", j, k)), "i−(j−k)"),
    (Binary("^", Binary("-", i, j), Number(2)), "(i−j)^(2)"),
    (Binary("//", i, Size("d")), "⌊i/n_(d)⌋"),
    (Binary("and", Binary("<=", i, j), Binary("==", j, k)), "i≤j∧j=k"),
    (Reduce("sum", ("k",), Binary("+", i, k)), "∑_(k)(i+k)"),
    (Reduce("mean", ("i", "k"), k), "(1)/(n_(i)n_(k))∑_(i,k)k"),
    (Reduce("max", ("k",), k), "max_(k)k"),
    (Where(Binary("<", i, j), i, k), "{[i|if i<j][k|otherwise]"),
    (Let("mean", i, Local("mean") * 2), "μ·2 where μ=i"),
    (Terms("sum", (Number(1), Number(-2), Number(3)), 3), "1−2+3"),
    (Terms("mean", (Number(1), Number(2)), 2), "(1+2)/(2)"),
    (Terms("sum", (Number(1),), 5, 0.5), "1+… 4 more (0.5)"),
]


def said(node):
    """What MathML says, as text: fractions, roots, and what stands below and above in parentheses."""
    tag, children = node.tag, [said(child) for child in node]
    if tag == "mfrac":
        return "({})/({})".format(*children)
    if tag in ("msub", "munder"):
        return "{}_({})".format(*children)
    if tag == "msup":
        return "{}^({})".format(*children)
    if tag == "msubsup":
        return "{}_({})^({})".format(*children)
    if tag == "msqrt":
        return f"√({''.join(children)})"
    if tag == "mover":
        return children[0]
    if tag == "mtr":
        return f"[{'|'.join(children)}]"
    return ((node.text or "") + "".join(children)).replace("\u2061", "").replace("\u00a0", " ")


def read(markup):
    """Markup as a tree; raises where it is not well formed."""
    return ElementTree.fromstring(markup)


@pytest.mark.parametrize(("expr", "expected"), EXAMPLES, ids=[expected for _, expected in EXAMPLES])
def test_an_expression_is_set_as_a_textbook_sets_it(expr, expected):
    """Each kind of node has its usual form, with parentheses only where they are needed."""
    assert said(read(f"<math>{mathml(expr)}</math>")) == expected


def test_every_kind_of_node_has_an_example():
    """The algebra has no node that the examples above leave out, but for an index, which all of them have."""
    assert {type(expr) for expr, _ in EXAMPLES} | {Index} == set(Expr.__subclasses__())


def test_every_line_and_cell_of_a_block_is_well_formed(big):
    """Formulas and arithmetic of every feature are MathML that any parser reads."""
    for line in big.working.lines:
        read(equation(*equation_of(line, big.working.axes), None, 1))
        for row in arithmetic(big.explain(line.name, *(size - 1 for size in big[line.name].shape))):
            read(row)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_well_formed(name, formula_of):
    """The formula of every operation is MathML."""
    body = formula_of(OPERATIONS[name]).body
    read(f"<math>{mathml(body)}</math>")


def test_the_arithmetic_of_a_cell_has_its_numbers(trace):
    """A cell's name, its sum and its value, as the notebook's example has them."""
    (row,) = arithmetic(trace.explain("head@2", 0, 0))
    assert said(read(row)) == "H_(1,1)^((2))=0.212·(−1)+0.576·1+0.212·(−2)=−0.060"


def test_names_are_no_markup(hostile):
    """What is escaped has no character that HTML takes for markup, but for the references it is written with."""
    for name in hostile:
        left = re.sub(r"&(lt|gt|amp|quot|#x27);", "", escape(name))
        assert not set(left) & set("<>&\"'")
