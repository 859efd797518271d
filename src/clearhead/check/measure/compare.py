"""Measurements of a function compared with those of its working, part by part, over several sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.axes import Axes
from clearhead.check.measure.compare_forms import forms
from clearhead.check.measure.compare_sums import computed, mass
from clearhead.check.measure.grids import rule_of
from clearhead.check.measure.observe import Observed
from clearhead.check.measure.parts import Array, Part
from clearhead.check.measure.precision import EXPONENTS, LIMITS, step_of, subtracted
from clearhead.check.measure.seen import Row, Seen, part_of
from clearhead.check.measure.weights import median

NARROW = 1.01
"""How near the ends of a limit must be for a constant to follow from it."""

LEAST_FILL = 0.01
"""Scores this near to those of other keys are not the fill of a mask."""

TINY_FILL = 1e-12
"""Scores nearer than this to those of other keys are the same: rounding moves them as far."""

# Which entry follows which


def columns(row: Row) -> Seen:
    """Which column of the values each column of the output follows."""
    return _map(row.a.columns, row.b.columns, ("depth", "depth"))


def computed_columns(row: Row) -> Seen:
    """Which columns of the output are numbers that follow the values, and not 0 whatever is given."""
    mine, expected = row.a.columns.any(-1), row.b.columns.any(-1)
    off = expected & ~mine
    return Seen(mine, expected, bool(off.any()), ("depth",), {"depth": tuple(np.nonzero(off)[0].tolist())})


def output_heads(row: Row) -> Seen | None:
    """Whether heads come out in another order: their queries, keys and values then fit each other."""
    order = _order(row.a.query_heads)
    if order is None:
        return None
    moved = order != tuple(range(len(order))) and all(
        (mine == expected[list(order)]).all()
        for mine, expected in ((row.a.key_heads, row.b.key_heads), (row.a.value_heads, row.b.value_heads))
    )
    return Seen(np.array(order), np.arange(len(order)), moved, ("head",))


def query_heads(row: Row) -> Seen | None:
    """Which query heads each head of the output follows."""
    return _map(row.a.query_heads, row.b.query_heads, ("head", "head"))


def query_rows(row: Row) -> Seen | None:
    """Which rows of the queries each row of the output follows."""
    return _map(row.a.query_rows, row.b.query_rows, ("query", "query"))


def key_heads(row: Row) -> Seen | None:
    """Which key heads each head's scores follow."""
    return _map(row.a.key_heads, row.b.key_heads, ("head", "group"))


def key_columns(row: Row) -> Seen | None:
    """Which keys the scores of each key follow."""
    return _map(row.a.key_columns, row.b.key_columns, ("key", "key"))


def value_heads(row: Row) -> Seen | None:
    """Which value heads each head reads."""
    return _map(row.a.value_heads, row.b.value_heads, ("head", "group"))


def _map(mine: Array, expected: Array, axes: Axes) -> Seen:
    """A map compared with the expected one; rows that follow nothing, in either, are ignored."""
    known = mine.any(-1) & expected.any(-1)
    off = known & (mine != expected).any(-1)
    return Seen(mine, expected, bool(off.any()), axes, {axes[0]: tuple(np.nonzero(off)[0].tolist())})


def _order(follows: Array) -> tuple[int, ...] | None:
    """The one that each follows, if each follows one and none two."""
    if not (follows.sum(-1) == 1).all() or not (follows.sum(0) == 1).all():
        return None
    return tuple(int(place) for place in follows.argmax(-1))


# Masks, sums, biases


def computed_heads(row: Row) -> Seen:
    """Which heads of the output are numbers that follow the inputs, and not 0 whatever is given."""
    mine, expected = (each.visible.any((1, 2)) for each in (row.a, row.b))
    off = expected & ~mine
    return Seen(mine, expected, bool(off.any()), ("head",), {"head": tuple(np.nonzero(off)[0].tolist())})


def keys_seen(row: Row) -> Seen:
    """Which keys each query sees."""
    off = (row.a.visible != row.b.visible) & computed(row)[:, None, None]
    more = row.a.visible & ~row.b.visible
    details: dict[str, Any] = {"more": bool(more.any()), "fewer": bool((row.b.visible & ~row.a.visible).any())}
    details["fill"] = _fill(row, more)
    details["tiny"] = _fill(row, more, TINY_FILL)
    details["floor"] = details["fill"] is not None and _is_floor(row, more, details["fill"])
    where = {word: tuple(np.nonzero(off.any(axis))[0].tolist()) for word, axis in (("head", (1, 2)), ("query", (0, 2)))}
    return Seen(row.a.visible, row.b.visible, bool(off.any()), ("head", "query", "key"), where, details)


