"""A deviation of the table together with another one that has a fitted parameter or a matched map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from clearhead.check.fit.evaluation import Evaluation
from clearhead.check.fit.fitting import Fitted, trials
from clearhead.check.fit.matching import matched
from clearhead.deviations import Applied
from clearhead.errors import ClearheadError

MAX_FITTED = 16
"""How many of the best starts of all pairs are followed by steps."""

FOR_STEPS = 6_000_000
"""How many numbers these steps may compute, also where the grids took all that there was."""


class Beside(Struct, frozen=True):
    """A deviation of the table, and the evaluation of the working with it."""

    applied: Applied
    evaluation: Evaluation


def beside(evaluation: Evaluation, deviations: Sequence[Applied]) -> list[Beside]:
    """The working with each of these deviations, if it then still has the claimed lines."""
    return [found for each in deviations if (found := _with(evaluation, each)) is not None]


def _with(evaluation: Evaluation, applied: Applied) -> Beside | None:
    try:
        working = applied.rewrite(evaluation.working)
    except ClearheadError:
        return None
    values = evaluation.lines(working)
    if values is None or not all(name in working.names for name in evaluation.names):
        return None
    return Beside(applied, Evaluation(evaluation.claims, working, values, evaluation.work))


def fitted_beside(starts: Sequence[Beside]) -> Iterator[tuple[Beside, Fitted]]:
    """Pairs of these deviations with another one, which gives all claims for some value of its parameter.

    A coarse grid is computed for each pair; steps start from the most promising values.
    """
    tried = [
        (start.left, start.value, each, trial)
        for each in starts
        for trial in trials(each.evaluation)
        if trial.row.id != each.applied.id and trial.parameter.type is float
        for start in trial.starts()[:1]
    ]
    for each in starts[:1]:
        each.evaluation.work.keep(FOR_STEPS)
    for _, value, each, trial in sorted(tried, key=lambda one: one[0])[:MAX_FITTED]:
        found = trial.fitted_from(value)
        if found is not None:
            yield each, found


def matched_beside(starts: Sequence[Beside]) -> Iterator[tuple[Beside, Applied]]:
    """Pairs of these deviations with a map, which give all claims."""
    for each in starts:
        for applied in matched(each.evaluation, brief=True):
            yield each, applied
