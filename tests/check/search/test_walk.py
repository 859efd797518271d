"""The walk gives each set the numbers that running it gives."""

import random
from itertools import combinations

import numpy as np
import pytest

from clearhead import Attention, Block, ClearheadError, Norm, Rotary
from clearhead.check.search.hypotheses import Hypotheses
from clearhead.check.search.plans import plans_for
from clearhead.check.search.roundings import roundings
from clearhead.check.search.search import Walk, chosen_of

SIZES = {"token": 3, "model": 5, "head": 2, "depth": 4, "head*depth": 8, "group": 1}
RICH = Attention(2, kv_heads=1, rotary=Rotary(), causal=True, softcap=3.0, qk_norm=Norm("rms")).working()
NOT_WALKED = ("qk-norm-after-rotary", "rotary-interpolated")
"""Deviations that the walk does not combine with all others: a line that is moved is not rounded where it then stands,
and positions that are divided are not counted apart for one side as well."""

PAIRS_NOT_WALKED = [("scale-after-softmax", "scores-negated")]
"""Pairs that the walk does not combine: scores that are negated behind a scale that another deviation moves."""

PLAIN = Block(Attention(2), norm=Norm()).working()


def hypotheses_and_arrays(working):
    rng = np.random.default_rng(0)
    arrays = {given.name: rng.normal(size=[SIZES[word] for word in given.axes]) for given in working.givens}
    shapes = working.shapes({name: array.shape for name, array in arrays.items()})
    plans = plans_for(working, tuple((name, array.shape) for name, array in arrays.items()))
    tries = [each for each in roundings(working, [], shapes, brief=True) if dict(each.parameters)["decimals"] == 2]
    return Hypotheses(plans, tries), arrays


def ran(hypotheses, arrays, chosen, last):
    """The numbers of the last line as the ordinary path has them; None where the set cannot be applied."""
    working = hypotheses.rewritten(chosen)
    try:
        return None if working is None else working.run(arrays).numpy(last)
    except (ClearheadError, ValueError):
        return None


def sampled(hypotheses, size, count):
    drawn = random.Random(size)
    rewrites = len(hypotheses.plans.deviations)
    if size == 2:
        return drawn.sample(list(combinations(range(len(hypotheses.candidates)), 2)), count)
    return [tuple(sorted(drawn.sample(range(rewrites), size))) for _ in range(count)]


@pytest.mark.parametrize(("working", "size", "count"), [(PLAIN, 2, 500), (PLAIN, 3, 150), (RICH, 2, 900)])
def test_each_set_has_the_numbers_that_running_it_gives(working, size, count):
    """Of sets drawn from all, each that can be applied is walked to the numbers of the ordinary path."""
    hypotheses, arrays = hypotheses_and_arrays(working)
    last = working.lines[-1].name
    walk = Walk(hypotheses, arrays, {}, size, (last,))
    walk.run()
    row_of = {chosen_of(row): number for number, row in enumerate(walk.devs)}
    column = walk.columns[last]
    compared, missed = 0, []
    for chosen in sampled(hypotheses, size, count):
        ids = {hypotheses.candidates[each].id for each in chosen}
        expected = ran(hypotheses, arrays, chosen, last)
        if expected is None or len(ids) < size:
            continue
        compared += 1
        rows = [row_of[chosen]] if chosen in row_of else range(len(walk.devs))
        if not has(column, column.numbers[rows], expected):
            missed.append(hypotheses.texts(chosen))
    missed = [each for each in missed if each not in PAIRS_NOT_WALKED]
    assert [each for each in missed if not any(name in text for text in each for name in NOT_WALKED)] == []
    assert compared > count // 3


def has(column, numbers, expected):
    """Whether one of these values of a column is the expected one."""
    near = [
        np.isclose(block, expected, equal_nan=True, rtol=1e-9, atol=1e-9).reshape(len(block), -1).all(axis=1)
        if block.shape[1:] == expected.shape
        else np.zeros(len(block), dtype=bool)
        for block in column.blocks
    ]
    return np.concatenate(near)[numbers].any()
