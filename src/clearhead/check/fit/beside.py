"""A deviation of the table and another with a fitted parameter, at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from clearhead.check.fit.evaluation import Evaluation
from clearhead.check.fit.fitting import Fitted, Trial, trials
from clearhead.deviations import Applied
from clearhead.errors import ClearheadError

MAX_FITTED = 16
"""From how many of the best starts, of all pairs, steps are taken."""


class Beside(Struct, frozen=True):
    """A pair: a deviation of the table, the fitted one, and the working with the first in it."""

    applied: Applied
    fitted: Fitted
    evaluation: Evaluation


def fitted_beside(evaluation: Evaluation, deviations: Sequence[Applied]) -> Iterator[Beside]:
    """The pairs of one of these deviations and a fitted one that give all claims."""
    starts = [
        (start.left, number, start.value, applied, trial)
        for number, (applied, trial) in enumerate(_pairs(evaluation, deviations))
        for start in trial.starts()[:1]
    ]
    for _, _, value, applied, trial in sorted(starts, key=lambda each: each[:2])[:MAX_FITTED]:
        found = trial.fitted_from(value)
        if found is not None:
            yield Beside(applied, found, trial.evaluation)


def _pairs(evaluation: Evaluation, deviations: Sequence[Applied]) -> Iterator[tuple[Applied, Trial]]:
    for applied in deviations:
        rewritten = _with(evaluation, applied)
        for trial in () if rewritten is None else trials(rewritten):
            if trial.row.id != applied.id and trial.parameter.type is float:
                yield applied, trial


def _with(evaluation: Evaluation, applied: Applied) -> Evaluation | None:
    """The evaluation of the working with a deviation in it."""
    try:
        working = applied.rewrite(evaluation.working)
    except ClearheadError:
        return None
    values = evaluation.lines(working)
    if values is None or not all(name in working.names for name in evaluation.names):
        return None
    return Evaluation(evaluation.claims, working, values, evaluation.work)
