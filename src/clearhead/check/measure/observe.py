"""All that is measured at one size, of a function and of its working by the same code."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.check.measure.access import Attend, Refused, Size
from clearhead.check.measure.curve import Curve, curve_of
from clearhead.check.measure.form import form_of
from clearhead.check.measure.parts import Array
from clearhead.check.measure.precision import FLOATS, Bits, Limit, bits_inside, bits_of, overflow, step_of
from clearhead.check.measure.weights import log, median, weights, weights_by_group

SEEN = 1e-12
"""Weights above this are seen."""

NOISE = 8
"""The tolerance of a weight's logarithm, in units of the least precise number."""

LONG = 16.0
"""How long queries and keys are where scores are rounded, so that steps count for less."""

FLOOR = 1e-9
"""The best relative precision to which numbers in double precision are compared."""


class Observed(Struct, frozen=True, eq=False):
    """What was measured at one size. Axes are in axis words; maps are True where the first follows the second.

    Attributes:
        size: the size.
        eps: the relative precision of the numbers.
        columns: which columns of the output follow which columns of the values (depth, depth).
        zero, random: weights at zero scores and at random ones, by the head that is read (head, query, group, key).
        query_heads, query_rows: heads and rows of the output by those of the queries.
        key_heads: heads of the output by those of the keys whose scores they follow.
        key_columns: columns of the weights by the keys that their scores follow (key, key).
        form: as `form_of`, before any soft-cap.
        curve: as `curve_of`.
        step: the step to which scores are rounded; 0 for none.
        bits: as `bits_of`.
        overflow, underflow: where outputs stop being finite as all scores grow, and as all fall.
    """

    size: Size
    eps: float
    columns: Array
    zero: Array
    random: Array
    query_heads: Array
    query_rows: Array
    key_heads: Array
    key_columns: Array
    form: Array
    curve: Curve | None
    step: float
    bits: Bits | None = None
    overflow: Limit | None = None
    underflow: Limit | None = None

    @property
    def tolerance(self) -> float:
        """The tolerance of a score of size one."""
        return max(NOISE * self.eps, FLOOR, self.step / LONG**2)

    @property
    def visible(self) -> Array:
        """Which keys each query sees (head, query, key)."""
        return np.asarray((self.zero.sum(-2) > SEEN) | (self.random.sum(-2) > SEEN))

    @property
    def sums(self) -> Array:
        """What weights sum to at zero scores (head, query)."""
        return np.asarray(self.zero.sum((-2, -1)))

    @property
    def random_sums(self) -> Array:
        """The same at random scores."""
        return np.asarray(self.random.sum((-2, -1)))

    @property
    def beside_top(self) -> Array:
        """What the weights of a query lack of 1, relative to the largest of them, at random scores (head, query)."""
        return np.asarray((1 - self.random_sums) / np.maximum(self.random.sum(-2).max(-1), 1e-30))

    @property
    def bias(self) -> Array:
        """The logarithm of the weights at zero scores (head, query, key)."""
        return log(self.zero.sum(-2))

    @property
    def value_heads(self) -> Array:
        """Which key/value heads each head reads values of (head, group)."""
        return np.asarray(self.zero.sum((1, 3)) > SEEN)


class Drawn(Struct, frozen=True, eq=False):
    """Random inputs of a size, and the generator for more."""

    q: Array
    k: Array
    v: Array
    rng: np.random.Generator


def drawn(size: Size, seed: int = 0, batch: int = 1) -> Drawn:
    """Random queries, keys and values."""
    rng = np.random.default_rng((seed, size.tokens, size.keys, size.depth))
    heads, groups = (size.heads, size.tokens), (size.groups, size.keys)
    q, k, v = (rng.normal(size=(batch, *shape, size.depth)) for shape in (heads, groups, groups))
    return Drawn(q, k, v, rng)


