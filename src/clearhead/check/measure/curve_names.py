"""Curves of scores that have a formula: what stands in the place of a soft-cap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from clearhead.check.measure.laws import written
from clearhead.check.measure.parts import Array

CURVES: dict[str, Callable[[Array, float], Array]] = {
    "s * tanh(s / {c})": lambda s, c: s * np.tanh(s / c),
    "{c} * tanh(s)": lambda s, c: c * np.tanh(s),
    "s clipped to -{c} .. {c}": lambda s, c: np.clip(s, -c, c),
    "s / (1 + |s| / {c})": lambda s, c: s / (1 + np.abs(s) / c),
    "s / sqrt(1 + (s / {c})**2)": lambda s, c: s / np.sqrt(1 + (s / c) ** 2),
    "{c} * arctan(s / {c})": lambda s, c: c * np.arctan(s / c),
    "{c} * (2 / (1 + exp(-s / {c})) - 1)": lambda s, c: c * np.tanh(s / (2 * c)),
    "sign(s) * |s|**{c}": lambda s, c: np.sign(s) * np.abs(s) ** c,
    "sign(s) * log(1 + |s|)": lambda s, _: np.sign(s) * np.log1p(np.abs(s)),
}
"""Formulas of a scaled score s, with one constant."""

CLOSE = 3e-3
"""How near, relative to each score, a curve must be."""

GRID = np.geomspace(0.05, 2000, 240)
"""The constants that are tried first."""


class CurveName(Struct, frozen=True):
    """A formula of a scaled score s, with its constant."""

    formula: str
    constant: float

    def __str__(self) -> str:
        return self.formula.replace("{c}", written(self.constant))

    def __call__(self, s: Array) -> Array:
        """The formula of these scores."""
        return CURVES[self.formula](s, self.constant)


def curve_name(lengths: Array, scores: Array, slope: float, cap: float) -> CurveName | None:
    """The formula of scores along queries of growing length; None if none is known.

    Args:
        lengths: the lengths of the query.
        scores: the scores; NaN where they are not seen.
        slope: how much the scaled score, before any curve, grows with the length.
        cap: the soft-cap that is expected; NaN for none.
    """
    seen = np.isfinite(scores) & (scores != 0)
    s, y = slope * lengths[seen], scores[seen]
    if len(y) < 6 or not y.any():
        return None
    for formula, curve in CURVES.items():
        constants = GRID if np.isnan(cap) else np.concatenate([[cap], GRID])
        c, off = _best(curve, s, y, constants)
        for _ in range(8):
            near, closer = _best(curve, s, y, c * np.linspace(0.97, 1.03, 61) if off > CLOSE / 10 else np.array([c]))
            c, off = (near, closer) if closer < off else (c, off)
        if off < CLOSE:
            return CurveName(formula, float(f"{c:.3g}"))
    return None


def _best(curve: Callable[[Array, float], Array], s: Array, y: Array, constants: Array) -> tuple[float, float]:
    """The constant that comes nearest, and how far it is off."""
    with np.errstate(all="ignore"):
        off = [float((np.abs(curve(s, c) - y) / np.abs(y)).max()) for c in constants]
    best = int(np.argmin(off))
    return float(constants[best]), off[best]
