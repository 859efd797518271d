"""Signatures: which sizes fit together, and what comes out."""

import pytest

from clearhead.errors import ShapeError
from clearhead.expr import Size, formula, indices, total
from clearhead.expr.formula import Misfit, broadcast

c, h, i, j, k = indices("c h i j k")
PRODUCT = formula("i k, k j -> i j", lambda a, b: total(k, a[i, k] * b[k, j]))
DIVIDED = formula("i j, j d -> i j", lambda s, _q: s[i, j] / Size("d"))
CONCAT = formula("h i d -> i c", lambda x: x[c // Size("d"), i, c % Size("d")], c=Size("h") * Size("d"))


@pytest.mark.parametrize(
    ("stated", "shapes", "expected"),
    [
        (PRODUCT, [(2, 3), (3, 4)], (2, 4)),
        (PRODUCT, [(5, 2, 3), (3, 4)], (5, 2, 4)),
        (PRODUCT, [(5, 1, 2, 3), (6, 3, 4)], (5, 6, 2, 4)),
        (CONCAT, [(2, 3, 5)], (3, 10)),
        (DIVIDED, [(4, 2, 3), (7, 3, 5)], (4, 2, 3)),
    ],
)
def test_shapes(stated, shapes, expected):
    """Core axes by letter, axes in front broadcast; an operand that only lends sizes brings none."""
    assert stated.shape(shapes) == expected


def test_sizes_are_bound_by_letter():
    """Every letter, those with a computed size included, gets one size."""
    assert CONCAT.bind([(2, 3, 5)]) == {"h": 2, "i": 3, "d": 5, "c": 10}


def test_a_misfit_says_who_and_how():
    """Two sizes of one letter are named with both operands; a core axis of size 1 does not broadcast."""
    with pytest.raises(Misfit, match=r"^b has k=1 where a has k=3$") as caught:
        PRODUCT.bind([(2, 3), (1, 4)])
    clash = caught.value
    assert (clash.role, clash.letter, clash.owner, clash.expected) == ("b", "k", "a", 3)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(3,), (3, 4)], r"a needs 2 axes \(i k\) or more and has 1"),
        ([(2, 2, 3), (5, 3, 4)], r"the axes in front do not broadcast: \(2,\) and \(5,\)"),
    ],
)
def test_shapes_that_cannot_be(shapes, message):
    """Too few axes, or axes in front that do not broadcast, are told with what came."""
    with pytest.raises(ShapeError, match=message):
        PRODUCT.shape(shapes)


def test_a_computed_size_below_0_is_refused():
    """Where sizes leave less than nothing, the arithmetic that says so is in the message."""
    rest = formula("i d, c -> i d", lambda x, _y: x[i, j], r=Size("d") - Size("c"))
    with pytest.raises(ShapeError, match="n_d - n_c cannot be negative and is -2"):
        rest.shape([(3, 2), (4,)])


def test_a_computed_size_that_is_no_whole_number_is_refused():
    """Columns that cannot be dealt out evenly are an error, and the message has the division."""
    half = formula("i c -> i d", lambda x: x[i, j], d=Size("c") / 2)
    assert half.shape([(3, 4)]) == (3, 2)
    with pytest.raises(ShapeError, match=r"n_c/2 has to be a whole number and is 2\.5"):
        half.shape([(3, 5)])


def test_broadcast_follows_numpy():
    """Shapes are aligned at the right, and sizes of 1 stretch."""
    assert broadcast([(2, 1), (3,), ()]) == (2, 3)
    assert broadcast([]) == ()


@pytest.mark.parametrize(
    ("signature", "body", "message"),
    [
        ("i j -> i j", lambda a, _b: a[i, j], "has 1 operands, its body takes 2"),
        ("i j -> i z", lambda a: a[i, j], "gives no size for z"),
    ],
)
def test_a_signature_that_does_not_fit_its_body(signature, body, message):
    """Whoever writes a formula is told at once what its signature lacks."""
    with pytest.raises(TypeError, match=message):
        formula(signature, body)


def test_roles_are_the_names_of_the_body():
    """The parameters of the body name the operands; read are those of which a cell is taken."""
    assert PRODUCT.roles == ("a", "b")
    assert PRODUCT.read == {"a", "b"}
    assert DIVIDED.read == {"s"}
