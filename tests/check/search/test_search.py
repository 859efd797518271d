"""The search: it finds what trying each set one by one finds."""

from itertools import combinations

import numpy as np
import pytest

from clearhead import Attention, Block, Claim, Norm
from clearhead.check.compare.comparison import compare
from clearhead.check.search.hypotheses import Hypotheses
from clearhead.check.search.plans import Plans
from clearhead.check.search.roundings import roundings
from clearhead.check.search.search import search
from clearhead.check.search.stacked import compute, constant, distinct, fingerprints, merged, side_by_side
from clearhead.deviations import Applied, deviate
from clearhead.line import line
from clearhead.ops.textbook import linear, scores

IDS = ("softmax-over-queries", "scale-after-softmax", "norm-over-matrix")
WORKING = Block(Attention(heads=2, mask="boolean"), norm=Norm(gain=False)).working()
SIZES = {"token": 3, "query": 3, "key": 3, "model": 5, "head": 2, "depth": 4, "head*depth": 8}


@pytest.fixture
def arrays():
    rng = np.random.default_rng(1)
    drawn = {given.name: rng.normal(size=[SIZES[word] for word in given.axes]) for given in WORKING.givens}
    return drawn | {"mask": np.array([[True, False, True], [True, True, True], [True, True, False]])}


def hypothesized(arrays, claims, working=WORKING):
    shapes = working.shapes({name: array.shape for name, array in arrays.items()})
    tries = roundings(working, claims, shapes, brief=True)
    return Hypotheses(Plans(working, [Applied(id) for id in IDS]), tries)


@pytest.mark.parametrize("decimals", [0, 1, 4])
def test_the_walk_finds_what_trying_one_by_one_finds(arrays, decimals):
    """All sets of two that fit a claim loosely or exactly are found, and no others."""
    planted = deviate(WORKING, "softmax-over-queries", "round:line=head,decimals=2").run(arrays)
    claims = [Claim.of("output", np.round(planted["output"], decimals), decimals=decimals)]
    tried = hypothesized(arrays, claims)
    found = {each for each in search(tried, arrays, claims, 2).sets if len(each) == 2}
    fitting = set()
    for chosen in combinations(range(len(tried.candidates)), 2):
        working = tried.rewritten(chosen)
        lines = [dict(tried.candidates[each].parameters).get("line", each) for each in chosen]
        if working is not None and len(set(lines)) == 2 and compare(claims, working.run(arrays)).agrees:
            fitting.add(chosen)
    smaller = set(search(tried, arrays, claims, 1).sets)
    # A set that holds a smaller one and gives the same numbers is followed as the smaller one.
    assert found <= fitting
    assert all(any(set(less) < set(each) for less in smaller) for each in fitting - found)
    assert fitting


def test_plans_leave_alone_what_a_deviation_does_not_change():
    """The softmax changes one slot; the scale leaves its slot empty and puts two lines in that of the weights."""
    plans = Plans(WORKING, [Applied(id) for id in IDS])
    names = [line.name for line in WORKING.lines]
    touched = [[name for name, is_touched in zip(names, row, strict=False) if is_touched] for row in plans.touches]
    assert touched == [["weights"], ["scaled", "masked", "weights"], ["norm"]]
    assert plans.plan((1,))[names.index("scaled")] == ()
    assert [each.name for each in plans.plan((1,))[names.index("weights")]] == ["#0", "weights"]
    assert not plans.clash[0, 1]
    assert not plans.parted


def test_a_line_that_was_moved_is_put_before_what_follows_it():
    """Where a rewrite moves a line, it stands in the slot of the line that it now comes before."""

    class Moved:
        id = "moved"

        def rewrite(self, working):
            *before, last = working.lines
            first = type(last)("norm", last.operation, ("input",), last.axes, last.parameters)
            return type(working)(working.givens, (first, *before), working.label_base)

    plan = Plans(WORKING, [Moved()]).plan((0,))
    assert [each.name for each in plan[0]] == ["norm", "query"]
    assert [each.name for each in plan[-1]] == []
    assert plan[len(WORKING.lines) - 1] == ()


def test_stacked_lines_are_what_single_ones_are():
    """Variants stacked along an axis in front give, one by one, what the operation gives without."""
    rng = np.random.default_rng(2)
    stacks = {"s": rng.normal(size=(4, 2, 3, 5)), "mask": rng.random((4, 3, 5)) > 0.3}
    step = line("masked", scores.mask_boolean, "s mask", "head query key")
    columns = [constant(stack[0], 4) for stack in stacks.values()]
    columns = [type(c)(np.arange(4), (stack,)) for c, stack in zip(columns, stacks.values(), strict=True)]
    found = compute(step, columns, 4)
    for state in range(4):
        single = scores.mask_boolean(stacks["s"][state], stacks["mask"][state])
        np.testing.assert_array_equal(found.blocks[0][found.numbers[state]], single)


def test_each_combination_is_worked_out_once():
    """Six states with two distinct pairs of operands make two values; equal values get one number."""
    a, b = np.eye(2), 2 * np.eye(2)
    left = type(constant(a, 6))(np.array([0, 1, 0, 1, 0, 1]), (np.stack([a, b]),))
    step = line("product", linear.matmul, "x y", "token model")
    found = compute(step, [left, constant(a, 6)], 6)
    assert sum(map(len, found.blocks)) == 2
    joined = merged(side_by_side([(np.arange(6), found), (np.arange(6, 12), found)], 12))
    assert joined.numbers.tolist() == [*joined.numbers[:2]] * 6
    assert sum(map(len, joined.blocks)) == 2


def test_fingerprints_see_past_rounding_and_nothing_else():
    """Arrays that differ in the last bits have one fingerprint; other values, other order, NaN or infinity another."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1, 3, 5))
    others = [x * (1 + 1e-9), x[:, ::-1], np.where(x == x.max(), np.nan, x), np.where(x == x.max(), np.inf, x)]
    prints = fingerprints(np.concatenate([x, x * (1 + 1e-15), *others]))
    assert prints[0] == prints[1]
    assert len(set(prints.tolist())) == 5


def test_fingerprints_of_huge_numbers():
    """Numbers at the end of the range, as exponentials divided by nearly nothing, are told apart without a warning."""
    huge = np.array([[1e300, 1.0], [2e300, 1.0], [1e300, 1.0]])
    one, two, three = fingerprints(huge)
    assert one == three != two


@pytest.mark.parametrize("scale", [1, 10**7])
def test_distinct_rows_of_whole_numbers(scale):
    """Distinct rows are found by table and by sorting alike."""
    rows = np.array([[0, 3], [1, 2], [0, 3], [-1, 2], [1, 2]]) * scale
    rows[3, 0] = -1
    first, which = distinct(list(rows.T))
    assert len(first) == 3
    np.testing.assert_array_equal(rows[first][which], rows)
