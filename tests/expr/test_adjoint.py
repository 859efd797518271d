"""Adjoints: formulas of gradients, solved for the indices of one cell."""

import pytest

from clearhead.errors import SpecError
from clearhead.expr import Let, Local, Size, call, formula, indices, same, text, total, where
from clearhead.expr.adjoint import adjoint
from clearhead.expr.nodes import Reduce
from clearhead.expr.polynomial import always

c, d, h, i, j, k, m, n = indices("c d h i j k m n")


def written(stated, role):
    """The adjoint for an operand as text."""
    return text(adjoint(stated, role).body)


SOLVED = [
    ("i -> j", lambda x: x[j + 2], {"j": Size("i") - 2}, "grad[i - 2] if 2 <= i else 0"),
    ("i -> j", lambda x: x[Size("i") - 1 - j], {"j": Size("i")}, "grad[n_i - 1 - i]"),
    ("i m -> c", lambda x: x[c // Size("m"), c % Size("m")], {"c": Size("i") * Size("m")}, "grad[i*n_m + m]"),
    ("c -> i j", lambda x: x[i * Size("j") + j], {"i": 2, "j": Size("c") / 2}, "grad[c//n_j,c mod n_j]"),
    ("i -> j", lambda x: x[j // 3], {"j": Size("i") * 3}, "sum_k grad[i*3 + k]"),
    ("i -> j", lambda x: x[j % Size("i")], {"j": Size("i") * 2}, "sum_k grad[k*n_i + i]"),
    ("i i -> i", lambda x: x[i, i], {}, None),
    ("i m -> i", lambda x: x[i, i], {}, "grad[i] if m == i else 0"),
    ("i -> j", lambda x: x[j // 2 + j % 2], {"j": Size("i")}, "sum_j (grad[j] if i == j//2 + j mod 2 else 0)"),
    ("i j -> i j", lambda x: where(j < i + 9, x[i, j], 0), {"j": 9, "i": 9}, "grad[i,j]"),
]
"""A signature, its body, sizes, and the gradient of x."""


@pytest.mark.parametrize(("signature", "body", "sizes", "expected"), [each for each in SOLVED if each[3]])
def test_indices_are_solved_for(signature, body, sizes, expected):
    """The cell of the result that reads a cell is found, with a condition where not every cell is read."""
    assert written(formula(signature, body, **sizes), "x") == expected


def test_a_condition_that_always_holds_is_left_out():
    """A branch of all cells, or of none, is known from the sizes: nothing is stated of what follows."""
    size = {"i": 3, "j": 4}.get
    known = lambda name: {(): size(name)}  # noqa: E731
    assert always(i < 3 + j, known) is True
    assert always(same(i, 5 + j), known) is False
    assert always(i < j, known) is None
    assert always((i < 3) & (j < 4), known) is True


def test_an_operand_that_lends_its_size_has_no_gradient():
    """What the result does not change with has no formula: sizes, conditions, numbers of rows, rounding."""
    stated = formula(
        "i, i, i -> i", lambda x, mask, at: where(mask[i], x[i] * Size("i"), call("round", x[at[i]], 2))
    )  # fmt: skip
    assert adjoint(stated, "mask") is None
    assert adjoint(stated, "at") is None
    assert written(stated, "x") == "grad[i]*n_i if mask[i] else 0"


def test_named_values_are_named_in_the_gradient():
    """A value that the formula names keeps its name, and its own change is part of the gradient."""
    stated = formula("i -> i", lambda x: Let("sum", total(k, x[k]), x[i] * Local("sum")), k=Size("i"))
    assert written(stated, "x") == "grad[i]*sum + sum_k grad[k]*x[k] where sum = sum_k x[k]"


def test_equal_largest_numbers_share_the_gradient():
    """The maximum of a row passes equal parts to all that are it."""
    stated = formula("i j -> i", lambda x: Reduce("max", ("j",), x[i, j]))
    largest = "x[i,j] == max_k x[i,k]"
    assert written(stated, "x").startswith("grad[i]/(sum_k (1 if x[i,k] == max_")
    assert written(stated, "x").endswith(f"if {largest} else 0")


def test_what_has_no_derivative_is_refused():
    """A function without a derivative is named in the error."""
    with pytest.raises(SpecError, match="The function gamma has no derivative"):
        adjoint(formula("i -> i", lambda x: call("gamma", x[i])), "x")