def observe(f: Attend, size: Size, *, eps: float | None = None, brief: bool = False) -> Observed:
    """Measures a function at one size.

    Args:
        f: the function.
        size: the size.
        eps: the relative precision to reckon with; None to measure it.
        brief: whether to leave out precision and overflow.

    Raises:
        Refused: the function does not run at this size.
    """
    made = drawn(size)
    y = f(made.q, made.k, made.v, size.past)
    bits = None if f.roles.weights or brief else bits_of(f, size, made.rng, y)
    eps = eps if eps is not None else 2.0**-bits.least if bits else 2.0**-50
    columns = np.eye(size.depth, dtype=bool) if f.roles.weights else _columns(f, size, made)
    straight = bool((columns == np.eye(size.depth)).all())
    f.wide = f.wide and straight and _takes_wide(f, size, made, y)
    f.columns = None if straight else np.argmax(columns.T, -1)
    f.live = np.flatnonzero(columns.any(0)) if columns.any() and not columns.any(0).all() else None
    try:
        seen = _observed(f, size, made, eps, columns)
        rounded = seen.step or step_of(seen.random, max(eps, 2.0**-46))
        if bits and bits.output > FLOATS["float16"] and not rounded:
            bits = replace(bits, inside=bits_inside(f, size, made.q, made.k, made.v))
            if 2.0**-bits.least > eps:
                eps = 2.0**-bits.least
                seen = _observed(f, size, made, eps, columns)
        if brief:
            return seen
        grown, fallen = overflow(f, size, made.rng)
        return replace(seen, bits=bits, overflow=grown, underflow=fallen)
    finally:
        f.columns = f.live = None


def _observed(f: Attend, size: Size, made: Drawn, eps: float, columns: Array) -> Observed:
    zero, random, moved = _weights(f, size, made)
    visible = (zero.sum(-2) > SEEN) | (random.sum(-2) > SEEN)
    bias = log(zero.sum(-2))
    form = form_of(f, size, visible, bias, zero.sum((-2, -1)), eps)
    curve = curve_of(f, size, form, bias, eps)
    step = step_of(curve.scores, max(eps, 2.0**-46) * 8) if curve else 0.0
    if step:
        form = form_of(f, size, visible, bias, zero.sum((-2, -1)), eps, LONG)
    elif curve:
        form = curve.straight(form)
    maps = _maps(size, random.sum(-2), moved, max(NOISE * eps, 1e-8))
    return Observed(size, eps, columns, zero, random, *maps, form, curve, step)


def _columns(f: Attend, size: Size, made: Drawn) -> Array:
    """Which columns of the output follow which columns of the values."""
    d = size.depth
    only = np.eye(d)[:, None, None, :] * made.v
    q, k = (np.broadcast_to(x, (d, *x.shape[1:])) for x in (made.q, made.k))
    return np.asarray(np.abs(f(q, k, only, size.past)).max((1, 2)).T > SEEN)


def _takes_wide(f: Attend, size: Size, made: Drawn, y: Array) -> bool:
    """Whether values may be wider than queries: columns that stay do not change, and more are computed like them."""
    more = np.arange(3) % size.depth
    wide = np.concatenate([made.v, made.v[..., more]], -1)
    try:
        out = f(made.q, made.k, wide, size.past)
    except Refused:
        return False
    return bool(np.allclose(out, np.concatenate([y, y[..., more]], -1), rtol=1e-3, atol=1e-6))


def _weights(f: Attend, size: Size, made: Drawn) -> tuple[Array, Array, Array]:
    """Weights by group at zero and at random scores; and weights where one row of queries or keys is another.

    The last have, in front, one item for each head and row of queries, each head of keys, and each key.
    """
    h, n, g, m = size.heads, size.tokens, size.groups, size.keys
    both = weights_by_group(f, np.concatenate([0 * made.q, made.q]), np.concatenate([0 * made.k, made.k]), size.past)
    q, k = (np.repeat(x, h * n + g + m, 0) for x in (made.q, made.k))
    for at in range(h * n):
        q[at, at // n, at % n] += made.rng.normal(size=size.depth)
    for group in range(g):
        k[h * n + group, group] += made.rng.normal(size=(m, size.depth))
    for key in range(m):
        k[h * n + g + key, :, key] += made.rng.normal(size=(g, size.depth))
    return both[0], both[1], weights(f, q, k, size.past)


def _maps(size: Size, base: Array, moved: Array, near: float) -> tuple[Array, Array, Array, Array]:
    """Heads and rows by those of the queries, heads by those of the keys, columns by keys."""
    h, n, g = size.heads, size.tokens, size.groups
    off = np.abs(moved - base)
    rows = (off[: h * n].max(-1) > near).reshape(h, n, h, n)
    heads = (off[h * n : h * n + g].max((-2, -1)) > near).T
    scores = log(moved[h * n + g :]) - log(base)
    odd = np.abs(scores - median(scores)[..., None]) > 20 * near
    few = odd.sum(-1, keepdims=True) < np.maximum(np.isfinite(scores).sum(-1, keepdims=True) / 2, 1.5)
    columns = (odd & few & (np.isfinite(scores).sum(-1, keepdims=True) > 2)).any((1, 2)).T
    return rows.any((1, 3)).T, rows.any((0, 2)).T, heads, columns
