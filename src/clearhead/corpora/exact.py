"""Sums that do not depend on their order: whole numbers, in units so small that rounding to them is negligible.

A weight is rounded once, to a multiple of 2**-30, and from then on every sum is exact. Floating-point sums would differ
in their last bits with the number of workers. Quantiles come from counts in bins of fixed edges, which also add up
exactly (the idea of DDSketch, Masson et al. 2019, and of HdrHistogram).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Integers = np.ndarray[Any, np.dtype[np.int64]]
Numbers = np.ndarray[Any, Any]

BITS = 30
"""A value is counted in units of 2**-30."""

SQUARE_BITS = 20
"""Its square in units of 2**-20: the sum of weights of a key can reach the number of tokens."""

HALF = 32
"""A sum is a pair of whole numbers, high * 2**32 + low: exact up to 2**94 units."""

STEPS, LEAST, OCTAVES = 8, -16, 24
"""Bins are eighths of each octave, from 2**-16 to 2**8; the first bin has smaller values."""

BINS = 1 + STEPS * OCTAVES


def fixed(values: Numbers, bits: int = BITS) -> Integers:
    """Values as whole numbers of units, rounded half to even."""
    return np.rint(values.astype(np.float64) * 2.0**bits).astype(np.int64)


def pair_of(total: Integers) -> Integers:
    """A sum as high and low parts, (2, ...)."""
    return np.stack([total >> HALF, total & (2**HALF - 1)])


def carried(pair: Integers) -> Integers:
    """The same sum, with the low part below 2**32 again."""
    return np.stack([pair[0] + (pair[1] >> HALF), pair[1] & (2**HALF - 1)])


def value_of(pair: Integers, bits: int = BITS) -> Numbers:
    """A sum of units as float64."""
    high, low = pair.astype(np.float64)
    return np.asarray(np.ldexp(high, HALF - bits) + np.ldexp(low, -bits))


def bins_of(values: Numbers) -> Integers:
    """The bin of each value that is not negative: its exponent and first three bits, read off its float32 form."""
    bits = np.ascontiguousarray(values, np.float32).view(np.int32).astype(np.int64)
    return np.asarray(np.clip((bits >> 20) - ((127 + LEAST) << 3) + 1, 0, BINS - 1))


def edges() -> Numbers:
    """The lower edge of each bin, and the upper edge of the last."""
    octave, step = np.divmod(np.arange(STEPS * OCTAVES + 1), STEPS)
    return np.concatenate([[0.0], np.ldexp(1 + step / STEPS, octave + LEAST)])


def quantile(counts: Integers, share: float) -> Numbers:
    """The value below which a share of the values lies, from counts (..., bin): the middle of its bin.

    It is off by at most a sixteenth of itself, and below 2**-16 by 2**-17. NaN where nothing was counted.
    """
    total = counts.sum(-1)
    borders = edges()
    middles = (borders[:-1] + borders[1:]) / 2
    rank = np.maximum(np.ceil(share * total), 1)
    place = np.argmax(np.cumsum(counts, axis=-1) >= rank[..., None], axis=-1)
    return np.where(total > 0, middles[place], np.nan)
