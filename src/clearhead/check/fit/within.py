"""A deviation of the table with which numbers are right within what the digits of the given arrays allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct

from clearhead.check.fit.candidate import Candidate
from clearhead.check.fit.evaluation import Evaluation, Numbers
from clearhead.check.precision.arithmetic import Arrays, Precision, loosened, of_givens, rounding_of
from clearhead.check.precision.propagation import reach
from clearhead.claim import Claim
from clearhead.deviations import Applied
from clearhead.working import Working

NEAR = 30.0
"""Only deviations that miss the claims by less than this many times what the digits allow are looked at closely."""


class Within(Struct, frozen=True):
    """A deviation, the claims with the slack that the given digits leave them, and in what sense they are right."""

    candidate: Candidate
    claims: tuple[Claim, ...]
    precision: Precision


def within_givens(evaluation: Evaluation, deviations: Sequence[Applied], arrays: Arrays) -> Iterator[Within]:
    """The deviations with which all claims are right within what rounded given arrays allow; none if none is rounded.

    Args:
        evaluation: the claims, and the working as it is.
        deviations: what is tried.
        arrays: the given arrays.
    """
    off = rounding_of(arrays)
    if not off or evaluation.base is None:
        return
    loose = _loosened(evaluation, evaluation.working, arrays, off)
    for applied in deviations:
        parts = evaluation.of(applied)
        if parts is not None and all(map(_near, loose, parts)) and evaluation.whole(applied):
            candidate = Candidate((applied,), applied.rewrite(evaluation.working))
            trace = candidate.working.run({given.name: arrays[given.name] for given in candidate.working.givens})
            precision = of_givens(evaluation.claims, trace, arrays)
            if precision is not None:
                yield Within(candidate, _loosened(evaluation, candidate.working, arrays, off), precision)


def _loosened(evaluation: Evaluation, working: Working, arrays: Arrays, off: Arrays) -> tuple[Claim, ...]:
    """The claims with the slack that given arrays off by this much leave them in a working."""
    names = set(evaluation.names) - arrays.keys()
    return loosened(evaluation.claims, working, {name: reach(working, arrays, off, name) for name in names})


def _near(claim: Claim, part: Numbers) -> bool:
    with np.errstate(invalid="ignore"):
        off = np.abs(claim.values - part)
    return bool((off <= NEAR * claim.tolerances)[claim.claimed & np.isfinite(off)].all())
