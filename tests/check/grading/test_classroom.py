"""A seeded sample of a simulated class; ``make class`` grades more."""

import pytest

from .classroom import KINDS, graded


@pytest.mark.parametrize("seed", [5, 1005])
def test_a_class_is_graded_as_it_should_be(seed):
    """Every kind of hand-in gets its verdict, its causes and its credit line by line, whatever the numbers."""
    unfair, _ = graded(2 * len(KINDS), seed)
    assert unfair == []
