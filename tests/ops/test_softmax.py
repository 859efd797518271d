"""Softmax: shares that add up to one, whatever the scores."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearhead.ops.textbook.scores import softmax, softmax_over_queries
from clearhead.spec import Attention

ANY_FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(ANY_FINITE, min_size=1, max_size=6))
def test_rows_of_any_finite_scores_add_up_to_one(scores):
    """However large or small the scores are, no weight overflows and a row adds up to 1."""
    weights = softmax(np.array([scores]))
    assert np.all((weights >= 0) & (weights <= 1))
    assert weights.sum() == pytest.approx(1, abs=1e-15 * len(scores))


@pytest.mark.parametrize(
    ("scores", "weights"),
    [
        ([1e308, -1e308, 1e308], [0.5, 0, 0.5]),
        ([-1e308, -1.7e308], [1, 0]),
        ([1e4, -1e4], [1, 0]),
        ([-1e4, -1e4, -1e4, -1e4], [0.25] * 4),
        ([math.log(3), 0], [0.75, 0.25]),
        ([-math.inf, 5.0, -math.inf], [0, 1, 0]),
        ([-math.inf, -math.inf], [0, 0]),
    ],
)
def test_extreme_scores_give_the_limit(scores, weights):
    """Huge, tiny and masked scores give the weights that the textbook formula tends to."""
    np.testing.assert_allclose(softmax(np.array([scores])), [weights], atol=1e-15)


@pytest.mark.parametrize("shift", [-700.0, 3.25, 1e4, 2.0**40])
def test_a_shift_of_a_row_changes_nothing(shift):
    """Adding one number to all scores of a query leaves its weights as they are."""
    scores = np.array([[0.0, 1.5, -2.0], [4.0, 0.5, -math.inf]])
    np.testing.assert_allclose(softmax(scores + shift), softmax(scores), rtol=1e-15)


def test_single_precision_is_kept_and_does_not_overflow():
    """Scores in float32 give weights in float32, at the ends of its range as well."""
    top = np.finfo(np.float32).max
    weights = softmax(np.array([[top, -top, top], [-np.inf, -np.inf, -np.inf]], np.float32))
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights, np.array([[0.5, 0, 0.5], [0, 0, 0]], np.float32))


def test_a_score_that_is_no_number_spoils_its_own_row_only():
    """NaN in a score is not hidden, and does not spread to other queries."""
    weights = softmax(np.array([[np.nan, 1.0], [0.0, 0.0]]))
    assert np.isnan(weights[0]).all()
    np.testing.assert_array_equal(weights[1], [0.5, 0.5])


def test_softmax_over_queries_shares_out_columns():
    """The mistaken direction is the right one of the transposed scores, masked columns included."""
    scores = np.array([[0.0, -math.inf, 2.0], [1.0, -math.inf, -3.0]])
    np.testing.assert_allclose(softmax_over_queries(scores), softmax(scores.T).T, rtol=1e-15)


PADDED = {
    "query": [[[1.0], [2.0], [3.0]]],
    "key": [[[1.0], [0.0]]],
    "value": [[[5.0], [7.0]]],
}


@pytest.mark.parametrize("keep", [None, "weights", "concat"])
def test_a_query_that_may_attend_to_nothing_is_noted(keep):
    """A fully masked row has weights of 0, and a note names row, token, reason and remedy, whatever is kept."""
    working = Attention(heads=1, mask="boolean", output=False).working().starting_at("query", "key", "value")
    mask = [[True, True], [False, False], [False, True]]
    trace = working.run({**PADDED, "mask": mask}, keep=keep, tokens=["a", "b", "c"])
    (note,) = trace.notes
    assert note.line == "weights"
    assert note.rows == ((0, 1),)
    assert str(note) == (
        "weights, head 1, query 2 (b): all weights are 0, because no key of this query has a score "
        "above minus infinity: all are masked, or their scores overflowed. Let each query attend to at least one key. "
        "If no mask is meant to do this, look for infinities in the scores, and compute in a wider type."
    )
    if keep is None:
        np.testing.assert_array_equal(trace["weights@1"][1], [0, 0])
        expected = [[5 * math.e / (math.e + 1) + 7 / (math.e + 1)], [0], [7]]
        np.testing.assert_allclose(trace["head@1"], expected, rtol=1e-15)


def test_rows_that_attend_are_not_noted():
    """A weight that underflows to 0 beside one that does not is no reason for a note."""
    working = Attention(heads=1, output=False).working().starting_at("scaled", "value")
    assert working.run({"scaled": [[[0.0, -1e4], [0.0, 1.0]]], "value": [[[1.0], [2.0]]]}).notes == ()


def test_many_masked_rows_are_counted():
    """A note names three rows and says how many more there are."""
    working = Attention(heads=1, padding=True, output=False).working().starting_at("scaled", "value")
    arrays = {"scaled": np.zeros((1, 5, 2)), "value": np.zeros((1, 2, 1)), "padding": [False, False]}
    (note,) = working.run(arrays).notes
    assert note.where == "head 1, query 1; head 1, query 2; head 1, query 3 and 2 more rows"
    assert len(note.rows) == 5


def test_scores_that_overflow_are_not_called_masked():
    """Where no key is masked the note says what else makes every score minus infinity."""
    working = Attention(heads=1, output=False).working().starting_at("query", "key", "value")
    vast = np.float32(1e30)
    arrays = {"query": [[[vast]]], "key": [[[-vast], [-vast]]], "value": [[[1.0], [2.0]]]}
    trace = working.run({name: np.asarray(array, np.float32) for name, array in arrays.items()})
    (note,) = trace.notes
    assert "all are masked, or their scores overflowed" in str(note)
    np.testing.assert_array_equal(trace["weights"], [[[0, 0]]])
