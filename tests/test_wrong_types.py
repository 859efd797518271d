"""Arguments of another type than a function takes: refused where they are given, with what was expected."""

from fractions import Fraction

import numpy as np
import pytest

import clearhead
from clearhead import Attention, Claim, ProblemError, ShapeError, SpecError, WrongType

WORKING = Attention(heads=1, output=False).working().starting_at("query", "key", "value")


@pytest.fixture(scope="module")
def trace():
    query, key, value = np.random.default_rng(1).normal(size=(3, 1, 3, 2))
    return WORKING.run({"query": query, "key": key, "value": value})


@pytest.mark.parametrize(
    "numbers",
    [[[1], [1, 2]], object(), [["a"]], np.eye(2) * 1j, [[None]], {"a": 1}],
    ids=["ragged", "object", "text", "complex", "none", "names"],
)
def test_a_claim_is_of_real_numbers(numbers):
    """Ragged rows, texts, objects and complex numbers are no claim; nothing of them is dropped in silence."""
    for make in (Claim.of, Claim.computed):
        with pytest.raises(WrongType, match="real numbers in rows of equal length"):
            make("head", numbers)


def test_numbers_of_every_kind_are_claimed():
    """Fractions, large whole numbers and booleans are numbers."""
    claim = Claim.of("head", [[Fraction(1, 4), 10**30], [True, -0.5]])
    np.testing.assert_array_equal(claim.values, [[0.25, 1e30], [1, -0.5]])


@pytest.mark.parametrize("decimals", ["x", -1, 2.0, True, 1000])
def test_the_decimals_of_a_claim_are_a_whole_number(decimals):
    """From 0 to 20, as in a file."""
    with pytest.raises(ProblemError, match="decimals expects a whole number, 0 to 20"):
        Claim.of("head", [[1.0]], decimals=decimals)


@pytest.mark.parametrize("cell", [(0.5, 0), ("a", 0), (None, None), (np.float64(0), 0)])
def test_cells_are_whole_numbers(trace, cell):
    """An index that is no whole number is named."""
    with pytest.raises(ShapeError, match="whole numbers as indices"):
        trace.explain("weights@1", *cell)


@pytest.mark.parametrize("address", [3, None, ("weights", 1)])
def test_lines_are_called_by_texts(trace, address):
    """Anything else is no name of a line."""
    with pytest.raises(WrongType, match="called by its name"):
        trace[address]


def test_deviations_are_texts_or_applied():
    """A number is none, and no parameter is stated twice."""
    with pytest.raises(WrongType, match="A deviation is its text"):
        clearhead.deviate(WORKING, 3)
    with pytest.raises(SpecError, match="takes factor once"):
        clearhead.deviate(WORKING, "scale-factor:factor=2,factor=3")


@pytest.mark.parametrize("call", [clearhead.probe, clearhead.measure])
def test_only_functions_are_called(call):
    """What was called already, or was never a function, is refused as that; it is no function that differs."""
    with pytest.raises(WrongType, match="function expects a function, got NoneType"):
        call(None, WORKING)
    with pytest.raises(WrongType, match="Give it without calling it"):
        call(np.ones(3), WORKING)
