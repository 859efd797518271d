"""Lines: how they are named, found and stated."""

import pickle

import pytest

from clearhead.errors import UnknownName
from clearhead.expr import text
from clearhead.line import CODE, Given, Line, equation, find, line, split_head
from clearhead.ops.table import OPERATIONS
from clearhead.ops.textbook import linear, scores
from clearhead.ops.variants import rounding
from clearhead.spec import Attention

NAMES = ["input", "layers.1.attention.weights", "layers.2.attention.weights", "layers.2.mlp.norm", "mlp.norm"]


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("input", "input"),
        ("layers.2.mlp.norm", "layers.2.mlp.norm"),
        ("2.attention.weights", "layers.2.attention.weights"),
        ("mlp.norm", "mlp.norm"),
    ],
)
def test_an_ending_finds_its_line(name, full):
    """A whole name wins; else an ending, cut at a dot, that only one line has."""
    assert find(name, NAMES) == full


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("weights", "'weights' could be layers.1.attention.weights or layers.2.attention.weights. Write more"),
        ("eights", "There is no line 'eights'."),
        ("inptu", "There is no line 'inptu'. Did you mean input?"),
    ],
)
def test_names_that_find_nothing_or_too_much(name, message):
    """The error offers the closest names, or the several that the ending fits."""
    with pytest.raises(UnknownName) as caught:
        find(name, NAMES)
    assert str(caught.value).startswith(message)


def test_heads_behind_at():
    """A head is a whole number behind @."""
    assert split_head("weights@2") == ("weights", 2)
    assert split_head("a.weights") == ("a.weights", None)


@pytest.mark.parametrize("bad", ["weights@", "weights@x", "weights@-1", "weights@1.5", "weights@1@2"])
def test_what_is_no_head(bad):
    """Anything else behind @ is refused, with an example of what is meant."""
    with pytest.raises(UnknownName, match=r"after @ comes the number of a head, as in weights@2; got '"):
        split_head(bad)


def test_a_sentence_has_the_numbers_of_its_line():
    """What a line is says its parameters as numbers and its operands by name, without marks of code."""
    window = line("masked", scores.mask_window, "scaled", "head query key", width=3)
    assert window.summary == "The scores of keys less than 3 tokens away, minus infinity for others: a sliding window."
    repeated = line("key.repeated", linear.repeat, "key", "head key depth", times=2)
    assert "repeated for 2 neighbouring query heads" in repeated.summary


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda each: each.name)
def test_no_sentence_of_a_line_has_marks_of_code(operation):
    """Whatever in an operation's sentence is marked as code is a single word, which a line replaces."""
    assert "`" not in CODE.sub("", operation.summary)


def test_a_line_is_plain_data():
    """Lines are frozen, equal where their parts are, hashable, and pickle."""
    one = line("rounded", rounding.round_decimals, "weights", "head query key", decimals=2)
    same = Line("rounded", rounding.round_decimals, ("weights",), ("head", "query", "key"), (("decimals", 2),))
    assert one == same
    assert hash(one) == hash(same)
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(AttributeError):
        one.name = "other"


def test_parameters_have_an_order_of_their_own():
    """Lines are equal whatever order their parameters were written in."""
    first = line("x", rounding.round_head, "w", "head query key", decimals=2, head=1)
    assert first == line("x", rounding.round_head, "w", "head query key", head=1, decimals=2)


def test_given_knows_some_sizes():
    """A given array says which of its sizes are fixed beforehand."""
    weight = Given("query.weight", ("head", "model", "depth"), (("head", 2),))
    assert weight.known_sizes() == (2, None, None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("query", "query@h[i,d] = sum_m input[i,m]*query.weight@h[m,d]"),
        ("weights", "weights[i,j] = exp(scaled[i,j])/(sum_k exp(scaled[i,k]))"),
        ("concat", "concat[i,c] = head@(c//n_d)[i,c mod n_d]"),
        ("key.repeated", "key.repeated@h[j,d] = key@(h//2)[j,d]"),
        ("output", "output[i,m] = sum_c concat[i,c]*output.weight[c,m]"),
    ],
)
def test_equations_in_the_lines_own_terms(name, expected):
    """The formula of a line names its operands as the working does, with heads behind @."""
    working = Attention(heads=4, kv_heads=2).working()
    left, right = equation(working.line(name), working.axes)
    assert f"{text(left)} = {text(right)}" == expected


def test_the_formula_in_the_operations_terms():
    """A line passes its parameters on to the formula of its operation."""
    assert text(line("s", scores.scale, "x", "query key", factor=0.5).formula.body) == "s[i,j]*0.5"
    assert line("o", linear.matmul, "a b", "token model").formula.roles == ("a", "b")
