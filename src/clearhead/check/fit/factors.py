"""Claims that are the working's numbers times one factor, which many fitted constants give on a single token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clearhead.axes import TOKENS
from clearhead.check.compare.comparison import expected_of
from clearhead.claim import Claim
from clearhead.errors import ClearheadError
from clearhead.line import find, split_head
from clearhead.trace import Trace
from clearhead.working import Working

Numbers = np.ndarray[Any, Any]

COPIES = 3
"""How many random examples show whether a rewritten working gives one factor on all tokens."""

SAME = 1e-6
"""The relative difference of equal factors."""


def one_factor(claims: Sequence[Claim], trace: Trace) -> bool:
    """Whether each claimed line is the working's times one number."""
    return all(_is_constant(claim.values, expected_of(claim, trace)[1], claim.tolerances) for claim in claims)


def is_factor(claims: Sequence[Claim], working: Working, trace: Trace) -> bool:
    """Whether a rewritten working gives the claimed lines times one number on other tokens too."""
    rng = np.random.default_rng(0)
    given = {
        each.name: _drawn(trace.numpy(each.name), rng, tokens=bool(TOKENS & set(each.axes)))
        for each in trace.working.givens
    }
    try:
        one, two = (each.run({one.name: given[one.name] for one in each.givens}) for each in (working, trace.working))
    except (ClearheadError, KeyError):
        return True
    names = {find(split_head(claim.line)[0], trace.working.names) for claim in claims}
    pairs = [(one.numpy(name), two.numpy(name)) for name in names if name in one and name in two]
    return all(_is_constant(a, b, np.asarray(0.0)) for a, b in pairs if a.shape == b.shape)


def _drawn(array: Numbers, rng: np.random.Generator, *, tokens: bool) -> Numbers:
    """Other numbers of the same size for what tokens have; weights stay as they are."""
    if not tokens or array.dtype.kind != "f" or array.ndim < 2:
        return array
    return np.asarray(rng.normal(size=(COPIES, *array.shape)) * rng.uniform(0.3, 3, (COPIES, *(1,) * array.ndim)))


def _is_constant(mine: Numbers, other: Numbers, near: Numbers) -> bool:
    """Whether numbers are others times one number, within how exactly they are known."""
    with np.errstate(all="ignore"):
        known = np.isfinite(mine) & np.isfinite(other) & (other != 0)
        ratio, off = (mine / other)[known], np.broadcast_to(np.abs(near / other), mine.shape)[known]
    if not ratio.size or len(np.unique(np.abs(other[known]))) < 2:
        return False
    return bool((np.abs(ratio - np.median(ratio)) <= 2 * off + SAME * np.abs(np.median(ratio))).all())
