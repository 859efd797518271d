"""A set of deviations that gives the claimed numbers, before it is reported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.check.fit.beside import beside, fitted_beside, matched_beside
from clearhead.check.fit.evaluation import Evaluation
from clearhead.check.fit.fitting import Fitted, fitted
from clearhead.check.fit.matching import matched
from clearhead.check.search.plans import written
from clearhead.check.search.roundings import shown_decimals
from clearhead.claim import Claim, leaves
from clearhead.deviations import Applied, deviate, deviation
from clearhead.deviations.rounding import BY_HAND
from clearhead.errors import ClearheadError
from clearhead.ops import as_parameters
from clearhead.working import Working

ODD = frozenset(
    {
        "softmax-base",
        "rotary-ntk",
        "query-key-exchanged",
        "weights-transposed",
        "scores-negated",
        "line-reordered",
        "rotary-amplitude",
        "fused-order-permuted",
    }
)
"""Deviations that can give many different numbers, depending on their parameter: reported after others."""

UNLIKELY = frozenset({"mask-multiplied"})
"""Deviations that come after others which give the same numbers: any finite fill does where all keys are hidden."""

ELSEWHERE = frozenset({"embedding-factor"})
"""Deviations with a fitted number that a scale of scores explains as well, where an odd number is likelier."""

USUAL = frozenset({("softmax-base", (("base", 2.0),)), ("softmax-base", (("base", 10.0),))})
"""Of these, those whose parameter people really use."""

READABLE = 4.0
"""A fitted value whose text costs more than this is reported only if no other is found."""

MAX_BY_HAND = 5
"""The most decimals that are kept when every step is rounded by hand."""


class Candidate(Struct, frozen=True):
    """A set of deviations in an order in which they can be applied.

    Attributes:
        applied: the deviations.
        working: the working with them in it.
        cost: the cost of writing a fitted parameter.
        values: how many values of the parameter the claims can distinguish; 1 where none was fitted.
        readings: likely forms of fitted parameters.
    """

    applied: tuple[Applied, ...]
    working: Working
    cost: float = 0.0
    values: float = 1.0
    readings: dict[str, str] = {}

    @property
    def texts(self) -> tuple[str, ...]:
        """The deviations as text."""
        return tuple(map(written, self.applied))

    @property
    def kinds(self) -> tuple[str, ...]:
        """For each deviation whether it is a mistake, a convention or rounding."""
        return tuple(deviation(each.id).kind for each in self.applied)

    @property
    def plain(self) -> bool:
        """Whether it is one known mistake or convention without a free parameter."""
        return all(
            not each.parameters and each.id not in ODD and kind != "rounding"
            for each, kind in zip(self.applied, self.kinds, strict=True)
        )

    @property
    def rank(self) -> tuple[float, ...]:
        """Its rank among others that also explain: the simplest first."""
        by_hand = sum(each.id == "rounded-by-hand" for each in self.applied)
        rare = [each for each in self.applied if each.id in ODD and (each.id, each.parameters) not in USUAL]
        roundings = self.kinds.count("rounding") - by_hand
        sought = any(each.parameters for each in rare)
        odd = any(each.id in UNLIKELY for each in self.applied)
        # How many digits an odd number has says nothing: then the usual place of an odd number comes first.
        cost = min(self.cost, READABLE + 1)
        elsewhere = any(each.id in ELSEWHERE for each in self.applied)
        return (sought, roundings, len(rare), self.cost > READABLE, not by_hand, odd, cost, elsewhere)


def fitted_or_matched(evaluation: Evaluation) -> list[Candidate]:
    """The deviations for which a fitted parameter, or a map found by matching, gives all claims."""
    maps = [Candidate((each,), each.rewrite(evaluation.working), READABLE) for each in matched(evaluation)]
    return [*_readable(_of_fit((), each, evaluation) for each in fitted(evaluation)), *maps]


def fitted_or_matched_pairs(evaluation: Evaluation, deviations: Sequence[Applied]) -> list[Candidate]:
    """The same, together with one of these deviations."""
    starts = beside(evaluation, sorted(deviations, key=lambda each: deviation(each.id).rare))
    maps = [
        Candidate((each.applied, map_), map_.rewrite(each.evaluation.working), READABLE)
        for each, map_ in matched_beside(starts)
    ]
    fits = [_of_fit((each.applied,), fit, each.evaluation) for each, fit in fitted_beside(starts)]
    return [*_readable(fits), *maps]


def _of_fit(others: tuple[Applied, ...], fit: Fitted, evaluation: Evaluation) -> Candidate:
    rewritten = fit.applied.rewrite(evaluation.working)
    return Candidate((*others, fit.applied), rewritten, fit.cost, fit.values, {fit.parameter: fit.reading})


def _readable(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates with a short value; all, if none has one."""
    found = list(candidates)
    return [each for each in found if each.cost <= READABLE] or found


