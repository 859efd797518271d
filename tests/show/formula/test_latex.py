import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearhead.errors import visible
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
from clearhead.show.formula.latex import ESCAPES, arithmetic, escape, latex, symbol
from clearhead.spec import Attention, Block, Rotary

i, j, k, d = (Index(name) for name in "ijkd")

EXAMPLES = [
    (Number(2.5), "2.5"),
    (Number(-2), "-2"),
    (Number(1e-5), "10^{-5}"),
    (Number(float("-inf")), r"-\infty"),
    (Index("i"), "i"),
    (Size("d"), "n_{d}"),
    (Ref("query", (i, d), Index("h")), "Q^{(h)}_{i,d}"),
    (Ref("query.weight", (i, d), Number(1)), "W^{Q,(2)}_{i,d}"),
    (Ref("layers.3.attention.weights", (i, j)), r"A^{\text{layers.3.attention}}_{i,j}"),
    (Ref("key.rotated", (j, d)), r"K^{\text{rotated}}_{j,d}"),
    (Ref("my_line", (Number(0),)), r"\text{my\_line}_{1}"),
    (Ref("scores", (i, j), None, -0.25), "-0.25"),
    (Local("mean"), r"\mu"),
    (Local("square"), r"\text{square}"),
    (Local("mean", 2.0), "2"),
    (Call("sqrt", (Size("d"),)), r"\sqrt{n_{d}}"),
    (Call("exp", (Ref("scores", (i, j)),)), r"\exp\left(S_{i,j}\right)"),
    (Call("erf", (i,)), r"\operatorname{erf}\left(i\right)"),
    (Call("abs", (-i,)), r"\left|-i\right|"),
    (Call("pi", ()), r"\pi"),
    (Call("share", (i, j)), r"\frac{i}{j}"),
    (Binary("+", i, Number(-2)), "i - 2"),
    (Binary("*", Number(3), Number(-2)), r"3 \cdot \left(-2\right)"),
    (Binary("*", Binary("+", i, j), k), r"\left(i + j\right)\,k"),
    (Binary("-", i, Binary("-", j, k)), r"i - \left(j - k\right)"),
    (Binary("^", Binary("-", i, j), Number(2)), r"\left(i - j\right)^{2}"),
    (Binary("^", Ref("query", (i,), j), Number(2)), r"\left(Q^{(j)}_{i}\right)^{2}"),
    (Binary("^", Local("variance"), Number(2)), r"\left(\sigma^2\right)^{2}"),
    (Binary("//", i, Size("d")), r"\lfloor i / n_{d} \rfloor"),
    (Binary("%", i, Number(2)), r"i \bmod 2"),
    (Binary("and", Binary("<=", i, j), Binary("==", j, k)), r"i \le j \land j = k"),
    (Reduce("sum", ("k",), Binary("*", i, k)), r"\sum_{k} i\,k"),
    (Reduce("sum", ("k",), Binary("+", i, k)), r"\sum_{k} \left(i + k\right)"),
    (Reduce("mean", ("i", "k"), k), r"\frac{1}{n_{i}n_{k}}\sum_{i,k} k"),
    (Reduce("max", ("k",), k), r"\max_{k} k"),
    (
        Where(Binary("<", i, j), i, Where(Binary("<", j, k), j, k)),
        r"\begin{cases} i & \text{if } i < j \\ j & \text{if } j < k \\ k & \text{otherwise} \end{cases}",
    ),
    (Let("mean", i, Local("mean") * 2), r"\mu \cdot 2 \quad\text{where } \mu = i"),
    (Terms("sum", (Number(1), Number(-2)), 2), "1 - 2"),
    (Terms("mean", (Number(1), Number(2)), 2), r"\frac{1 + 2}{2}"),
    (Terms("max", (Number(1), Number(2)), 5, 0.5), r"\max\left(1, 2, \dots\text{ 3 more}\right)"),
    (Terms("sum", (Number(1), Number(2)), 5, 0.5), r"1 + 2 + \underbrace{\cdots}_{\text{3 more: }0.5}"),
]


