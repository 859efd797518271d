"""The ways to one line, written down once for many people's numbers, against the walk along the working."""

import numpy as np
import pytest
from tests.check.grading.sheets import SHEETS

from clearhead import Claim
from clearhead.check.search.alone import ways_to
from clearhead.check.search.hypotheses import Hypotheses
from clearhead.check.search.plans import plans_for
from clearhead.check.search.roundings import roundings
from clearhead.check.search.search import search


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_single_deviations_are_those_that_the_walk_finds(sheet):
    """For each cause that shows the same deviations give the line as in the walk, but for those that leave it."""
    arrays = sheet.given(np.random.default_rng(2))
    working = sheet.spec.working()
    plans = plans_for(working, tuple((name, array.shape) for name, array in arrays.items()))
    trace = working.run(arrays)
    shapes = {name: trace.numpy(name).shape for name in trace}
    line = sheet.asked[-1]
    for cause in (0, 7, 19, 30, 41):
        wrong = plans.working((cause,))
        if line not in wrong.names:
            continue
        claims = [Claim.of(line, np.asarray(wrong.run(arrays)[line]), decimals=4)]
        hypotheses = Hypotheses(plans, roundings(working, claims, shapes, brief=True))
        ways = ways_to(hypotheses, line)
        sets = search(hypotheses, arrays, claims, 1).sets
        if () not in sets:
            assert ways.fitting(arrays, claims) == [one for (one,) in sets if one in ways.ends]
            assert (cause,) in sets
