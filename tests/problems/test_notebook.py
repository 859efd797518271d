"""What the notebook that clearhead grew from printed, cell by cell, out of its bundled problems."""

import math

import numpy as np
import pytest
from msgspec.structs import replace

from clearhead.problems import read_problem

BY_HAND = ("round:line=weights@2,decimals=2", "round:line=head@1,decimals=1")
"""The hand solution: row softmax with its weights in two decimals, and 7/6 in one."""

AS_CODED = ("softmax-over-queries", "scale-after-softmax", "norm-over-matrix")
"""What the notebook's functions do otherwise than the textbook."""

PRINTED = [
    ("single-head", 2, (), "query@1", """
array([[0., 1.],
       [0., 2.],
       [0., 1.]])"""),
    ("single-head", 3, (), "key@1", """
array([[ 1. ,  1. ],
       [ 1. ,  1. ],
       [-2.5, -2.5]])"""),
    ("single-head", 4, (), "value@1", """
array([[ 1. ,  1. ],
       [ 1. ,  2. ],
       [-2.5,  1. ]])"""),
    ("two-heads", 5, (), "query@1", """
array([[0.],
       [0.],
       [0.]])"""),
    ("two-heads", 5, (), "query@2", """
array([[ 2. ],
       [ 3. ],
       [-1.5]])"""),
    ("two-heads", 6, (), "key@1", """
array([[ 1. ],
       [ 1. ],
       [-2.5]])"""),
    ("two-heads", 6, (), "key@2", """
array([[1.],
       [2.],
       [1.]])"""),
    ("two-heads", 7, (), "value@1", """
array([[ 2. ],
       [ 3. ],
       [-1.5]])"""),
    ("two-heads", 7, (), "value@2", """
array([[ 2. ],
       [ 3. ],
       [-1.5]])"""),
    ("two-heads", 8, BY_HAND, "head@1", """
array([[1.2],
       [1.2],
       [1.2]])"""),
    ("two-heads", 9, BY_HAND, "head@2", """
array([[2.425],
       [2.755],
       [0.525]])"""),
    ("two-heads", 10, BY_HAND, "concat", """
array([[1.2  , 2.425],
       [1.2  , 2.755],
       [1.2  , 0.525]])"""),
    ("two-heads", 11, BY_HAND, "residual", """
array([[ 2.2  ,  3.425],
       [ 2.2  ,  4.755],
       [-1.3  ,  1.525]])"""),
    ("two-heads", 14, (*BY_HAND, "norm-over-matrix"), "norm", """
array([[ 0.0354364 ,  0.69482251],
       [ 0.0354364 ,  1.41072743],
       [-1.84852392, -0.32789881]])"""),
    ("soccer", 16, (), "input", """
array([[ 1,  0],
       [ 0, -1],
       [ 1,  1]])"""),
    ("soccer", 18, (), "query@1", """
array([[ 0],
       [ 1],
       [-1]])"""),
    ("soccer", 18, (), "query@2", """
array([[ 1],
       [-1],
       [ 2]])"""),
    ("soccer", 19, (), "key@1", """
array([[1],
       [1],
       [0]])"""),
    ("soccer", 19, (), "key@2", """
array([[-1],
       [ 0],
       [-1]])"""),
    ("soccer", 20, (), "value@1", """
array([[ 0],
       [-1],
       [ 1]])"""),
    ("soccer", 20, (), "value@2", """
array([[-1],
       [ 1],
       [-2]])"""),
    ("soccer", 21, AS_CODED, "head@1", """
array([[ 0.08860486],
       [-0.33190762],
       [ 0.24330276]])"""),
    ("soccer", 22, AS_CODED, "head@2", """
array([[-0.00925226],
       [-2.19805087],
       [ 0.20730313]])"""),
    ("soccer", 23, AS_CODED, "output", """
array([[ 0.08860486,  0.08860486],
       [-0.33190762, -0.33190762],
       [ 0.24330276,  0.24330276]])"""),
    ("soccer", 24, AS_CODED, "residual", """
array([[ 1.08860486,  0.08860486],
       [-0.33190762, -1.33190762],
       [ 1.24330276,  1.24330276]])"""),
    ("soccer", 25, AS_CODED, "norm", """
array([[ 0.7887128 , -0.25556435],
       [-0.69469593, -1.73897308],
       [ 0.95026028,  0.95026028]])"""),
]  # fmt: skip


