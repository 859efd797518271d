"""Claims: numbers as somebody wrote them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clearhead.claim import Claim, decimals_of, differing, leaves, shape_of
from clearhead.errors import ProblemError


@pytest.mark.parametrize(
    ("written", "decimals"),
    [
        ("2.425", 3),
        ("-0.10", 2),
        ("+.5", 1),
        ("7", 0),
        ("7.", 0),
        ("-12", 0),
        ("1.5e-3", 4),
        ("1e-3", 3),
        ("1.25e2", 0),
        ("1.25E1", 1),
        ("3e+2", 0),
        ("7/6", None),
        ("nan", None),
        ("-inf", None),
        ("?", None),
    ],
)
def test_decimals_as_written(written, decimals):
    """The precision of a number is what was written: trailing zeros count, an exponent moves it."""
    assert decimals_of(written) == decimals


@pytest.mark.parametrize(
    ("claim", "precision", "tolerance"),
    [
        (Claim("head", ("2.425", "1.2")), 3, 0.0005),
        (Claim("head", ("1.20", "3")), 2, 0.005),
        (Claim("head", "4"), 0, 0.5),
        (Claim("head", ("7/6", "1/3")), None, 0.0),
        (Claim("head", ("7/6", "0.5")), 1, 0.05),
        (Claim("head", ("2.425",), decimals=1), 1, 0.05),
        (Claim("head", ("nan", "?")), None, 0.0),
        (Claim("head", "1e-9999"), 9999, 0.0),
    ],
)
def test_precision_is_that_of_the_most_precise_number(claim, precision, tolerance):
    """Half a unit of the last decimal is tolerated, nothing where fractions alone are claimed."""
    assert claim.precision == precision
    assert claim.tolerance == pytest.approx(tolerance, rel=1e-12, abs=0)


def test_values_keep_the_nesting():
    """Numbers, fractions and special values become an array of the claimed shape."""
    claim = Claim("weights", (("1", "-7/6", "1e2"), ("nan", "-inf", "?")))
    np.testing.assert_array_equal(claim.values, [[1, -7 / 6, 100], [math.nan, -math.inf, math.nan]])
    np.testing.assert_array_equal(claim.claimed, [[True, True, True], [True, True, False]])
    np.testing.assert_array_equal(claim.exact(), [[False, True, False], [False, False, False]])
    assert shape_of(claim.written) == (2, 3)
    assert list(leaves(claim.written)) == ["1", "-7/6", "1e2", "nan", "-inf", "?"]


def test_one_number_has_no_axes():
    """A claim for one cell is a single number."""
    claim = Claim("norm", "0.5", cell=(1, 2))
    assert claim.values.shape == ()
    assert float(claim.values) == 0.5


@pytest.mark.parametrize("bad", ["", "abc", "1.2.3", "--1", "0x10", "1e", "NaN?", "1 1", "1e-99999"])
def test_what_is_no_number(bad):
    """Anything else is refused, with examples of what is meant and what came."""
    with pytest.raises(ProblemError, match=r"A number such as 2\.425, 1e-3, 7/6, 33%, sqrt\(2\)/2") as caught:
        Claim("head", (bad,))
    assert repr(bad) in str(caught.value)


def test_no_division_by_0():
    """A fraction over 0 is refused."""
    with pytest.raises(ProblemError, match="A number divides by 0: '3/0'"):
        Claim("head", "3/0")


@pytest.mark.parametrize("ragged", [(), (("1", "2"), ("3",)), (("1",), "2"), ((), ())])
def test_rows_are_equally_long(ragged):
    """A claim is a block of numbers: rows that differ, or are empty, are refused at once."""
    with pytest.raises(ProblemError, match="empty or not equally long"):
        Claim("head", ragged)


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=5))
def test_arrays_are_claimed_to_the_last_digit(numbers):
    """A claim made of floats reads back the same floats."""
    np.testing.assert_array_equal(Claim.of("head", np.array(numbers)).values, numbers)


def test_claims_of_arrays():
    """Whole numbers are written without decimals; ``decimals`` overrides the precision."""
    claim = Claim.of("head", [[2.0, 0.5]], decimals=2)
    assert claim == Claim("head", (("2", "0.5"),), decimals=2)
    assert hash(claim) == hash(Claim("head", (("2", "0.5"),), decimals=2))
    assert claim.tolerance == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("written", "half_units"),
    [
        (("1.6660e-05", "2.4726e-03", "9.9751e-01"), (5e-10, 5e-8, 5e-6)),
        (("1.666e-05", "0.0024726", "0.99751", "0"), (5e-10, 5e-8, 5e-6, 5e-9)),
        (("0.000812", "0.143", "12.4"), (5e-7, 5e-4, 5e-2)),
        (("0.143", "0.3", "0.571"), (5e-4, 5e-4, 5e-4)),
        (("0.111", "0.014", "0.039", "0.0", "0.0"), (5e-4, 5e-4, 5e-4, 5e-4, 5e-4)),
        (("12.25", "0.5", "3"), (5e-3, 5e-3, 5e-3)),
        (("1", "0", "0.102", "0.014"), (5e-4, 5e-4, 5e-4, 5e-4)),
        (("1.0", "0.0", "0.669", "0.12"), (5e-4, 5e-4, 5e-4, 5e-4)),
        (("-21.1", "-2.32", "-9.15"), (5e-2, 5e-3, 5e-3)),
        (("7/6", "0.5", "nan"), (0, 5e-2, 0)),
        (("0.055", "0.090", "0.0067", "0.10", "0.74"), (5e-4, 5e-4, 5e-5, 5e-3, 5e-3)),
        (("0.10", "0.123", "0.25"), (5e-4, 5e-4, 5e-4)),
    ],
)
def test_each_number_has_the_precision_of_its_print(written, half_units):
    """Numbers printed to significant digits are held to these, those printed to decimals to the most decimals.

    A whole number shows neither; where it is open which of the two it was, the larger unit counts.
    """
    np.testing.assert_allclose(Claim("head", written).half_units, half_units, rtol=1e-12, atol=0)


def test_an_array_of_single_precision_claims_no_more_than_it_holds():
    """float32 and float16 arrays are written in the digits that tell their numbers from their neighbours."""
    claim = Claim.of("head", np.array([1 / 3, 2.0], dtype=np.float32))
    assert (claim.written, claim.dtype) == (("0.33333334", "2"), "float32")
    assert Claim.of("head", np.array([1 / 3], dtype=np.float16)).written == ("0.3333",)
    assert Claim.of("head", np.array([1 / 3])).dtype is None


@pytest.mark.parametrize(
    ("numbers", "decimals"),
    [
        (np.array([1234.5, 0.25]), 5),
        (np.array([0.5, -np.inf, np.nan]), 9),
        (np.array([1234.5], dtype=np.float32), 0),
        (np.array([12.5], dtype=np.float32), 2),
        (np.array([7, -20]), 7),
        (np.zeros(2), 9),
    ],
)
def test_numbers_of_code_have_the_digits_that_sums_of_their_type_keep(numbers, decimals):
    """Nine digits of float64, four of float32: decimals are those digits less what stands before the point."""
    assert Claim.computed("head", numbers).precision == decimals


def test_a_bfloat16_tensor_is_a_claim():
    """NumPy has no bfloat16: a tensor of that type is claimed by the numbers that it holds."""
    claim = Claim.of("head", torch.tensor([1 / 3], dtype=torch.bfloat16))
    assert claim.dtype == "bfloat16"
    assert float(claim.values[0]) == pytest.approx(0.33398, abs=1e-5)


def test_the_edge_of_a_tolerance():
    """A number half a unit off agrees, one a thousandth further off does not; fractions are near exact."""
    claim = Claim("head", "0.25")
    assert not differing(claim, np.array(0.255))
    assert differing(claim, np.array(0.255 + 5e-6))
    assert not differing(Claim("head", "50/1"), np.array(50 + 2e-11))
    assert differing(Claim("head", "1/2"), np.array(0.5 + 1e-11))
    assert not differing(Claim("head", "1/2"), np.array(0.5 + 0.9e-12))
    assert differing(Claim("head", "1/2"), np.array(0.5 + 1.5e-12))


def test_slack_widens_the_tolerance_cell_by_cell():
    """What a number was computed from may add to its tolerance; its neighbours keep theirs."""
    claim = Claim("head", ("0.25", "0.50"), slack=(0.01, 0.0))
    np.testing.assert_array_equal(differing(claim, np.array([0.262, 0.512])), [False, True])


def test_large_numbers_with_exponents_have_the_digits_of_their_mantissas():
    """What NumPy prints of large and small numbers together agrees with them; another third digit does not."""
    numbers = np.array([0.0, -2.27907450, -3.65305666e8, -7.50939982e3])
    with np.printoptions(precision=2):
        printed = str(numbers).strip("[]").split()
    claim = Claim("loss", tuple(printed))
    assert not differing(claim, numbers).any()
    other = numbers * [1, 1, 1.005, 1]
    assert differing(claim, other).tolist() == [False, False, True, False]
    assert differing(Claim("loss", ("1e3",)), np.array([1001.0])).all()
    assert Claim("loss", ("1.5e9999",)).half_units.tolist() == [0.5]