@pytest.mark.parametrize(("expr", "expected"), EXAMPLES, ids=[expected for _, expected in EXAMPLES])
def test_an_expression_prints_as_a_textbook_sets_it(expr, expected):
    """Each kind of node has its usual form, with parentheses only where they are needed."""
    assert latex(expr) == expected


def test_every_kind_of_node_has_an_example():
    """The algebra has no node that the examples above leave out."""
    assert {type(expr) for expr, _ in EXAMPLES} == set(Expr.__subclasses__())


def _is_sound(formula):
    """Braces, left and right, begin and end in pairs, and no two superscripts on one symbol."""
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", formula):
        depth += 1 if brace == "{" else -1
        assert depth >= 0, formula
    assert depth == 0, formula
    assert formula.count(r"\left") - formula.count(r"\leftarrow") == formula.count(r"\right"), formula
    assert formula.count(r"\begin") == formula.count(r"\end"), formula
    assert not re.search(r"\^(\{[^{}]*\}|\w)(_\{[^{}]*\})?\^", formula), formula
    return True


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_prints(name, formula_of):
    """The formula of every operation is sound LaTeX."""
    body = formula_of(OPERATIONS[name]).body
    assert _is_sound(latex(body))


def _every_line_and_cell(trace):
    for line in trace.working.lines:
        yield from (latex(side) for side in equation_of(line, trace.working.axes))
        yield from arithmetic(trace.explain(line.name, *(size - 1 for size in trace[line.name].shape)))


def test_every_line_and_cell_of_a_block_prints(big):
    """Formulas under the names of their lines, and with numbers in them, are sound LaTeX."""
    assert all(map(_is_sound, _every_line_and_cell(big)))


def test_every_line_and_cell_with_other_choices_prints(arrays_for, sizes):
    """The same holds with interleaved rotary positions and a mask of numbers."""
    working = Block(Attention(heads=4, rotary=Rotary("interleaved"), mask="additive", scale=0.5)).working()
    trace = working.run(arrays_for(working, sizes | {"query": 3, "key": 3}))
    assert all(map(_is_sound, _every_line_and_cell(trace)))


def test_the_arithmetic_of_a_cell_has_its_numbers(trace):
    """A cell's name, its sum and its value, as the notebook's example has them."""
    (written,) = arithmetic(trace.explain("head@2", 0, 0))
    assert written == (
        r"H^{(2)}_{1,1} = 0.212 \cdot \left(-1\right) + 0.576 \cdot 1 + 0.212 \cdot \left(-2\right) = -0.060"
    )


@pytest.mark.parametrize(
    "name", ["weights", "a.weights", "weights.unscaled", "query.weight", "x.query.weight.y", "else"]
)
def test_a_symbol_keeps_what_its_name_says(name):
    """Names that differ get symbols that differ."""
    names = ["weights", "a.weights", "weights.unscaled", "query.weight", "x.query.weight.y", "else", "query", "weight"]
    assert [other for other in names if symbol(other) == symbol(name)] == [name]


_ONE = re.compile("|".join([*(re.escape(code) for code in ESCAPES.values()), r"([-,])\{\}(?=\1)", r"[^\\{}$&#%_^~]"]))
_BACK = {code: character for character, code in ESCAPES.items()}


@given(st.text(st.one_of(st.characters(), st.sampled_from([*ESCAPES, "-", ","])), max_size=30))
def test_escaped_text_holds_no_command(text):
    """All that stands in escaped text is a harmless character or the code of a harmful one, and it reads back."""
    escaped, read, at = escape(text), "", 0
    while at < len(escaped):
        found = _ONE.match(escaped, at)
        assert found, escaped[at:]
        read += _BACK.get(found[0], found[0].removesuffix("{}"))
        at = found.end()
    assert read == visible(text)
    assert "--" not in escaped
    assert ",," not in escaped