def as_printed(array, printed):
    """The array as the notebook prints it: whole numbers where the notebook had integers."""
    if "." not in printed:
        assert np.array_equal(array, array.astype(int))
        array = array.astype(int)
    return repr(array)


@pytest.mark.parametrize(("name", "cell", "deviations", "line", "printed"), PRINTED)
def test_a_cell_prints_what_the_notebook_printed(name, cell, deviations, line, printed):
    """Each array that a cell of the notebook printed comes out of its problem, letter by letter."""
    assert as_printed(read_problem(name).trace(*deviations).numpy(line), printed) == printed.strip(), f"cell {cell}"


@pytest.mark.parametrize(("name", "cell", "deviations", "line", "printed"), PRINTED)
def test_a_bundled_claim_has_the_printed_numbers(name, cell, deviations, line, printed):  # noqa: ARG001 - the table has them
    """The claims of the bundled problems are the arrays that the notebook printed, with all their digits."""
    claims = {claim.line: claim for claim in read_problem(name).claims}
    assert as_printed(claims[line].values, printed) == printed.strip(), f"cell {cell}"


def test_every_bundled_claim_was_printed():
    """The three problems of the notebook claim just what it printed, nothing besides."""
    claimed = [
        (name, claim.line) for name in ("single-head", "two-heads", "soccer") for claim in read_problem(name).claims
    ]
    assert claimed == [(name, line) for name, _, _, line, _ in PRINTED]


def test_the_problems_of_the_notebook_declare_no_deviations():
    """Shown as they are, the notebook's problems are worked the textbook way."""
    assert [read_problem(name).deviations for name in ("single-head", "two-heads", "soccer")] == [(), (), ()]


@pytest.fixture
def typed():
    """Example 1 with the values that its author typed over the computed ones, in cells 8 and 9."""
    problem = read_problem("two-heads")
    heads = [[[1.2], [1.2], [1.2]], [[2.425], [2.755], [0.525]]]
    return replace(problem, given=("head",), arrays={"input": problem.arrays["input"], "head": heads}, claims=())


def test_means_and_spreads_of_cells_12_and_13(typed):
    """Means and standard deviations of the tokens are those that cells 12 and 13 printed."""
    trace = typed.trace()
    steps = [{step.name: step.value for step in trace.explain("norm", row, 0).steps} for row in range(3)]
    assert [step["mean"] for step in steps] == pytest.approx([2.8125, 3.4775, 0.11249999999999993], rel=1e-14)
    spreads = [math.sqrt(step["variance"]) for step in steps]
    assert spreads == pytest.approx([0.6124999999999998, 1.2774999999999999, 1.4125], rel=1e-14)


def test_the_typed_residual_has_the_printed_means_to_the_last_bit(typed):
    """The residual of the typed values is the notebook's own, bit by bit: NumPy takes the same means of it."""
    residual = typed.trace().numpy("residual")
    assert [float(np.mean(row)) for row in residual] == [2.8125, 3.4775, 0.11249999999999993]
    assert [float(np.std(row)) for row in residual] == [0.6124999999999998, 1.2774999999999999, 1.4125]


@pytest.mark.parametrize(("cell", "deviations", "line", "printed"), [each[1:] for each in PRINTED[11:14]])
def test_the_typed_values_lead_to_what_was_printed(typed, cell, deviations, line, printed):
    """From the typed values on, cells 10 to 14 come out as printed, with no rounding but the typed one."""
    later = [each for each in deviations if not each.startswith("round")]
    assert as_printed(typed.trace(*later).numpy(line), printed) == printed.strip(), f"cell {cell}"


def test_the_textbook_gives_other_numbers():
    """Without the deviations no attention result is what the notebook printed: the deviations matter."""
    agree = {
        (name, line)
        for name, _, deviations, line, printed in PRINTED
        if deviations and as_printed(read_problem(name).trace().numpy(line), printed) == printed.strip()
    }
    assert agree == set()


def test_seven_sixths_is_what_was_rounded():
    """The weights of head 1 are all 1/3, so its textbook value is 7/6, which the author wrote as 1.2."""
    np.testing.assert_allclose(read_problem("two-heads").trace().numpy("head@1"), 7 / 6, rtol=1e-15)


def test_soccer_has_a_token_without_spread():
    """The textbook norm of "soccer" is 0/0, and the trace says so by the name of the token."""
    trace = read_problem("soccer").trace()
    assert np.isnan(trace.numpy("norm")).tolist() == [[False, False], [False, False], [True, True]]
    assert "token 3 (soccer)" in str(trace.notes[0])
