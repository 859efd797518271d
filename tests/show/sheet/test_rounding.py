"""A spreadsheet that computes everything anew shows the digits that every other medium shows."""

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest

from clearhead.problems import parse_problem, read_problem
from clearhead.show import View
from clearhead.show.sheet.rounding import roundings
from clearhead.show.sheet.workbook import xlsx

from .recalculation import read, recalculated

PROBLEM = """
format = 1
title = "Sums that cancel"
given = ["query", "key"]
until = ["scores"]
[attention]
heads = 1
output = false
[arrays]
query = {query}
key = [[[1, 1], [1, 0.5]]]
"""


def shown(value):
    """A number as spreadsheets show it to two decimals: from 15 digits."""
    return Decimal(f"{value:.15g}").quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_digits_of_a_sheet_are_those_of_other_media():
    """Sums in two decimals that are ties in exact arithmetic are rounded up, as by hand, and not by their error."""
    rng = np.random.default_rng(3)
    query = [[round(float(rng.uniform(1, 3000)), 2), 0.0] for _ in range(12)]
    for row in query:
        row[1] = round(int(rng.integers(1, 99)) / 100 + 0.005 - row[0], 3)
    problem = parse_problem(PROBLEM.format(query=[query]))
    trace, plain = problem.trace(), problem.working().run(problem.arrays)
    book = recalculated({"sums": bytes(xlsx(trace, View(decimals=2)))})["sums"]
    exact = [Decimal(repr(a)) + Decimal(repr(b)) for a, b in query]
    right = [each.quantize(Decimal("0.01"), ROUND_HALF_UP) for each in exact]
    assert [shown(value) for value in read(book, trace, "scores")[0, :, 0]] == right
    assert [shown(value) for value in plain["scores"][0, :, 0]] != right


@pytest.mark.parametrize("name", ["soccer", "encoder-block", "rotary"])
def test_other_cells_keep_their_formulas(name):
    """Where double precision shows the right digit, no formula rounds."""
    trace = read_problem(name).trace()
    assert sum(map(len, roundings(trace, 3).values())) == 0
