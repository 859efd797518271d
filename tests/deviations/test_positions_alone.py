"""Sinusoids of given positions, without anything else: what is commonly computed wrong is named."""

import numpy as np
import pytest

from clearhead import Claim, Positions, diagnose

INDEX = np.array([0.0, 1.0, 2.0, 5.0])
COLUMN = np.arange(6)


def sinusoids(power, is_sine=COLUMN % 2 == 0, index=INDEX, base=10000.0):
    angle = index[:, None] / base ** (power / 6)
    return np.where(is_sine, np.sin(angle), np.cos(angle))


PAIR = COLUMN - COLUMN % 2


@pytest.mark.parametrize(
    ("numbers", "cause"),
    [
        (sinusoids(COLUMN), "sinusoid-exponent-per-column"),
        (sinusoids(2 * COLUMN), "sinusoid-exponent-doubled"),
        (sinusoids(2 * (COLUMN % 3), COLUMN < 3), "sinusoid-concatenated"),
        (sinusoids(PAIR, index=INDEX + 1), "positions-shifted"),
        (sinusoids(PAIR, base=1000.0), "sinusoid-base"),
    ],
)
def test_what_a_table_of_positions_gets_wrong_is_named(numbers, cause):
    """Another exponent, order, start or base, in numbers with three decimals."""
    trace = Positions(kind="sinusoidal", width=6).working().run({"index": INDEX})
    report = diagnose([Claim.of("position", numbers.round(3), decimals=3)], trace)
    assert report.first.ids == (cause,)


def test_right_positions_agree():
    """The formula of the paper is the working's."""
    trace = Positions(kind="sinusoidal", width=6).working().run({"index": INDEX})
    np.testing.assert_allclose(trace["position"], sinusoids(PAIR), rtol=0, atol=1e-15)
