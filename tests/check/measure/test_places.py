"""Numbers that stand in other places: which rule of places is said."""

import numpy as np
import pytest

import clearhead
from clearhead import Attention, Rotary

from .pieces import frequencies, scaled, softmax, turned

QKV = ("query", "key", "value")


def in_other_columns(order):
    """Rotated queries, with their columns in another order."""

    def function(x):
        positions = np.arange(x.shape[-2])
        return order(turned(x, positions, frequencies(x.shape[-1]), layout="interleaved"))

    return function


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (lambda y: np.concatenate([y[..., 0::2], y[..., 1::2]], -1), "even columns stand in front of odd ones"),
        (lambda y: y[..., ::-1], "columns stand in reverse"),
        (lambda y: np.roll(y, 1, -1), "moved on around the end"),
        (lambda y: y[..., ::-1, :], "entries of token stand in reverse"),
    ],
)
def test_rotated_queries_in_another_order_are_told_apart_from_wrong_numbers(order, says):
    """The report says that all numbers are right, and by which rule they stand elsewhere."""
    working = Attention(3, rotary=Rotary(layout="interleaved")).working()
    report = clearhead.probe(in_other_columns(order), working, "query", "query.rotated")
    assert report.verdict == "explained", str(report)
    assert says in str(report)
    assert report.causes[0].startswith("places-of:")


def test_heads_viewed_in_front_of_the_batch_are_said_to_be_exchanged_with_it():
    """A view as (heads, batch) of an axis that was made as batch * heads mixes examples; the report names both axes."""

    def function(q, k, v):
        y = softmax(scaled(q, k)) @ v
        b, h, n, d = y.shape
        y = np.swapaxes(y.reshape(b * h, n, d).reshape(h, b, n, d), 0, 1)
        return np.swapaxes(y, 1, 2).reshape(b, n, h * d)

    report = clearhead.probe(function, Attention(4).working(), QKV, "concat")
    assert report.verdict == "explained", str(report)
    assert "read as (heads, batch)" in str(report)
    assert report.causes == ("places-of:batch,head",)


def test_heads_read_in_another_order_and_turned_are_said_as_the_reshapes_that_were_made():
    """Two reshapes that do not fit each other mix examples, tokens and heads; the report has both, in their order."""

    def function(q, k, v):
        y = softmax(scaled(q, k)) @ v
        b, h, n, d = y.shape
        return y.reshape(n, b, h, d).transpose(1, 2, 0, 3).reshape(b, n, h * d)

    report = clearhead.probe(function, Attention(3).working(), QKV, "concat")
    assert report.verdict == "explained", str(report)
    said = "are read as (token, batch, head, depth), transposed to (batch, head, token, depth) and then read as"
    assert f"they lie as (batch, head, token, depth), and {said} (batch, token, head, depth)" in str(report)


def test_numbers_that_are_wrong_are_not_said_to_stand_elsewhere():
    """One wrong number among right ones in other places is not called right."""

    def function(x):
        y = in_other_columns(lambda y: y[..., ::-1])(x)
        return y + 0.01 * (np.arange(y.shape[-1]) == 0)

    working = Attention(2, rotary=Rotary(layout="interleaved")).working()
    report = clearhead.probe(function, working, "query", "query.rotated")
    assert report.verdict == "unexplained"
    assert "All numbers are the expected ones" not in str(report)