def _fill(row: Row, more: Array, least: float = LEAST_FILL) -> float | None:
    """The score of keys that should be masked, relative to visible ones; None if there is none, or less than that."""
    level = median(np.where(row.a.visible & row.b.visible, row.a.bias, np.nan))
    fills = (row.a.bias - level[..., None])[more]
    fills = fills[np.isfinite(fills)]
    near = max(1.0, np.abs(fills).max(initial=0.0)) if least == LEAST_FILL else np.abs(fills).max(initial=0.0)
    if not len(fills) or np.ptp(fills) > 1e-3 * near or abs(np.median(fills)) < least:
        return None
    return float(np.median(fills))


def _is_floor(row: Row, more: Array, fill: float) -> bool:
    """Whether keys that should be masked have the same weight beside the largest of their row at random scores too."""
    random = row.a.random.sum(-2)
    shares = (random / np.maximum(random.max(-1, keepdims=True), 1e-30))[more]
    return len(shares) > 2 and bool(np.abs(shares / np.exp(fill) - 1).max() < 1e-3)


def bias(row: Row) -> Seen | None:
    """What is added to the scores of keys that are rightly visible, up to a constant of each query."""
    both = row.a.visible & row.b.visible & np.isfinite(row.a.bias) & np.isfinite(row.b.bias)
    if not (both.sum(-1) > 1).any():
        return None
    mine, expected = (_centred(each.bias, both) for each in (row.a, row.b))
    gap = np.nan_to_num(mine - expected)
    off = np.abs(gap) > row.tolerance * 4 * np.maximum(1.0, np.abs(np.nan_to_num(expected)))
    by = [_by_distance(each, row.a.size.past) for each in (mine, expected)]
    details = {"distance": by, "gap": mine - expected}
    return Seen(mine, expected, bool(off.any()), ("head", "query", "key"),
                {"head": tuple(np.nonzero(off.any((1, 2)))[0].tolist())}, details)  # fmt: skip


def _centred(x: Array, both: Array) -> Array:
    """Numbers minus the mean of their row, where they count."""
    count = np.maximum(both.sum(-1, keepdims=True), 1)
    return np.where(both, x - np.where(both, x, 0.0).sum(-1, keepdims=True) / count, np.nan)


def _by_distance(x: Array, past: int) -> list[dict[int, float] | None]:
    """By head, the bias by distance key - query, 0 for a token itself; None where it does not follow the distance."""
    heads, queries, keys = x.shape
    distance = np.arange(keys) - np.arange(queries)[:, None] - past
    return [_table(x[head], distance) for head in range(heads)]


def _table(x: Array, distance: Array) -> dict[int, float] | None:
    i, j = np.nonzero(np.isfinite(x))
    if not len(i):
        return None
    r = distance[i, j]
    known = np.unique(r)
    columns = np.zeros((len(i), len(x) + len(known)))
    columns[np.arange(len(i)), i] = 1
    columns[np.arange(len(i)), len(x) + np.searchsorted(known, r)] = 1
    fit, *_ = np.linalg.lstsq(columns, x[i, j], rcond=None)
    if np.abs(columns @ fit - x[i, j]).max() > 1e-3 * max(1.0, np.abs(x[i, j]).max()):
        return None
    table = fit[len(x) :]
    base = table[np.argmin(np.abs(known))]
    return {int(at): float(value - base) for at, value in zip(known, table, strict=True)}


# Curves and precision


def score_curve(row: Row) -> Seen | None:
    """How scores grow with their query: straight, up to a soft-cap, or not at all."""
    a, b = row.a.curve, row.b.curve
    if a is None or b is None:
        return None
    unlike = []
    for head in range(len(a.shape)):
        same = a.shape[head] == b.shape[head] and _same_cap(a.cap[head], b.cap[head], row.tolerance)
        same &= a.key_counts[head] == b.key_counts[head]
        unseen = {"unknown", "flat"} & {a.shape[head], b.shape[head]}
        if not same and not unseen and not (a.shape[head] == b.shape[head] == "bent" and _alike(row, head)):
            unlike.append(head)
    details: dict[str, Any] = {"cap": (a.cap, b.cap), "keys": (a.key_counts, b.key_counts)}
    if unlike and a.shape[unlike[0]] == "bent":
        head = unlike[0]
        details["bent"] = (a.lengths, a.scores[head], float(b.slope[head]), float(b.cap[head]))
    return Seen(a.shape, b.shape, bool(unlike), ("head",), {"head": tuple(unlike)}, details)


