"""The curve of a hidden cell: the formula that gives it, known, or with factors that are fitted to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.check.measure.laws import constant, written
from clearhead.check.measure.parts import Array
from clearhead.spec.mlp import ACTIVATIONS

GRID = np.array([-4.0, -2.0, -0.7, -0.2, 0.0, 0.3, 1.0, 2.5, 5.0])
"""The inputs of a hidden cell."""

CLOSE, NOISE = 1e-7, 30
"""How near a curve must be to one that has a name: relative to its largest value, or in units of its precision."""

FACTORS = np.array([1.0, *np.geomspace(0.05, 20, 48)])
"""The factors of an activation's argument from which fitting starts."""

ROUGH, STARTS = 0.2, 6
"""Curves that are further off are not fitted, relative to the largest value; and how many are."""

ROUNDS = 60
"""The number of rounds in which a factor is narrowed down."""

TANH = (float(np.sqrt(2 / np.pi)), 0.044715)
"""The coefficients in the tanh form of GELU: that of the whole argument, and that of its cube in it."""

SHARES: dict[str, Callable[[Array], Any]] = {
    "gelu": lambda x: 2 * ACTIVATIONS["gelu"](np.where(x == 0, 1, x)) / np.where(x == 0, 1, x) * (x != 0) - (x != 0),
    "gelu-tanh": lambda x: np.tanh(TANH[0] * (x + TANH[1] * x**3)),
}
"""What is added to 1 in GELU, x/2 * (1 + ...): an error function, or a hyperbolic tangent."""

STEEP, NEAR = 0.999, 1e-4
"""Shares beyond this count as 1; and how near a coefficient must be to a known one."""

OPERANDS: dict[str, Callable[[Array, Array], Array]] = {
    "x": lambda _, up: up,
    "gate": lambda gate, _: gate,
    "up": lambda _, up: up,
    "up + 1": lambda _, up: up + 1,
    "gate * up": lambda gate, up: gate * up,
    "gate + up": lambda gate, up: gate + up,
}
"""What an activation may be of, and what its result may be multiplied by."""

PLACES = (
    ("gate", "up"), ("up", "gate"), ("gate * up", ""), ("gate + up", ""), ("gate", ""), ("up", ""), ("gate", "up + 1"),
)  # fmt: skip
"""What an activation is of and what multiplies it, in an MLP with a gate."""


class Formula(Struct, frozen=True):
    """A hidden cell: ``times * act(factor * inner) * outer``.

    Attributes:
        act: the name of the activation; "" for none.
        apply: the activation.
        inner: what it is of, one of `OPERANDS`.
        outer: what multiplies it; "" for nothing.
        factor: what multiplies its argument.
        times: what multiplies its result.
        multiply: an activation of the other factor, where ``outer`` names one.
        note: what else its name says, at the end.
    """

    act: str
    apply: Callable[[Array], Any]
    inner: str
    outer: str = ""
    factor: float = 1.0
    times: float = 1.0
    multiply: Callable[[Array], Any] | None = None
    note: str = ""

    def __call__(self, gate: Array, up: Array) -> Array:
        """The results for these gates and other factors."""
        with np.errstate(over="ignore"):
            y = self.times * self.apply(self.factor * OPERANDS[self.inner](gate, up))
        if self.multiply:
            return np.asarray(y * self.multiply(up))
        return np.asarray(y * OPERANDS[self.outer](gate, up) if self.outer else y)

    @property
    def is_homogeneous(self) -> bool:
        """Whether twice the argument gives a multiple of the result, so that a factor may be anywhere."""
        return self.act in ("", "relu", "relu-squared") or self.act.startswith("leaky")

    @property
    def name(self) -> str:
        """The formula as text."""
        inner = self.inner if self.factor == 1 else f"{written(self.factor)} * {self._within(self.inner)}"
        outer = f" * {self._within(self.outer)}" if self.outer else ""
        if self.act == "silu" and self.factor != 1 and np.isclose(self.factor * self.times, 1):
            return f"{self._within(self.inner)} * sigmoid({inner}){outer}"
        if self.act == "gelu" and np.isclose([self.factor, self.factor * self.times], [2**0.5, 1]).all():
            return f"{self._within(self.inner)}/2 * (1 + erf({self.inner})){outer}"
        times = "" if self.times == 1 else f"{written(self.times)} * "
        if not self.act:
            return f"{times}{inner}{outer}" if self.outer else f"{times}{inner}, without an activation"
        return f"{times}{self.act}({inner}){outer}{self.note}"

    def _within(self, text: str) -> str:
        return f"({text})" if " " in text else text


