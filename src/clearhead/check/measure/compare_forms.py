"""The forms of scores side by side: scale, gains of features, which pairs turn, how fast, and from which positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from clearhead.check.measure.laws import Law, law_of
from clearhead.check.measure.parts import Array, Part
from clearhead.check.measure.seen import Row, Seen, part_of
from clearhead.check.measure.turn import STILL, Motion, Pairs, Turn, coupling, motion_of, pairs_of, turn_of, wrap
from clearhead.check.measure.weights import median

FORM = ("head", "query", "key", "depth", "depth")

LOOSE = 4
"""How many tolerances two cells of a form may differ."""


def forms(rows: Sequence[Row]) -> list[Part]:
    """The parts of the form of scores."""
    seen: dict[str, list[tuple[Row, Seen]]] = {}
    for row in rows:
        for name, each in _at(row).items():
            seen.setdefault(name, []).append((row, each))
    if any(each.differs for _, each in seen.get("features", ())):
        seen.pop("scale", None)
    parts = []
    for name, known in seen.items():
        law, due = _laws(known) if name == "scale" else (None, None)
        parts.append(part_of(name, known, law=law, due=due))
    return parts


def _laws(known: Sequence[tuple[Row, Seen]]) -> tuple[Law | None, Law | None]:
    """The laws of the scale, of the heads that differ, or of all: one for all of them, or none."""
    off = sorted({head for _, seen in known for head in seen.where.get("head", ())}) if any(
        seen.differs for _, seen in known) else None  # fmt: skip
    found = []
    for side in ("measured", "expected"):
        gains = [np.asarray(getattr(seen, side))[off] if off else getattr(seen, side) for _, seen in known]
        near = max(row.tolerance for row, _ in known) * LOOSE + 1e-4
        alike = all(np.ptp(each) <= near * np.abs(each).max() for each in gains if np.isfinite(each).all())
        sizes = [row.a.size.words for row, _ in known]
        found.append(law_of([float(np.median(each)) for each in gains], sizes, near) if alike else None)
    return found[0], found[1]


def _at(row: Row) -> dict[str, Seen]:
    """The parts of the form at one size."""
    both = np.isfinite(row.a.form[..., 0, 0]) & np.isfinite(row.b.form[..., 0, 0])
    if not both.any():
        return {}
    mine, due = (np.where(both[..., None, None], each.form, np.nan) for each in (row.a, row.b))
    heads = [head for head in range(len(both)) if both[head].any()]
    off = [head for head in heads if not _same(mine[head], due[head], row.tolerance)]
    lenses = [_pairs(each, heads, row.tolerance) for each in (mine, due)]
    if None in lenses:
        return _mixed(row, mine, due, off)
    return _turned(row, mine, due, off, (lenses[0] or (), lenses[1] or ()))


def _same(mine: Array, due: Array, tolerance: float) -> bool:
    near = LOOSE * tolerance * np.maximum(1.0, np.abs(due))
    return bool((np.abs(np.nan_to_num(mine - due)) <= np.nan_to_num(near)).all())


def _pairs(form: Array, heads: Sequence[int], tolerance: float) -> Pairs | None:
    coupled = np.any([coupling(form[head], tolerance) for head in heads], axis=0)
    return pairs_of(coupled)


def _mixed(row: Row, mine: Array, due: Array, off: Sequence[int]) -> dict[str, Seen]:
    """Forms in which features are mixed, as by norms of queries and keys: the same up to a factor, or another form."""
    ratios = np.array([_ratio(a, b, row.tolerance) for a, b in zip(mine, due, strict=True)])
    where = {"head": tuple(off)}
    if off and np.isnan(ratios[list(off)]).any():
        return {"form": Seen(mine, due, differs=True, axes=FORM, where=where)}
    gain = np.array([np.nanmax(np.abs(np.nan_to_num(each))) for each in due])
    return {"scale": Seen(gain * np.nan_to_num(ratios, nan=1.0), gain, bool(off), ("head",), where)}


def _ratio(mine: Array, due: Array, tolerance: float) -> float:
    """The factor between two forms; NaN if there is none."""
    known = np.isfinite(mine) & np.isfinite(due)
    a, b = mine[known], due[known]
    if not len(b) or not (b @ b):
        return 1.0 if not a.any() else np.nan
    factor = float(a @ b / (b @ b))
    return factor if _same(a, factor * b, tolerance * max(abs(factor), 1.0)) else np.nan


def _turned(row: Row, mine: Array, due: Array, off: Sequence[int], lenses: tuple[Pairs, Pairs]) -> dict[str, Seen]:
    own, asked = lenses
    lens = asked if set(own) <= set(asked) else own
    tolerance = row.tolerance
    a = [_signed(turn_of(mine[h], lens, tolerance), turn_of(due[h], lens, tolerance)) for h in range(len(mine))]
    b = [turn_of(due[h], asked, tolerance) for h in range(len(due))]
    parts = _gains(row, a, b, off)
    pairs = _which_pairs(a, b, lens, asked)
    if pairs.measured or pairs.expected:
        parts["pairs"] = pairs
    if not pairs.differs and asked:
        parts |= _motions(row, a, b, off)
    elif len(lens) == len(asked) and asked and any(turn.turned.any() for turn in a):
        parts |= _speeds_alone(row, a, b)
    if unlike := [h for h in off if not a[h].rotates and b[h].rotates]:
        parts["turn"] = Seen(
            mine, due, differs=True, axes=FORM, where={"head": tuple(unlike)}, details={"why": "pairs", "pairs": lens}
        )
        parts = {name: each for name, each in parts.items() if name in ("turn", "pairs")}
    return parts


def _signed(turn: Turn, due: Turn) -> Turn:
    """The turn, with a minus in its gain where all of its angles are half a turn from what is due."""
    if not turn.theta.size:
        return turn
    apart = np.abs(wrap(turn.theta - due.theta))
    known = np.isfinite(apart)
    if not known.any() or not (np.abs(apart[known] - np.pi) < 0.5).all():
        return turn
    paired = [a for pair in turn.pairs for a in pair]
    gain = turn.gain.copy()
    gain[paired] *= -1
    return Turn(turn.coupled, gain, turn.pairs, wrap(turn.theta + np.pi), turn.rotates)


def _gains(row: Row, a: Sequence[Turn], b: Sequence[Turn], off: Sequence[int]) -> dict[str, Seen]:
    """Scale where all features of a head have one factor; else the gain of each feature."""
    mine, due = np.array([turn.gain for turn in a]), np.array([turn.gain for turn in b])
    near = LOOSE * row.tolerance + 1e-6
    with np.errstate(all="ignore"):
        ratio = np.where(np.abs(due) > 1e-12, mine / due, 1.0)
    uneven = [h for h in off if np.ptp(ratio[h]) > near * np.abs(ratio[h]).max()]
    scaled = [h for h in off if h not in uneven and abs(ratio[h, 0] - 1) > near]
    parts = {"scale": Seen(median(mine), median(due), bool(scaled), ("head",), {"head": tuple(scaled)},
                           {"ratio": ratio[scaled[0], 0] if scaled else 1.0})}  # fmt: skip
    if uneven:
        parts["features"] = Seen(
            mine, due, differs=True, axes=("head", "depth"), where={"head": tuple(uneven)}, details={"ratio": ratio}
        )
    return parts


def _which_pairs(a: Sequence[Turn], b: Sequence[Turn], lens: Pairs, asked: Pairs) -> Seen:
    """Which features turn together. Where the same pairs are due, those that stay still in all heads do not turn."""
    moves = np.any([turn.turned for turn in a], axis=0) if lens else np.zeros(0, bool)
    due = np.any([turn.turned for turn in b], axis=0) if asked else np.zeros(0, bool)
    mine = tuple(pair for pair, still in zip(lens, ~moves, strict=True) if not still)
    wanted = tuple(pair for pair, still in zip(asked, ~due, strict=True) if not still)
    return Seen(mine, wanted, mine != wanted, (), {}, {"count": (len(mine), len(wanted))})


def _speeds_alone(row: Row, a: Sequence[Turn], b: Sequence[Turn]) -> dict[str, Seen]:
    """How fast pairs turn where other features are paired: frequencies in their order."""
    mine, due = (_falling(motion_of(turns[0].theta, row.tolerance).query_speeds) for turns in (a, b))
    return {"frequencies": _frequencies(mine, due, row, (0,))}


def _falling(speeds: Array) -> Array:
    """Speeds in falling order; which way pairs turn hangs on the order of their features, which is another here."""
    return np.sort(np.abs(speeds))[::-1]


def _motions(row: Row, a: Sequence[Turn], b: Sequence[Turn], off: Sequence[int]) -> dict[str, Seen]:
    """Frequencies and positions, of the first head that differs; else of the first."""
    moved = [h for h in off if _off(a[h].theta, b[h].theta, row.tolerance, a[h].gain)]
    head = moved[0] if moved else 0
    mine, due = motion_of(a[head].theta, row.tolerance), motion_of(b[head].theta, row.tolerance)
    heads = {"head": tuple(moved)}
    if not moved:
        speeds = due.query_speeds
        place = _places(due, due, speeds)
        return {"frequencies": _frequencies(speeds, speeds, row, ()), "positions": Seen(place, place, differs=False)}
    if not mine.separable:
        details = {"why": "positions", "theta": (a[head].theta, b[head].theta)}
        return {"turn": Seen(a[head].theta, b[head].theta, differs=True, where=heads, details=details)}
    return _of_motion(row, mine, due, heads)


def _off(mine: Array, due: Array, tolerance: float, gain: Array) -> bool:
    near = LOOSE * tolerance / max(float(np.abs(gain).max(initial=0.0)), 1e-6)
    return bool((np.abs(np.nan_to_num(wrap(mine - due))) > min(near, 1.0)).any())


def _of_motion(row: Row, mine: Motion, due: Motion, heads: dict[str, tuple[int, ...]]) -> dict[str, Seen]:
    asked = np.where(np.abs(due.query_speeds) > STILL, due.query_speeds, due.key_speeds())
    near = LOOSE * row.tolerance * 4 + 1e-7
    query, key = mine.query_speeds, mine.key_speeds(due.neighbours(asked))
    still = [not (np.abs(each) > near).any() for each in (query, key)]
    speeds = asked if all(still) else key if still[0] else query
    if not any(still) and (np.abs(query - key) > near + 1e-6 * np.abs(query)).any():
        details = {"why": "tables", "frequencies": (query, key), "due": asked}
        return {"turn": Seen(query, key, differs=True, axes=("pair",), where=heads, details=details)}
    parts = {"frequencies": _frequencies(speeds, asked, row, heads["head"])}
    found, wanted = _places(mine, due, speeds), _places(due, due, asked)
    if found and wanted:
        gaps = [np.nan_to_num(x - y) for x, y in zip(found, wanted, strict=True)]
        size = max(abs(float(asked[_carrier(due, asked)])), 1e-12)
        sides = tuple(name for name, gap in zip(("query", "key"), gaps, strict=True)
                      if (np.abs(gap) > 0.02 + near / size).any())  # fmt: skip
        parts["positions"] = Seen(found, wanted, bool(sides), (), heads if sides else {}, {"sides": sides})
    return parts


def _carrier(motion: Motion, speeds: Array) -> int:
    """The fastest pair whose angles do not come round within the tokens at hand."""
    span = motion.query.shape[-1] + motion.key.shape[-1] + 3
    slow = [c for c in range(len(speeds)) if STILL < abs(speeds[c]) * span < np.pi]
    return max(slow, key=lambda c: abs(speeds[c])) if slow else int(np.argmin(np.abs(speeds)))


def _places(motion: Motion, due: Motion, speeds: Array) -> tuple[Array, Array] | None:
    """The positions of queries and of keys, the first key at 0; None where no pair shows them."""
    c = _carrier(due, speeds)
    if abs(speeds[c]) <= STILL:
        return None
    return motion.query[c] / speeds[c], motion.key[c] / speeds[c]


def _frequencies(mine: Array, due: Array, row: Row, heads: tuple[int, ...]) -> Seen:
    near = LOOSE * row.tolerance * 4 + 1e-7
    off = len(mine) != len(due) or bool((np.abs(mine - due) > near + 1e-5 * np.abs(due)).any())
    details: dict[str, Any] = {"spectrum": (spectrum(mine), spectrum(due))}
    with np.errstate(all="ignore"):
        details["ratio"] = mine / due if len(mine) == len(due) else None
    return Seen(mine, due, off, ("pair",), {"head": heads} if off else {}, details)


def spectrum(speeds: Array) -> tuple[float, float] | None:
    """The base and the first frequency, if frequencies fall as base ** (-c / count); None if not, or only one."""
    w = np.abs(speeds)
    if len(w) < 2 or (w <= STILL).any():
        return None
    c = np.arange(len(w))
    slope, start = np.polyfit(c, np.log(w), 1)
    if np.abs(np.log(w) - slope * c - start).max() > 1e-3:
        return None
    return float(np.exp(-slope * len(w))), float(np.exp(start))