def _same_cap(mine: float, expected: float, tolerance: float) -> bool:
    return bool(np.isnan(mine) and np.isnan(expected)) or bool(np.isclose(mine, expected, rtol=5e-3 + 10 * tolerance))


def _one_cap(rows: Sequence[Row], head: int) -> bool:
    """Whether the soft-cap of a head is the same at all sizes, or at the only one."""
    caps = [each.a.curve.cap[head] for each in rows if each.a.curve]
    known = [cap for cap in caps if np.isfinite(cap)]
    return not known or bool(np.ptp(known) <= 5e-2 * max(known))


def _alike(row: Row, head: int) -> bool:
    """Whether two curves of unknown form are equal."""
    assert row.a.curve is not None  # noqa: S101 - `score_curve` has looked
    assert row.b.curve is not None  # noqa: S101
    mine, expected = row.a.curve.scores[head], row.b.curve.scores[head]
    both = np.isfinite(mine) & np.isfinite(expected)
    return bool(np.allclose(mine[both], expected[both], rtol=1e-2, atol=10 * row.tolerance))


def overflows(row: Row) -> Seen | None:
    """Where outputs are no longer finite, as queries and keys grow.

    An overflow beyond all ordinary scores, or at the limit of the type, is reported but is no difference.
    """
    a, b = row.a, row.b
    if a.bits is None or b.bits is None:
        return None
    gain = float(np.nanmax(np.abs(np.nan_to_num(b.form)), initial=0.0)) or 1.0
    limit = _cause(a.underflow, gain).partition(":")[0] if a.underflow else ""
    if a.overflow is None and a.underflow and not b.underflow and limit not in ("scaled", "product"):
        scores = tuple(-gain * each for each in a.underflow)
        return Seen(
            scores,
            None,
            differs=True,
            details={"cause": "vanish", "finite": not limit, "type": a.bits.type, "constant": None},
        )
    cause = _cause(a.overflow, gain) if a.overflow else ""
    constant = _constant(a, gain)
    if constant:
        cause = f"exponential:{constant[0]}"
    limit = cause.partition(":")[0]
    own = limit == "scaled" or (limit == "exponential" and a.bits.type != "float16")
    differs = a.overflow is not None and b.overflow is None and not own
    details: dict[str, Any] = {"cause": cause, "type": a.bits.type, "constant": constant[1] if constant else None}
    return Seen(a.overflow, b.overflow, differs, (), {}, details)


def _constant(a: Observed, gain: float) -> tuple[str, float] | None:
    """The type of exponentials and the constant that is subtracted from scores, as `subtracted`; None if unknown."""
    if a.overflow is None or a.underflow is None:
        return None
    grown, fallen = ((low * gain, high * gain) for low, high in (a.overflow, a.underflow))
    if max(grown[1] / max(grown[0], 1e-30), fallen[1] / max(fallen[0], 1e-30)) > NARROW:
        return None
    return subtracted(grown, fallen, int(a.visible.sum(-1).max()))


def _cause(at: tuple[float, float], gain: float) -> str:
    """The limit of a floating-point type at which outputs stop being finite, before or after the scale."""
    low, high = at
    slack = 1.06
    for name, limit in EXPONENTS.items():
        if low * gain / slack <= limit <= high * gain * slack:
            return f"exponential:{name}"
    for name, limit in LIMITS.items():
        if low * gain / slack <= limit <= high * gain * slack:  # with a scale near 1 products are no larger than scores
            return f"scaled:{name}"
        if low / slack <= limit <= high * slack:
            return f"product:{name}"
    return ""


def rounding(row: Row) -> Seen | None:
    """The steps to which scores, weights or outputs are rounded; 0 for none."""
    steps = [(each.step, step_of(each.random, max(each.eps, 2.0**-46))) for each in (row.a, row.b)]
    where = tuple(name for name, mine, expected in zip(("scores", "weights"), *steps, strict=True) if mine != expected)
    return Seen(tuple(steps[0]), tuple(steps[1]), bool(where), (), {}, {"of": where})


def precision(row: Row) -> Seen | None:
    """How many bits are kept. Fewer bits than the working's are no fault, if numbers are right to these bits."""
    if row.a.bits is None or row.b.bits is None:
        return None
    return Seen(row.a.bits, row.b.bits, differs=False, details={"type": row.a.bits.type})