def cells() -> tuple[Array, Array]:
    """The gates and the other factors of a hidden cell, in pairs."""
    gate, up = np.meshgrid(GRID, GRID, indexing="ij")
    return gate.reshape(-1), up.reshape(-1)


def formula_of(curve: Array, *, gated: bool, eps: float) -> Formula | None:
    """The formula of this curve, for numbers of this relative precision; None if it has none."""
    bound = max(CLOSE, NOISE * eps) * max(float(np.abs(curve).max()), 1.0)
    known = list(_known(gated=gated))
    others = [*_cut(gated=gated), *(_doubled() if gated else ())]
    bent = (_leaking(curve, gated=gated), _clipped(curve, known), _fitted(curve, known), _bent(curve, gated=gated))
    for formulas in (known, others, *bent):
        for each in formulas:
            if _off(each, curve) < bound:
                return each
    return None


def after_of(result: Array, curve: Array, eps: float) -> str:
    """The activation that makes these results of a curve; "" if it is none that is known."""
    bound = max(CLOSE, NOISE * eps) * max(float(np.abs(result).max()), 1.0)
    return next((act for act, apply in _activations() if np.abs(apply(curve) - result).max() < bound), "")


def _off(formula: Formula, curve: Array) -> float:
    return float(np.abs(formula(*cells()) - curve).max())


def _known(*, gated: bool) -> Iterator[Formula]:
    for act, apply in _activations():
        for inner, outer in PLACES if gated else (("x", ""),):
            yield Formula(act, apply, inner, outer)


def _activations() -> Iterator[tuple[str, Callable[[Array], Any]]]:
    """The activations that are known, those of the package first."""
    yield from ACTIVATIONS.items()
    yield "sigmoid", lambda x: 1 / (1 + np.exp(-x))
    yield "elu", lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
    yield "softplus", lambda x: np.logaddexp(0, x)
    yield "mish", lambda x: x * np.tanh(np.logaddexp(0, x))
    yield "", lambda x: x


def _cut(*, gated: bool) -> Iterator[Formula]:
    """The forms of GELU with a piece of their text left out."""
    for act, share in SHARES.items():
        for inner, outer in PLACES if gated else (("x", ""),):
            yield Formula(act, partial(_half_of_sum, share), inner, outer, note=f" without the factor {inner} in front")
            yield Formula(act, partial(_half_of_product, share), inner, outer, note=' without "1 +"')


def _half_of_sum(share: Callable[[Array], Any], x: Array) -> Array:
    return np.asarray((1 + share(x)) / 2)


def _half_of_product(share: Callable[[Array], Any], x: Array) -> Array:
    return np.asarray(x * share(x) / 2)


def _leaking(curve: Array, *, gated: bool) -> Iterator[Formula]:
    """A leaky ReLU, whose slope follows from the curve."""
    for inner, outer in PLACES if gated else (("x", ""),):
        below, above = (Formula("", side, inner, outer)(*cells()) for side in (_negative, _positive))
        slope = float((below * (curve - above)).sum() / max(float((below * below).sum()), 1e-30))
        yield Formula(f"leaky relu of slope {written(slope)}", _Leaky(slope), inner, outer)


def _clipped(curve: Array, known: list[Formula]) -> Iterator[Formula]:
    """Known activations whose results are clipped, to the smallest and the largest that the curve has."""
    gate, up = cells()
    for each in known:
        times = OPERANDS[each.outer](gate, up) if each.outer else np.ones_like(up)
        with np.errstate(over="ignore"):
            whole = each.apply(OPERANDS[each.inner](gate, up))[times != 0]
        found = curve[times != 0] / times[times != 0]
        low, high = (float(f"{bound:.9g}") for bound in (found.min(), found.max()))
        bounds = {"least": low} if low > whole.min() + ROUGH else {}
        bounds |= {"most": high} if high < whole.max() - ROUGH else {}
        if bounds and each.act:
            note = f" with {each.act} at {' and '.join(f'{name} {written(bound)}' for name, bound in bounds.items())}"
            clipped = _Clipped(each.apply, bounds.get("least", -np.inf), bounds.get("most", np.inf))
            yield replace(each, apply=clipped, note=note)


