"""Norms, above all of rows that have no spread."""

import numpy as np
import pytest

from clearhead.deviations import deviate
from clearhead.ops.textbook.tokens import layer_norm, norm_over_matrix, rms_norm
from clearhead.spec import Attention, Block, Norm

FLAT_ROWS = [[0.1] * 3, [1e8 + 0.1] * 7, [-2.5, -2.5], [0.0], [1e-300] * 5, [1 / 3] * 6]


def norm_alone(eps, kind="layer"):
    """A working that only norms a line called residual."""
    block = Block(Attention(heads=1, output=False), norm=Norm(kind, eps=eps, gain=False))
    return block.working().starting_at("residual")


@pytest.mark.parametrize("row", FLAT_ROWS)
def test_a_row_without_spread_is_nan_with_eps_0(row):
    """0/0 is NaN also where the sum of equal values does not round to their exact multiple."""
    assert np.isnan(layer_norm(np.array([row]), eps=0)).all()
    assert np.isnan(norm_over_matrix(np.array([row, row]), eps=0)).all()


@pytest.mark.parametrize("row", FLAT_ROWS)
def test_a_row_without_spread_is_zero_with_an_eps(row):
    """With an eps above 0 the deviations from the mean, all 0, stay 0."""
    np.testing.assert_array_equal(layer_norm(np.array([row]), eps=1e-5), np.zeros((1, len(row))))


def test_rms_of_zeros():
    """A row of zeros divides 0 by 0 with eps 0, and is 0 with an eps."""
    zeros = np.zeros((1, 3))
    assert np.isnan(rms_norm(zeros, eps=0)).all()
    np.testing.assert_array_equal(rms_norm(zeros, eps=1e-6), zeros)


def test_norms_by_hand():
    """Small rows give the numbers worked out by hand: mean 3, standard deviation 2; root mean square 5."""
    np.testing.assert_allclose(layer_norm(np.array([[1.0, 5.0, 1.0, 5.0]]), eps=0), [[-1, 1, -1, 1]])
    np.testing.assert_allclose(layer_norm(np.array([[1.0, 5.0]]), eps=12), [[-0.5, 0.5]])
    np.testing.assert_allclose(rms_norm(np.array([[1.0, 7.0]]), eps=0), [[0.2, 1.4]])
    np.testing.assert_allclose(norm_over_matrix(np.array([[1.0, 1.0], [5.0, 5.0]]), eps=0), [[-1, -1], [1, 1]])


def test_a_row_far_from_zero_keeps_its_digits():
    """A large mean does not cost the digits of a small spread."""
    row = np.array([[1.0, 5.0, 1.0, 5.0]])
    np.testing.assert_allclose(layer_norm(row + 2.0**40, eps=0), [[-1, 1, -1, 1]], rtol=1e-15)


@pytest.mark.parametrize("row", FLAT_ROWS[:3])
@pytest.mark.parametrize("keep", [None, "norm"])
def test_a_row_without_spread_is_noted(row, keep):
    """The note names the row by its token, the reason (0/0) and the remedy."""
    rows = [np.arange(len(row)), row, np.arange(len(row)) ** 2]
    trace = norm_alone(0).run({"residual": np.array(rows)}, keep=keep, tokens=["Chaky", "loves", "soccer"])
    (note,) = trace.notes
    assert note.rows == ((1,),)
    assert str(note) == (
        "norm, token 2 (loves): NaN, because all its values are equal, so its spread is 0 and, with eps 0, "
        "the norm divides 0 by 0 (0/0). Give the norm an eps above 0, such as 1e-5."
    )


@pytest.mark.parametrize("value", [0.1, 1e8 + 0.1])
def test_the_arithmetic_of_a_row_without_spread_shows_0_over_0(value):
    """The steps shown for such a row are those that give NaN: a variance of 0, not one of rounding errors."""
    explanation = norm_alone(0).run({"residual": [[value] * 3]}).explain("norm", 0, 1, decimals=1)
    mean, variance = explanation.steps
    assert mean.value == value
    assert variance.value == 0
    assert np.isnan(explanation.value)
    assert str(explanation).splitlines()[-1].endswith("/sqrt(0) = NaN")


def test_a_matrix_without_spread_is_noted_for_every_row():
    """With one mean for the whole matrix the reason is a matrix without spread."""
    working = deviate(norm_alone(0), "norm-over-matrix")
    (note,) = working.run({"residual": [[2.0, 2.0, 2.0]] * 2}).notes
    assert note.where == "token 1; token 2"
    assert note.reason.startswith("all values of the matrix are equal")


def test_rms_note_speaks_of_zeros():
    """An RMS norm is 0/0 only where all values are 0, and its note says that."""
    (note,) = norm_alone(0, "rms").run({"residual": [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]}).notes
    assert note.where == "token 1"
    assert note.reason.startswith("all its values are 0")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rows_that_came_in_broken_are_not_blamed_on_the_norm(bad):
    """NaN that stems from NaN or infinity in the row itself gets no note about a spread of 0."""
    trace = norm_alone(0).run({"residual": [[1.0, bad, 2.0], [1.0, 2.0, 3.0]]})
    assert np.isnan(trace["norm"][0]).any()
    assert trace.notes == ()