def without_restated(fits: Iterable[Candidate], listed: Sequence[Candidate], evaluation: Evaluation) -> list[Candidate]:
    """The fits, without those that a deviation of the table gives without a number, or with a common number."""
    known = [
        (each.applied[0].id, parts)
        for each in listed
        if (parts := _parts(each, evaluation)) is not None and len(each.applied) == 1
    ]
    plain = {each.applied[0].id for each in listed if not each.applied[0].parameters}

    def restated(fit: Candidate) -> bool:
        mine = _parts(fit, evaluation)
        return mine is not None and any(
            (id in plain or id == fit.applied[0].id)
            and all(np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True) for a, b in zip(mine, theirs, strict=True))
            for id, theirs in known
        )

    return [each for each in fits if not (restated(each) or (listed and each.cost > READABLE))]


def _parts(candidate: Candidate, evaluation: Evaluation) -> list[np.ndarray[Any, Any]] | None:
    values = evaluation.lines(candidate.working)
    return None if values is None else evaluation.parts(candidate.working, values)


def by_hand(claims: Sequence[Claim], *, brief: bool = False) -> list[Applied]:
    """Ways to round every line, for claims with these decimals; ``brief``: to these, or those that numbers show."""
    used = {claim.precision for claim in claims if claim.precision is not None}
    shown = max((shown_decimals(number) for claim in claims for number in leaves(claim.written)), default=0)
    tried = used | {shown} if brief else range(1, max(used, default=0) + 3)
    return [
        Applied("rounded-by-hand", as_parameters({"decimals": each, "at": at}))
        for each in sorted(tried)
        if 0 <= each <= MAX_BY_HAND
        for at in BY_HAND
    ]


def rounded_by_hand(evaluation: Evaluation, beside: Sequence[Candidate] = ()) -> list[Candidate]:
    """The sets that round every line, or every step, and give the claims; alone, or with one deviation each."""
    starts = beside or [Candidate((), evaluation.working)]
    found: list[Candidate] = []
    for start in starts:
        if beside and not evaluation.nearly(start.working):
            continue
        found += [
            Candidate((*start.applied, applied), applied.rewrite(start.working))
            for applied in by_hand(evaluation.claims, brief=bool(beside))
            if evaluation.gives(applied, start.working)
        ]
    return found


def without_repeats(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates in order of rank, each once."""
    kept: dict[tuple[str, ...], Candidate] = {}
    for each in sorted(candidates, key=lambda each: each.rank):
        kept.setdefault(each.texts, each)
    return list(kept.values())


def in_order(working: Working, made: Working, applied: Sequence[Applied]) -> tuple[Applied, ...]:
    """Deviations in an order in which they make a rewritten working of a working."""
    orders = (order for order in permutations(applied) if rewritten(working, order) == made)
    return next(orders, tuple(applied))


def rewritten(working: Working, applied: Sequence[Applied]) -> Working | None:
    """The working with these deviations in it; None if they cannot be applied in this order."""
    try:
        return deviate(working, *applied)
    except ClearheadError:
        return None
