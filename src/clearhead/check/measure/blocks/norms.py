"""A norm by itself: what it subtracts, how its size depends on that of its input, its eps, its gain and its bias."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.check.calls.task import Arrays, Task
from clearhead.check.measure.access import Refused
from clearhead.check.measure.blocks.access import Run
from clearhead.check.measure.blocks.outline import lines_of, roles, tokens_taken
from clearhead.check.measure.parts import Array
from clearhead.check.precision.arithmetic import TYPES

SHIFT = 3.0
"""What is added to all features to see whether the mean is subtracted."""

SHIFTED = 0.02
"""How far outputs may be off after that, relative to the largest: eps may change a little with it."""

LARGE, TINY = 1e3, 1e-9
"""How large and how small inputs are where the growth and eps of a norm are measured."""

CLOSE = 1e-3
"""How near a measured curve must be to one that has a name."""

EXACT, NOISE = 1e-8, 30
"""How far a norm that was measured may be off on other inputs: relative to its size, or in tolerances of the trial."""

CASTS = {each.name: each.round for each in reversed(TYPES)}
"""Numbers as types with fewer bits keep them, those with the fewest first."""

UNITS = {each.name: each.unit for each in TYPES}
"""How far they may be off by that."""

PLACES: dict[str, Callable[[Array, float], Array]] = {
    "inside": lambda root, eps: np.sqrt(root**2 + eps**2),
    "outside": lambda root, eps: root + eps,
    "bound": np.maximum,
}
"""The divisor of a token by where eps is: added to the mean square (as its root here), added to the root, or a least
divisor."""


GAINS: dict[str, Callable[[Array], Array]] = {
    "y*g": lambda g: g,
    "y*(1+g)": lambda g: 1 + g,
    "y": np.ones_like,
    "y*exp(g)": np.exp,
    "y*|g|": np.abs,
    "y*g**2": lambda g: g * g,
    "y*sigmoid(g)": lambda g: 1 / (1 + np.exp(-g)),
    "y*softplus(g)": lambda g: np.logaddexp(0, g),
    "y*g[0]": lambda g: np.broadcast_to(g[..., :1], g.shape),
    "y*g[::-1]": lambda g: g[..., ::-1],
    "y*g in the first half of the features, y in the second": lambda g: _in_half(g, first=True),
    "y in the first half of the features, y*g in the second": lambda g: _in_half(g, first=False),
}
"""What normed features are multiplied by, from the gain."""

AHEAD = "norm(x*g)"
"""The use of a gain that multiplies tokens before they are normed."""


ODD = {
    "subtracts": "Another number than the mean is subtracted from each token, or added to it.",
    "alone": "Each feature of the output follows that feature of the token alone: nothing is normed over the features.",
    "divides": "The features of a token are not all divided by the same number.",
}
"""What a function does that is no norm of each token over its features."""


class NormArrays(Struct, frozen=True):
    """The arguments of a norm: its tokens, its gain and its bias, "" where it takes none."""

    tokens: str
    gain: str
    bias: str


class NormSeen(Struct, frozen=True):
    """What was measured of a norm.

    Attributes:
        centred: whether the mean of a token is subtracted.
        about_mean: whether it divides by the spread about the mean, not by the mean square.
        growth: the power of a large input's size that the output follows.
        size: the root of the mean square of large outputs, relative to inputs to the power of ``growth``.
        eps: what is added to the mean square, or to its root; None where nothing is.
        place: where it is added: ``"inside"`` the root, ``"outside"`` of it; ``"bound"`` where it is the least mean
            square instead; ``"largest"`` where it is added after tokens are divided by their largest number; ``"?"``
            for another curve, or an eps that follows the inputs in another way; ``"inside"`` where there is none.
        rounding: the type to which the mean square is rounded, ``"?"`` where it is off in another way; "" for neither.
        by: what tokens are divided by where they are large: the root of their mean square, or another measure.
        gain: how the gain is used: one of `GAINS`, `AHEAD` or ``"?"``; "" where it takes none.
        bias: how the bias is used: ``"y+b"``, ``"(y+b)*g"``, ``"y"`` or ``"?"``; "" where it takes none.
        width: at how many features it was measured.
        odd: "" for each token, perhaps minus its mean, divided by a number of its own; or one of `ODD`, of which
            no more is known.
    """

    centred: bool
    about_mean: bool
    growth: float
    size: float
    eps: float | None
    place: str
    rounding: str
    by: str
    gain: str
    bias: str
    width: int
    odd: str = ""

    @property
    def is_sample(self) -> bool:
        """Whether the size is that of the deviation of a sample, divided by n - 1."""
        return self.width > 1 and bool(np.isclose(self.size, ((self.width - 1) / self.width) ** 0.5, rtol=CLOSE))

    @property
    def is_summed(self) -> bool:
        """Whether the size is that of squares that are summed, and not averaged."""
        return self.width > 1 and bool(np.isclose(self.size, self.width**-0.5, rtol=CLOSE))

    def size_at(self, width: int) -> float:
        """The same size at another number of features."""
        if self.is_summed:
            return float(width**-0.5)
        return float(((width - 1) / width) ** 0.5) if self.is_sample else self.size


def norm_arrays(task: Task) -> NormArrays | None:
    """The arrays of a task that is one norm; None of others."""
    taken = tokens_taken(task)
    if not roles(task) <= {"norm", "gain"} or len(list(lines_of(task, "norm"))) != 1 or len(taken) != 1:
        return None
    affine = next(lines_of(task, "gain"), None)
    gain, bias = (affine.operands[at : at + 1] if affine else () for at in (1, 2))
    if not {*gain, *bias} <= set(task.takes):
        return None
    return NormArrays(taken[0], *gain, *bias) if gain and bias else NormArrays(taken[0], "".join(gain), "")


def measure_norm(f: Run, names: NormArrays, arrays: Arrays, eps: float) -> NormSeen | None:
    """Measures a norm of this precision on these tokens; None where it does not run, or gives no numbers."""
    try:
        found = _Measuring(f, names, arrays, eps).seen()
    except Refused:
        return None
    return found if np.isfinite([found.growth, found.size]).all() else None


class _Curve:
    """The size of each token, and how its norm follows it: ``size * top * divisor ** power``, times a gain of ones."""

    def __init__(self, top: Array, root: Array, power: float, unit: Array) -> None:
        self.top = top
        self.root = root
        self.power = power
        self.size = 1.0
        self.unit = unit

    @property
    def is_sized(self) -> bool:
        """Whether the size is one that is known exactly."""
        return self.size in (1.0, *_sizes(self.top.size))


class _Measuring:
    """One norm that is measured."""

    def __init__(self, f: Run, names: NormArrays, arrays: Arrays, eps: float) -> None:
        self.f = f
        self.eps = eps
        self.names = names
        self.x = arrays[names.tokens]
        width = self.x.shape[-1]
        self.plain = {**arrays, **({names.gain: np.ones(width)} if names.gain else {}),
                      **({names.bias: np.zeros(width)} if names.bias else {})}  # fmt: skip

    def at(self, x: Array, **more: Array) -> Array:
        """The output of tokens, with a gain of 1 and no bias if not said otherwise."""
        named = {getattr(self.names, role): array for role, array in more.items()}
        return self.f.last({**self.plain, self.names.tokens: x, **named})

    def seen(self) -> NormSeen:
        """All of it."""
        y, shifted = self.at(self.x), self.at(self.x + SHIFT)
        gain = self._gain()
        unit = GAINS.get(gain, np.ones_like)(np.ones_like(self.x))
        bound = SHIFTED * np.abs(shifted).max()
        unmoved = bool(np.abs(shifted - y).max() < bound)
        centred = unmoved or bool(np.abs(shifted.mean(-1)).max() < CLOSE * np.abs(shifted).max())
        odd = self._odd(y / unit, centred=centred)
        large, larger = (_root(self.at(factor * self.x)) for factor in (LARGE, 2 * LARGE))
        growth = float(np.round(np.median(np.log2(larger / large)), 3)) + 0.0
        follows = SHIFT * (_root(y) / _root(self.x))[..., None]  # where the shift changes no divisor
        about_mean = unmoved or (
            abs(growth - 1) > CLOSE and bool(np.abs(shifted - y - follows * np.sign(y * self.x)).max() < bound)
        )
        off = self.x - self.x.mean(-1, keepdims=True)
        curve = _Curve(_root(off if centred else self.x), _root(off if about_mean else self.x), growth - 1, unit)
        sizes = _root(self.at(LARGE * self.x) / unit) / (LARGE * curve.top) / (LARGE * curve.root) ** curve.power
        off = self.x - self.x.mean(-1, keepdims=True) if about_mean else self.x
        if by := _measure(sizes ** (1 / curve.power) * curve.root if curve.power else sizes, sizes, off):
            return NormSeen(
                centred, about_mean, growth, 1.0, None, "?", "", by, gain, self._bias(), self.x.shape[-1], odd
            )
        curve.size = _snapped(sizes, self.x.shape[-1])
        eps, place = self._eps(curve)
        rounding = self._rounding(curve, eps, place)
        return NormSeen(centred, about_mean, growth, curve.size, eps, place, rounding, ROOT, gain, self._bias(),
                        self.x.shape[-1], odd)  # fmt: skip

    def _odd(self, y: Array, *, centred: bool) -> str:
        """What is done to tokens that are no multiples of what came, perhaps minus its mean; "" to those that are."""
        off = self.x - self.x.mean(-1, keepdims=True)
        if _is_multiple(y, off if centred else self.x):
            return ""
        if _is_multiple(y - y.mean(-1, keepdims=True), off):
            return "subtracts"
        moved = self.at(self.x + SHIFT * np.eye(self.x.shape[-1])[0]) - self.at(self.x)
        return "alone" if np.abs(moved[..., 1:]).max() < CLOSE * np.abs(moved).max() else "divides"

    def _divisors(self, curve: _Curve, scale: Array | float) -> Array:
        """What each token is divided by where it is ``scale`` times as large."""
        y = _root(self.at(self.x * np.reshape(scale, (*np.shape(scale), 1))) / curve.unit)
        with np.errstate(all="ignore"):
            return np.asarray((y / (curve.size * scale * curve.top)) ** (1 / curve.power))

    def _eps(self, curve: _Curve) -> tuple[float | None, str]:
        """The eps, from the divisor of tiny inputs; and its place, from that of inputs as large as the eps."""
        if abs(curve.power) < CLOSE:
            return None, "inside"
        least = float(np.median(self._divisors(curve, TINY)))
        if not 0 < least < np.inf or np.isclose(least, TINY * np.median(curve.root), rtol=0.5):
            return self._following(curve)
        middle = float(np.median(self._divisors(curve, least / curve.root) / least))
        near = {name: abs(float(divisor(np.ones(()), 1.0)) - middle) for name, divisor in PLACES.items()}
        place = min(near, key=near.__getitem__)
        place = place if near[place] < 10 * CLOSE else "?"
        small = TINY * float(np.median(curve.root))
        added = {"inside": least**2 - small**2, "outside": least - small}
        return added.get(place, least**2), place

    def _following(self, curve: _Curve) -> tuple[float | None, str]:
        """An eps that grows with the inputs: relative to the largest number of a token, or in another way."""
        more = self._divisors(curve, 1.0) ** 2 - curve.root**2
        if np.abs(more).max() < NOISE * self.eps * (curve.root**2).max() or not curve.is_sized:
            return None, "inside"
        for x in (self.x, self.x - self.x.mean(-1, keepdims=True)):
            shares = more / (x**2).max(-1)
            if np.ptp(shares) < 10 * CLOSE * np.abs(shares).max() and shares.min() > 0:
                return float(np.median(shares)), "largest"
        return None, "inside"

    def _rounding(self, curve: _Curve, eps: float | None, place: str) -> str:
        """The type to which the mean square is rounded; "" where it is not, or where that is not known."""
        if place != "inside" or abs(curve.power) < CLOSE or not curve.is_sized:
            return ""
        squares = self._divisors(curve, 1.0) ** 2
        bound = NOISE * self.eps
        if np.abs(squares / (curve.root**2 + (eps or 0.0)) - 1).max() < bound:
            return ""
        for name, cast in CASTS.items():
            if any(np.abs(cast(each) / each - 1).max() < bound for each in (squares, squares - (eps or 0.0))):
                return name
        return "?"

    def _gain(self) -> str:
        if not self.names.gain:
            return ""
        g = np.random.default_rng(4).normal(size=self.x.shape[-1])
        one, none, some = (self.at(self.x, gain=each) for each in (0 * g + 1, 0 * g, g))
        bound = CLOSE * max(np.abs(each).max() for each in (one, none, some))
        for name, used in GAINS.items():
            unit = used(0 * g + 1)
            if all(np.allclose(y * unit, one * used(each), atol=bound) for y, each in ((none, 0 * g), (some, g))):
                return name
        return AHEAD if np.allclose(some, self.at(self.x * g), atol=bound) else "?"

    def _bias(self) -> str:
        if not self.names.bias:
            return ""
        b = np.random.default_rng(5).normal(size=self.x.shape[-1])
        moved = self.at(self.x, bias=b) - self.at(self.x)
        if np.abs(moved).max() < CLOSE * np.abs(b).max():
            return "y"
        g = np.random.default_rng(4).normal(size=self.x.shape[-1])
        both = self.at(self.x, gain=g, bias=b) - self.at(self.x, gain=g) if self.names.gain else moved
        if self.names.gain and np.allclose(both, np.broadcast_to(g * b, both.shape), atol=CLOSE):
            return "(y+b)*g"
        return "y+b" if np.allclose(moved, np.broadcast_to(b, moved.shape), atol=CLOSE) else "?"


def _measure(divisors: Array, sizes: Array, x: Array) -> str:
    """What large tokens are divided by, if it is not the root of their mean square; "" where it is, or nearly."""
    if np.ptp(sizes) < SHIFTED * np.abs(sizes).max():
        return ""
    for says, measure in MEASURES.items():
        shares = divisors / measure(np.abs(x))
        if np.ptp(shares) < 10 * CLOSE * np.abs(shares).max():
            return says
    return "another measure of each token"


ROOT = "the root of the mean square"

MEASURES: dict[str, Callable[[Array], Array]] = {
    "the mean of the absolute values": lambda x: np.asarray(x.mean(-1)),
    "the largest absolute value": lambda x: np.asarray(x.max(-1)),
}
"""What a norm may divide by instead, up to a number that is the same for all tokens."""


def _sizes(width: int) -> tuple[float, ...]:
    """The sizes of a normed token that are known exactly: of a variance over n - 1, and of a sum of squares."""
    return (((width - 1) / width) ** 0.5, width**-0.5) if width > 1 else ()


def _snapped(sizes: Array, width: int) -> float:
    """The size of normed tokens: one that is known exactly, where theirs are as near to it as to each other."""
    size = float(np.median(sizes))
    near = max(CLOSE, float(np.ptp(sizes)))
    return next((each for each in (1.0, *_sizes(width)) if np.isclose(size, each, rtol=near)), size)


def _is_multiple(y: Array, x: Array) -> bool:
    """Whether each token of ``y`` is a multiple of that of ``x``."""
    times = (x * y).sum(-1, keepdims=True) / (x * x).sum(-1, keepdims=True)
    return bool(np.abs(y - times * x).max() < SHIFTED * np.abs(y).max())


def _in_half(g: Array, *, first: bool) -> Array:
    """The gain in one half of the features, 1 in the other."""
    return np.where((np.arange(g.shape[-1]) < g.shape[-1] // 2) == first, g, 1.0)


def _root(x: Array) -> Array:
    """The root of the mean square of each token."""
    return np.asarray(np.sqrt((x * x).mean(-1)))


def rebuilt(seen: NormSeen, names: NormArrays, arrays: Arrays) -> Array | None:
    """The norm that was measured, on other tokens; None where a part of it is unknown."""
    if "?" in (seen.gain, seen.bias, seen.place, seen.rounding) or seen.odd:
        return None
    x = arrays[names.tokens]
    gain, bias = (arrays[name] if name else np.zeros(()) for name in (names.gain, names.bias))
    x = x * gain if seen.gain == AHEAD else x
    c = x - x.mean(-1, keepdims=True) if seen.centred else x
    off = x - x.mean(-1, keepdims=True) if seen.about_mean else x
    y = seen.size_at(x.shape[-1]) * c * _divisor(seen, x, off) ** (seen.growth - 1)
    y = y * GAINS[seen.gain](gain) if seen.gain in GAINS else y
    return np.asarray(y + {"y+b": bias, "(y+b)*g": bias * gain}.get(seen.bias, 0.0))


def _divisor(seen: NormSeen, x: Array, off: Array) -> Array:
    """What tokens are divided by, from what they are and how far they are from their mean."""
    square = (off * off).mean(-1, keepdims=True)
    width = x.shape[-1]
    more = (seen.size_at(width) / seen.size) ** (1 if seen.place == "outside" else 2) * (seen.eps or 0.0)
    square = CASTS[seen.rounding](square) if seen.rounding else square
    if seen.eps is None:
        return np.asarray(np.sqrt(square))
    if seen.place == "largest":
        return np.asarray(np.sqrt(square + more * (x * x).max(-1, keepdims=True)))
    return np.asarray(PLACES[seen.place](np.sqrt(square), more if seen.place == "outside" else more**0.5))


def is_near(y: Array, given: Array, near: float, unit: float = 0.0) -> bool:
    """Whether what is rebuilt gives these numbers, right within ``near``, with some rounding to this unit inside."""
    bound = max(EXACT, NOISE * near, 2 * unit) * max(float(np.abs(given).max()), 1e-30)
    return y.shape == given.shape and bool(np.abs(y - given).max() <= bound)


ASPECTS: dict[str, tuple[str, ...]] = {
    "norm mean": ("centred", "about_mean"), "norm divisor": ("by",), "norm growth": ("growth",), "norm size": ("size",),
    "norm eps": ("eps", "place"), "norm rounding": ("rounding",),
    "norm gain": ("gain",), "norm bias": ("bias",),
}  # fmt: skip
"""The parts of a norm, the most basic first, by what is measured of each."""


def aspects(seen: NormSeen) -> dict[str, tuple[Any, ...]]:
    """The parts of a norm by name; what has no meaning is left out."""
    found = {name: tuple(getattr(seen, each) for each in fields) for name, fields in ASPECTS.items()}
    if seen.eps is not None and (seen.is_sample or seen.is_summed):  # what is added to a larger root counts for less
        found["norm eps"] = (seen.eps / seen.size ** (1 if seen.place == "outside" else 2), seen.place)
    if abs(seen.growth) > CLOSE or seen.by != ROOT:
        found.pop("norm size")
    if seen.by != ROOT:
        found.pop("norm eps")
        found.pop("norm rounding")
    if seen.rounding == "?":  # the divisor is off in a way that has no name, and so is the size
        found.pop("norm size", None)
    return {name: values for name, values in found.items() if values != ("",) or name == "norm rounding"}