def _bent(curve: Array, *, gated: bool) -> Iterator[Formula]:
    """The tanh form of GELU with other coefficients, which follow from the curve: x/2 * (1 + tanh(a*x + b*x**3))."""
    for inner, outer in PLACES if gated else (("x", ""),):
        gate, up = cells()
        x, times = OPERANDS[inner](gate, up), OPERANDS[outer](gate, up) if outer else np.ones_like(up)
        at = (x != 0) & (times != 0)
        share = 2 * curve[at] / (x * times)[at] - 1
        x, share = x[at][np.abs(share) < STEEP], share[np.abs(share) < STEEP]
        if len(np.unique(np.abs(x))) > len(TANH):
            (a, b), *_ = np.linalg.lstsq(np.stack([x, x**3], -1), np.arctanh(share), rcond=None)
            both = (_snapped(a), _snapped(b / a)) if a else (0.0, 0.0)
            said = [" and ".join(map(written, each)) for each in (both, TANH)]
            note = f" with coefficients {said[0]} and not {said[1]}"
            yield Formula("gelu-tanh", _Tanh(*both), inner, outer, note=note)


def _snapped(factor: float) -> float:
    """A coefficient as people write it, or the known one that it is."""
    near = (known for known in TANH if abs(known - factor) < NEAR * known)
    return next(near, float(f"{factor:.6g}"))


def _doubled() -> Iterator[Formula]:
    """Activations of both the gate and the other factor."""
    acts = [(act, apply) for act, apply in _activations() if act]
    for act, apply in acts:
        for other, outer in acts:
            yield Formula(act, apply, "gate", f"{other}(up)", multiply=outer)


def _negative(x: Array) -> Array:
    return np.minimum(x, 0)


def _positive(x: Array) -> Array:
    return np.maximum(x, 0)


class _Tanh(Struct, frozen=True):
    scale: float
    cubic: float

    def __call__(self, x: Array) -> Array:
        return np.asarray(x * (1 + np.tanh(self.scale * (x + self.cubic * x**3))) / 2)


class _Clipped(Struct, frozen=True):
    apply: Callable[[Array], Any]
    least: float
    most: float

    def __call__(self, x: Array) -> Array:
        return np.asarray(np.clip(self.apply(x), self.least, self.most))


class _Leaky(Struct, frozen=True):
    slope: float

    def __call__(self, x: Array) -> Array:
        return _positive(x) + self.slope * _negative(x)


def _fitted(curve: Array, known: list[Formula]) -> Iterator[Formula]:
    """Known activations times a number, of a multiple of their argument: both follow from the curve."""
    near = max(float(np.abs(curve).max()), 1e-30) * ROUGH
    own = [each for each in known if each.act != "gelu-sigmoid"]  # silu with factors
    tries = sorted((_times(each, factor, curve) for each in own for factor in FACTORS), key=lambda each: each[0])
    starts: dict[tuple[str, str, str], Formula] = {}
    for off, each in tries:
        if off < near:
            starts.setdefault((each.act, each.inner, each.outer), each)
    for each in list(starts.values())[:STARTS]:
        yield _narrowed(each, curve)


def _times(formula: Formula, factor: float, curve: Array) -> tuple[float, Formula]:
    """A formula with this factor, times the number that brings it nearest to the curve; and how far off it is."""
    plain = replace(formula, factor=float(factor), times=1.0)
    y = plain(*cells())
    size = float((y * y).sum())
    times = float((y * curve).sum() / size) if size else 1.0
    found = replace(plain, times=1.0 if np.isclose(times, 1, rtol=CLOSE) else times)
    return _off(found, curve), found


def _narrowed(formula: Formula, curve: Array) -> Formula:
    """A formula with the factor near its own that brings it nearest to the curve; a factor of 1 is kept."""
    if formula.factor == 1:
        return formula
    low, high = np.log(formula.factor) - 0.2, np.log(formula.factor) + 0.2
    for _ in range(ROUNDS):
        step = (high - low) / 3
        left, right = (_times(formula, np.exp(at), curve)[0] for at in (low + step, high - step))
        low, high = (low, high - step) if left < right else (low + step, high)
    found = float(np.exp((low + high) / 2))
    return _times(formula, constant(found), curve)[1]
