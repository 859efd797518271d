"""Layer norms of tokens whose mean is large beside their deviation."""

import numpy as np
import pytest

import clearhead
from clearhead import Attention, Block, Norm

NORM = Block(Attention(heads=2), norm=Norm(eps=1e-6)).working()
TAKES = ("residual", "norm.gain", "norm.bias")


def of_squares(x, g, b):
    mean = x.mean(-1, keepdims=True)
    variance = np.abs((x**2).mean(-1, keepdims=True) - mean**2)
    return (x - mean) / np.sqrt(variance + 1e-6) * g + b


def of_differences(x, g, b):
    c = x - x.mean(-1, keepdims=True)
    return c / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-6) * g + b


def single(function):
    return lambda *arrays: function(*(each.astype(np.float32) for each in arrays))


@pytest.mark.parametrize("function", [of_squares, single(of_squares)])
def test_a_variance_that_loses_its_digits_fails_a_property_and_agrees(function):
    """In double and in single precision: all drawn numbers are right, and those of large means are not."""
    report = clearhead.probe(function, NORM, TAKES, "norm")
    assert report.verdict == "agrees", str(report)
    assert [each.id for each in report.failing] == ["large-mean"]


@pytest.mark.parametrize("function", [of_differences, single(of_differences)])
def test_a_variance_of_differences_holds(function):
    """Rounding alone does not fail the property."""
    assert not clearhead.probe(function, NORM, TAKES, "norm").failing


def test_the_property_is_not_asked_of_other_norms():
    """A root mean square keeps the mean."""
    working = Block(Attention(heads=2), norm=Norm("rms", eps=1e-6)).working()

    def rms(x, g):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * g

    report = clearhead.probe(rms, working, TAKES[:2], "norm")
    assert report.verdict == "agrees", str(report)
    assert "large-mean" not in [each.id for each in report.properties]
