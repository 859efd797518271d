"""A seeded sample of a simulated class; ``make class`` grades more."""

import numpy as np
import pytest

from clearhead.deviations import deviate
from clearhead.deviations.common import COMMON

from .classroom import graded
from .sheets import SHEETS, worked

MANY = 4
"""How many hand-ins of each sheet are graded here."""


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_sheets_are_worked_as_the_textbook_has_it(sheet):
    """What a pupil works out in plain NumPy is the trace, step by step."""
    arrays = sheet.given(np.random.default_rng(3))
    trace = sheet.spec.working().run(arrays)
    for step, numbers in worked(sheet, arrays).items():
        np.testing.assert_allclose(numbers, trace.numpy(step), atol=1e-9, err_msg=step)


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_mistakes_of_pupils_are_those_of_the_table(sheet):
    """Each mistake in plain NumPy gives the last line that the deviation of its name gives."""
    arrays = sheet.given(np.random.default_rng(4))
    for name in sheet.mistakes:
        wrong = deviate(sheet.spec.working(), name).run(arrays)
        np.testing.assert_allclose(worked(sheet, arrays, (name,))[sheet.asked[-1]], wrong[sheet.asked[-1]], atol=1e-9)


def test_every_common_mistake_is_made_by_somebody():
    """Each mistake that exercises show is made on one of the sheets."""
    assert {name.partition(":")[0] for sheet in SHEETS for name in sheet.mistakes} == COMMON


@pytest.mark.parametrize("seed", [5, 1005])
def test_a_class_is_graded_as_it_should_be(seed):
    """Every kind of hand-in gets its verdict, its causes and its credit line by line, whatever the numbers."""
    unfair, _, invented = graded(MANY * len(SHEETS), seed)
    assert unfair == []
    assert invented < 0.05