AT: dict[str, Callable[[Row], Seen | None]] = {
    "output columns": columns,
    "computed columns": computed_columns,
    "computed heads": computed_heads,
    "output heads": output_heads,
    "query heads": query_heads,
    "query rows": query_rows,
    "key heads": key_heads,
    "key columns": key_columns,
    "value heads": value_heads,
    "keys seen": keys_seen,
    "mass": mass,
    "bias": bias,
    "score curve": score_curve,
    "overflow": overflows,
    "rounding": rounding,
    "precision": precision,
}
"""The parts that are compared one by one, the most basic first; those of the form of scores come from `forms`."""

MAPS = ("query heads", "query rows", "key columns")
"""Where these differ, scores are of other tokens or heads than they should be, and are not compared."""


FLOORED = ("key columns", "score curve")
"""What differs as well where weights have a least value."""


class Compared(Struct, frozen=True):
    """All parts, those that differ and those that do not."""

    differing: tuple[Part, ...]
    right: tuple[Part, ...]


def compare_parts(rows: Sequence[tuple[Observed, Observed]]) -> Compared:
    """Compares what was measured at several sizes."""
    pairs = [Row(a, b) for a, b in rows]
    seen = {"output heads": [output_heads(row) for row in pairs]}
    pairs = [_reordered(row, each) for row, each in zip(pairs, seen["output heads"], strict=True)]
    for name, compared in AT.items():
        if name not in seen:
            seen[name] = [compared(row) for row in pairs]
    parts = [part for name in AT if (part := _part(name, pairs, seen[name]))]
    for part in parts:
        if part.name == "keys seen" and part.differs:
            part.details["rule"] = rule_of(rows)
        if part.name == "computed columns" and part.differs:
            part.details["counts"] = _prefixes(pairs)
        if part.name == "score curve" and part.differs:
            part.details["one cap"] = _one_cap(pairs, (part.where.get("head") or (0,))[0])
        if part.name == "mass":
            part.details["at"] = tuple(
                (row.a.size.keys, float(np.median(each.details["slots"])))
                for row, each in zip(pairs, seen["mass"], strict=True)
                if each
            )
    names = {each.name for each in parts if each.differs}
    if not names & set(MAPS):
        parts += [each for each in forms(pairs) if not (each.name == "scale" and _is_bent(parts))]
    if any(part.name == "keys seen" and part.details.get("floor") for part in parts):
        parts = [each for each in parts if each.name not in FLOORED or not each.differs]
    order = {name: place for place, name in enumerate(ORDER)}
    parts.sort(key=lambda each: order.get(each.name, len(order)))
    return Compared(tuple(p for p in parts if p.differs), tuple(p for p in parts if not p.differs))


def _prefixes(rows: Sequence[Row]) -> tuple[tuple[int, int], ...]:
    """How many columns are computed at each depth at which some are not; () where these are not the first ones."""
    lost = [np.asarray(row.a.columns.any(-1)) for row in rows if computed_columns(row).differs]
    if any((np.diff(each.astype(int)) > 0).any() for each in lost):
        return ()
    return tuple(sorted({len(each): int(each.sum()) for each in lost}.items()))


ORDER = (
    "output columns", "computed columns", "computed heads", "output heads", "query heads", "query rows", "key heads",
    "key columns", "value heads", "keys seen", "mass", "pairs", "frequencies", "positions", "turn", "features", "form",
    "scale", "bias", "score curve", "rounding", "overflow", "precision",
)  # fmt: skip


def _is_bent(parts: Sequence[Part]) -> bool:
    """Whether scores follow a curve without a slope of its own, so that no scale can be said."""
    curve = next((each for each in parts if each.name == "score curve" and each.differs), None)
    return curve is not None and "bent" in curve.measured


def _reordered(row: Row, heads: Seen | None) -> Row:
    """The row with the working's heads in the order in which the function returns them."""
    if heads is None or not heads.differs:
        return row
    order = list(heads.measured)
    names = ("zero", "random", "query_heads", "key_heads", "form")
    moved = {name: getattr(row.b, name)[order] for name in names}
    return Row(row.a, replace(row.b, **moved))


def _part(name: str, rows: Sequence[Row], seen: Sequence[Seen | None]) -> Part | None:
    """One part over all sizes: what it is at the first size at which it differs."""
    known = [(row, each) for row, each in zip(rows, seen, strict=True) if each is not None]
    return part_of(name, known) if known else None
