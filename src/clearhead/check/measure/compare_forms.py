"""The forms of scores compared: scale, gains of features, which pairs rotate, how fast, and from which positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from clearhead.check.measure.laws import Law, law_of
from clearhead.check.measure.parts import Array, Part
from clearhead.check.measure.precision import FLOATS
from clearhead.check.measure.seen import Row, Seen, part_of
from clearhead.check.measure.turn import STILL, Motion, Pairs, Turn, coupling, motion_of, pairs_of, turn_of, wrap
from clearhead.check.measure.weights import median

FORM = ("head", "query", "key", "depth", "depth")

CLOSE = 1e-5
"""The relative tolerance within which frequencies are equal."""

SINGLE = 2.0**-24
"""The relative precision of numbers in single precision."""

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
        law, expected = _laws(known) if name == "scale" else (None, None)
        part = part_of(name, known, law=law, expected_law=expected)
        if name == "scale":
            part.details["elsewhere"] = any(_elsewhere(row) for row, _ in known)
            part.details["at"] = tuple((row.a.size.words, each.measured, each.expected) for row, each in known)
        if name == "frequencies":
            off = [each for _, each in known if each.differs]
            part.details["base"] = _one_base(off, 0) if _one_base(off, 1) else None
        parts.append(part)
    return parts


def _elsewhere(row: Row) -> bool:
    """Whether scores that are not compared with expected ones, as of keys that should not be seen, follow anything."""
    alone = np.isfinite(row.a.form[..., 0, 0]) & ~np.isfinite(row.b.form[..., 0, 0])
    return bool(np.abs(row.a.form[alone]).max(initial=0) > LOOSE * row.tolerance)


def _one_base(off: Sequence[Seen], side: int) -> float | None:
    """The base of the angles, measured or expected, if it is one at all sizes; None of two frequencies alone."""
    spectra = [each.details["spectrum"][side] for each in off]
    bases = [each[0] for each in spectra if each]
    enough = len(bases) > 1 or any(len(each.measured) > 2 for each in off)
    alike = bool(bases) and len(bases) == len(spectra) and np.ptp(bases) < 1e-3 * max(bases)
    return bases[0] if enough and alike else None


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
    mine, expected = (np.where(both[..., None, None], each.form, np.nan) for each in (row.a, row.b))
    heads = [head for head in range(len(both)) if both[head].any()]
    off = [head for head in heads if not _same(mine[head], expected[head], row.tolerance)]
    lenses = [_pairs(each, heads, row.tolerance) for each in (mine, expected)]
    if None in lenses:
        return _mixed(row, mine, expected, off)
    pairs = (lenses[0] or (), lenses[1] or ())
    found = _turned(row, mine, expected, off, pairs)
    if "turn" in found and row.a.eps < SINGLE:
        # Cosines and sines that are kept in single precision are no exact rotation, whatever else is different.
        rough = _turned(replace(row, a=replace(row.a, eps=SINGLE)), mine, expected, off, pairs)
        return rough if "turn" not in rough and any(each.differs for each in rough.values()) else found
    return found


def _same(mine: Array, expected: Array, tolerance: float) -> bool:
    near = LOOSE * tolerance * np.maximum(1.0, np.abs(expected))
    return bool((np.abs(np.nan_to_num(mine - expected)) <= np.nan_to_num(near)).all())


def _pairs(form: Array, heads: Sequence[int], tolerance: float) -> Pairs | None:
    coupled = np.any([coupling(form[head], tolerance) for head in heads], axis=0)
    return pairs_of(coupled)


def _mixed(row: Row, mine: Array, expected: Array, off: Sequence[int]) -> dict[str, Seen]:
    """Forms in which features are mixed, as by norms of queries and keys: the same up to a factor, or another form."""
    ratios = np.array([_ratio(a, b, row.tolerance) for a, b in zip(mine, expected, strict=True)])
    where = {"head": tuple(off)}
    if off and np.isnan(ratios[list(off)]).any():
        return {"form": Seen(mine, expected, differs=True, axes=FORM, where=where)}
    gain = np.array([np.nanmax(np.abs(np.nan_to_num(each))) for each in expected])
    return {"scale": Seen(gain * np.nan_to_num(ratios, nan=1.0), gain, bool(off), ("head",), where)}


def _ratio(mine: Array, expected: Array, tolerance: float) -> float:
    """The factor between two forms; NaN if there is none."""
    known = np.isfinite(mine) & np.isfinite(expected)
    a, b = mine[known], expected[known]
    if not len(b) or not (b @ b):
        return 1.0 if not a.any() else np.nan
    factor = float(a @ b / (b @ b))
    return factor if _same(a, factor * b, tolerance * max(abs(factor), 1.0)) else np.nan


def _turned(row: Row, mine: Array, expected: Array, off: Sequence[int], lenses: tuple[Pairs, Pairs]) -> dict[str, Seen]:
    own, asked = lenses
    lens = asked if set(own) <= set(asked) else own
    tolerance = row.tolerance
    a = [_signed(turn_of(mine[h], lens, tolerance), turn_of(expected[h], lens, tolerance)) for h in range(len(mine))]
    b = [turn_of(expected[h], asked, tolerance) for h in range(len(expected))]
    parts = _gains(row, a, b, off)
    if off and not any(turn.gain.any() for turn in a):  # without scores nothing is known of pairs and positions
        return parts
    pairs = _which_pairs(a, b, lens, asked)
    if pairs.measured or pairs.expected:
        parts["pairs"] = pairs
    if not pairs.differs and asked:
        parts |= _motions(row, a, b, off)
    elif len(lens) == len(asked) and asked and any(turn.turned.any() for turn in a):
        parts |= _speeds_alone(row, a, b)
    if unlike := [h for h in off if not a[h].rotates and b[h].rotates]:
        parts["turn"] = Seen(
            mine,
            expected,
            differs=True,
            axes=FORM,
            where={"head": tuple(unlike)},
            details={"why": "pairs", "pairs": lens},
        )
        parts = {name: each for name, each in parts.items() if name in ("turn", "pairs")}
    return parts


def _signed(turn: Turn, expected: Turn) -> Turn:
    """The rotation, with a minus in its gain where all of its angles are half a turn from the expected ones."""
    if not turn.theta.size:
        return turn
    apart = np.abs(wrap(turn.theta - expected.theta))
    known = np.isfinite(apart)
    if not known.any() or not (np.abs(apart[known] - np.pi) < 0.5).all():
        return turn
    paired = [a for pair in turn.pairs for a in pair]
    gain = turn.gain.copy()
    gain[paired] *= -1
    return Turn(turn.coupled, gain, turn.pairs, wrap(turn.theta + np.pi), turn.rotates)


def _gains(row: Row, a: Sequence[Turn], b: Sequence[Turn], off: Sequence[int]) -> dict[str, Seen]:
    """Scale where all features of a head have one factor; else the gain of each feature."""
    mine, expected = np.array([turn.gain for turn in a]), np.array([turn.gain for turn in b])
    near = LOOSE * row.tolerance + 1e-6
    with np.errstate(all="ignore"):
        ratio = np.where(np.abs(expected) > 1e-12, mine / expected, 1.0)
    uneven = [h for h in off if np.ptp(ratio[h]) > near * np.abs(ratio[h]).max()]
    scaled = [h for h in off if h not in uneven and abs(ratio[h, 0] - 1) > near]
    parts = {"scale": Seen(median(mine), median(expected), bool(scaled), ("head",), {"head": tuple(scaled)},
                           {"ratio": ratio[scaled[0], 0] if scaled else 1.0})}  # fmt: skip
    if uneven:
        parts["features"] = Seen(
            mine,
            expected,
            differs=True,
            axes=("head", "depth"),
            where={"head": tuple(uneven)},
            details={"ratio": ratio},
        )
    return parts


def _which_pairs(a: Sequence[Turn], b: Sequence[Turn], lens: Pairs, asked: Pairs) -> Seen:
    """Which features rotate together. Where the same pairs are expected, those still in all heads do not rotate."""
    moves = np.any([turn.turned for turn in a], axis=0) if lens else np.zeros(0, bool)
    expected = np.any([turn.turned for turn in b], axis=0) if asked else np.zeros(0, bool)
    mine = tuple(pair for pair, still in zip(lens, ~moves, strict=True) if not still)
    wanted = tuple(pair for pair, still in zip(asked, ~expected, strict=True) if not still)
    return Seen(mine, wanted, mine != wanted, (), {}, {"count": (len(mine), len(wanted))})


def _speeds_alone(row: Row, a: Sequence[Turn], b: Sequence[Turn]) -> dict[str, Seen]:
    """How fast pairs rotate where other features are paired: frequencies in their order."""
    mine, expected = (_falling(motion_of(turns[0].theta, row.tolerance).query_speeds) for turns in (a, b))
    return {"frequencies": _frequencies(mine, expected, row, tuple(range(len(a))))}


def _falling(speeds: Array) -> Array:
    """Speeds in falling order; the direction of a pair depends on the order of its features, which differs here."""
    return np.sort(np.abs(speeds))[::-1]


def _motions(row: Row, a: Sequence[Turn], b: Sequence[Turn], off: Sequence[int]) -> dict[str, Seen]:
    """Frequencies and positions: those of the first head that differs, with those of others that do in the details."""
    moved = [h for h in off if _off(a[h].theta, b[h].theta, row.tolerance, a[h].gain)]
    if not moved:
        expected = motion_of(b[0].theta, row.tolerance)
        speeds = expected.query_speeds
        place = _places(expected, expected, speeds)
        return {"frequencies": _frequencies(speeds, speeds, row, ()), "positions": Seen(place, place, differs=False)}
    by_head = {h: _motion(row, a[h], b[h], h) for h in moved}
    parts = {}
    for name in dict.fromkeys(name for parts in by_head.values() for name in parts):
        known = {h: found[name] for h, found in by_head.items() if name in found}
        others = {h: each for h, each in known.items() if each.differs}
        first = next(iter((others or known).values()))
        where = {"head": tuple(others)} if others else {}
        parts[name] = replace(first, where=where, details={**first.details, "by head": others})
    return parts


def _motion(row: Row, a: Turn, b: Turn, head: int) -> dict[str, Seen]:
    """Frequencies and positions of one head."""
    mine, expected = motion_of(a.theta, row.tolerance), motion_of(b.theta, row.tolerance)
    heads: dict[str, tuple[int, ...]] = {"head": (head,)}
    if not mine.separable:
        details = {"why": "positions", "theta": (a.theta, b.theta)}
        return {"turn": Seen(a.theta, b.theta, differs=True, where=heads, details=details)}
    return _of_motion(row, mine, expected, heads)


def _off(mine: Array, expected: Array, tolerance: float, gain: Array) -> bool:
    near = LOOSE * tolerance / max(float(np.abs(gain).max(initial=0.0)), 1e-6)
    return bool((np.abs(np.nan_to_num(wrap(mine - expected))) > min(near, 1.0)).any())


def _of_motion(row: Row, mine: Motion, expected: Motion, heads: dict[str, tuple[int, ...]]) -> dict[str, Seen]:
    asked = np.where(np.abs(expected.query_speeds) > STILL, expected.query_speeds, expected.key_speeds())
    near = LOOSE * row.tolerance * 4 + 1e-7
    query, key = mine.query_speeds, mine.key_speeds(expected.neighbours(asked))
    still = [not (np.abs(each) > near).any() for each in (query, key)]
    speeds = asked if all(still) else key if still[0] else query
    if not any(still) and (np.abs(query - key) > near + 1e-6 * np.abs(query)).any():
        details = {"why": "tables", "frequencies": (query, key), "expected": asked}
        return {"turn": Seen(query, key, differs=True, axes=("pair",), where=heads, details=details)}
    speeds = _unwrapped(speeds, asked, near)
    parts = {"frequencies": _frequencies(speeds, asked, row, heads["head"])}
    found, wanted = _places(mine, expected, speeds), _places(expected, expected, asked)
    if found and wanted:
        gaps = [np.nan_to_num(x - y) for x, y in zip(found, wanted, strict=True)]
        size = max(abs(float(asked[_carrier(expected, asked)])), 1e-12)
        sides = tuple(name for name, gap in zip(("query", "key"), gaps, strict=True)
                      if (np.abs(gap) > 0.02 + near / size).any())  # fmt: skip
        parts["positions"] = Seen(found, wanted, bool(sides), (), heads if sides else {}, {"sides": sides})
    return parts


def _unwrapped(speeds: Array, asked: Array, near: float) -> Array:
    """Speeds with whole turns added, where they are then one multiple of what is expected, that of the slowest pair."""
    if len(speeds) != len(asked) or abs(asked[-1]) <= STILL:
        return speeds
    several = speeds[-1] / asked[-1] * asked
    return several if (np.abs(wrap(several - speeds)) <= near + CLOSE * np.abs(several)).all() else speeds


def _carrier(motion: Motion, speeds: Array) -> int:
    """The fastest pair whose angles do not wrap around within these tokens."""
    span = motion.query.shape[-1] + motion.key.shape[-1] + 3
    slow = [c for c in range(len(speeds)) if STILL < abs(speeds[c]) * span < np.pi]
    return max(slow, key=lambda c: abs(speeds[c])) if slow else int(np.argmin(np.abs(speeds)))


def _places(motion: Motion, expected: Motion, speeds: Array) -> tuple[Array, Array] | None:
    """The positions of queries and of keys, the first key at 0; None where no pair shows them."""
    c = _carrier(expected, speeds)
    if abs(speeds[c]) <= STILL:
        return None
    return motion.query[c] / speeds[c], motion.key[c] / speeds[c]


def _frequencies(mine: Array, expected: Array, row: Row, heads: tuple[int, ...]) -> Seen:
    near = LOOSE * row.tolerance * 4 + 1e-7
    off = len(mine) != len(expected) or bool((np.abs(mine - expected) > near + CLOSE * np.abs(expected)).any())
    kept = _kept(mine, expected, near) if off else ""
    details: dict[str, Any] = {"spectrum": (spectrum(mine), spectrum(expected)), "kept": kept}
    with np.errstate(all="ignore"):
        details["ratio"] = mine / expected if len(mine) == len(expected) else None
    return Seen(mine, expected, off, ("pair",), {"head": heads} if off else {}, details)


def _kept(mine: Array, expected: Array, near: float) -> str:
    """The type in which frequencies are kept, if they are the expected ones but for its rounding; "" if not."""
    if len(mine) != len(expected):
        return ""
    fraction, exponent = np.frexp(expected)
    for name, bits in FLOATS.items():
        kept = np.ldexp(np.round(np.ldexp(fraction, bits + 1)), exponent - bits - 1)
        if (np.abs(kept - mine) <= near + 1e-6 * np.abs(expected)).all():
            return name
    return ""


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
