"""Sinusoidal positions alone: frequencies are measured, and how they came about is read off them."""

import numpy as np
import pytest

import clearhead
from clearhead import Attention, Block, Positions


def table(frequencies, *, halves=False):
    """A function of positions with these frequencies, sines and cosines in turn or one behind the other."""

    def function(index):
        angle = index[:, None] * frequencies
        pair = [np.sin(angle), np.cos(angle)]
        return np.concatenate(pair, -1) if halves else np.stack(pair, -1).reshape(len(index), -1)

    return function


def right(width, base=10000.0):
    return base ** (-np.arange(0, width, 2) / width)


@pytest.mark.parametrize(
    ("frequencies", "says"),
    [
        (lambda d: 1 / right(d), "they are the reciprocals of the expected ones"),
        (lambda d: right(d) ** 2, "exponent is counted twice"),
        (lambda d: (np.arange(0, d, 2) / d) ** 1e-4, "a power and its base are exchanged"),
        (lambda d: np.exp(-2.0 * np.arange(d // 2)), "exp(-2*i) for pair i"),
        (lambda d: np.where(np.arange(d // 2) == 2, 0.3, right(d)), "in columns 4, 5 are not the expected ones"),
    ],
)
@pytest.mark.parametrize("width", [10, 14])
def test_wrong_frequencies_are_measured_and_read(frequencies, says, width):
    """The report says how the frequencies follow from those that are due."""
    report = clearhead.probe(
        table(frequencies(width)), Positions("sinusoidal", width=width).working(), "index", "position"
    )
    assert report.verdict == "explained", str(report)
    assert says in str(report)


def test_frequencies_of_each_column_are_said_with_their_base():
    """Where sine and cosine of a pair have frequencies of their own, both formulas are said."""

    def function(index):
        angle = index[:, None] * 500.0 ** (-np.arange(14) / 14)
        return np.where(np.arange(14) % 2, np.cos(angle), np.sin(angle))

    report = clearhead.probe(function, Positions("sinusoidal", width=14).working(), "index", "position")
    assert report.verdict == "explained", str(report)
    assert "that of column c is 500 ** (-c/d), and should be 10000 ** (-2*(c//2)/d)" in str(report)


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("width", [2, 6, 32])
def test_right_positions_agree_in_both_layouts(width, halves):
    """Sines and cosines in turn, or all sines in front: each is right for its own spec."""
    spec = Positions("sinusoidal", width=width, layout="halves" if halves else "alternating")
    report = clearhead.probe(table(right(width), halves=halves), spec.working(), "index", "position")
    assert report.verdict == "agrees", str(report)
    assert not report.failing


def test_a_function_that_is_no_sinusoid_is_not_read_as_one():
    """Triangles of the same length are no sines: nothing is said of frequencies."""

    def function(index):
        angle = index[:, None] * right(6)
        waves = [2 / np.pi * np.arcsin(np.sin(angle)), 2 / np.pi * np.arcsin(np.cos(angle))]
        return np.stack(waves, -1).reshape(len(index), -1)

    report = clearhead.probe(function, Positions("sinusoidal", width=6).working(), "index", "position")
    assert report.verdict == "unexplained"
    assert "frequencies" not in str(report)


def sinusoids(tokens, width):
    pair = np.arange(tokens)[:, None] * right(width)
    return np.stack([np.sin(pair), np.cos(pair)], -1).reshape(tokens, -1)[:, :width]


def behind_two_others(x):
    """Two tokens in front have no position, and the others are counted without them."""
    n, width = x.shape[-2:]
    table = np.zeros((n, width))
    table[2:] = sinusoids(max(n - 2, 0), width)
    return x + table


def started_anew(x):
    """Positions start from 0 again after every third token."""
    n, width = x.shape[-2:]
    return x + sinusoids(3, width)[np.arange(n) % 3]


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (behind_two_others, "The first 2 tokens have no position, and positions are counted without them"),
        (started_anew, "Tokens get the positions 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, where"),
    ],
)
def test_which_position_each_token_gets_is_said(function, says):
    """What is added to tokens is compared with the rows of the table, whatever the tokens are."""
    working = Block(Attention(heads=2), positions=Positions("sinusoidal")).working()
    report = clearhead.probe(function, working, "embedding", "input")
    assert report.causes == ("added-positions",), str(report)
    assert says in str(report)
