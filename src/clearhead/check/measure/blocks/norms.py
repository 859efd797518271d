"""A norm by itself: what it takes off, how its size follows that of its input, its eps, its gain and its bias."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

from clearhead.check.calls.task import Arrays, Task
from clearhead.check.measure.access import Refused
from clearhead.check.measure.blocks.access import Run
from clearhead.check.measure.blocks.outline import lines_of, roles, tokens_taken
from clearhead.check.measure.parts import Array

SHIFT = 3.0
"""What is added to all features to see what becomes of the mean."""

LARGE, TINY = 1e3, 1e-9
"""How large and how small inputs are where the growth and eps of a norm are measured."""

CLOSE = 1e-3
"""How near a measured curve must be to one that has a name."""


class NormArrays(Struct, frozen=True):
    """What a norm takes: its tokens, its gain and its bias, "" where it has none that are given to it."""

    tokens: str
    gain: str
    bias: str


class NormSeen(Struct, frozen=True):
    """What was measured of a norm.

    Attributes:
        centred: whether the mean of a token is taken off.
        about_mean: whether it divides by the spread about the mean, and not by the mean square.
        growth: how often the output doubles where a large input does.
        size: the root of the mean square of large outputs, relative to inputs to the power of ``growth``.
        eps: what is added to the mean square, or to its root; None where nothing is.
        outside: whether it is added to the root.
        gain: how the gain is used: ``"y*g"``, ``"y*(1+g)"``, ``"y"``, or ``"?"``; "" where there is none to give.
        bias: how the bias is used: ``"y+b"``, ``"y"`` or ``"?"``; "" where there is none to give.
    """

    centred: bool
    about_mean: bool
    growth: float
    size: float
    eps: float | None
    outside: bool
    gain: str
    bias: str


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


def measure_norm(f: Run, names: NormArrays, arrays: Arrays) -> NormSeen | None:
    """Measures a norm on these tokens; None where it does not run on some inputs, or gives no numbers."""
    try:
        found = _Measuring(f, names, arrays).seen()
    except Refused:
        return None
    return found if np.isfinite([found.growth, found.size]).all() else None


class _Measuring:
    """One norm in the measuring."""

    def __init__(self, f: Run, names: NormArrays, arrays: Arrays) -> None:
        self.f = f
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
        bound = CLOSE * np.abs(shifted).max()
        centred = bool(np.abs(shifted - y).max() < bound)
        large, larger = (_root(self.at(factor * self.x)) for factor in (LARGE, 2 * LARGE))
        growth = float(np.round(np.median(np.log2(larger / large)), 3)) + 0.0
        follows = SHIFT * (_root(y) / _root(self.x))[..., None]  # where the shift changes no divisor
        about_mean = centred or (
            abs(growth - 1) > CLOSE and bool(np.abs(shifted - y - follows * np.sign(y * self.x)).max() < bound)
        )
        off = self.x - self.x.mean(-1, keepdims=True)
        top, root = _root(off if centred else self.x), _root(off if about_mean else self.x)
        size = float(np.median(large / (LARGE * top) / (LARGE * root) ** (growth - 1)))
        eps, outside = self._eps(top, root, growth - 1, size)
        gain = self._gain()
        size = size / 2 if gain == "y*(1+g)" else size
        return NormSeen(centred, about_mean, growth, size, eps, outside, gain, self._bias())

    def _eps(self, top: Array, root: Array, power: float, size: float) -> tuple[float | None, bool]:
        """What is added, from the slope at tiny inputs; and where, from the input at which it counts half."""
        slope = float(np.median(_root(self.at(TINY * self.x)) / (TINY * top)))
        alone = size * float(np.median(TINY * root)) ** power
        if abs(power) < CLOSE or not 0 < slope < np.inf or np.isclose(slope, alone, rtol=CLOSE):
            return None, False
        added = (slope / size) ** (1 / power)
        scale = added / root
        middle = float(np.median(_root(self.at(self.x * scale[..., None])) / (scale * top) / (size * added**power)))
        return (added, True) if abs(middle - 2**power) < abs(middle - 2 ** (power / 2)) else (added**2, False)

    def _gain(self) -> str:
        if not self.names.gain:
            return ""
        g = np.random.default_rng(4).normal(size=self.x.shape[-1])
        one, none, some = (self.at(self.x, gain=each) for each in (0 * g + 1, 0 * g, g))
        bound = CLOSE * np.abs(one).max()
        if np.allclose(none, one, atol=bound) and np.allclose(some, one, atol=bound):
            return "y"
        if np.abs(none).max() < bound:
            return "y*g" if np.allclose(some, one * g, atol=bound) else "?"
        return "y*(1+g)" if np.allclose(some, none * (1 + g), atol=bound) else "?"

    def _bias(self) -> str:
        if not self.names.bias:
            return ""
        b = np.random.default_rng(5).normal(size=self.x.shape[-1])
        moved = self.at(self.x, bias=b) - self.at(self.x)
        if np.abs(moved).max() < CLOSE * np.abs(b).max():
            return "y"
        return "y+b" if np.allclose(moved, np.broadcast_to(b, moved.shape), atol=CLOSE) else "?"


def _root(x: Array) -> Array:
    """The root of the mean square of each token."""
    return np.asarray(np.sqrt((x * x).mean(-1)))


def rebuilt(seen: NormSeen, names: NormArrays, arrays: Arrays) -> Array | None:
    """The norm that was measured, on other tokens; None where a part of it is unknown."""
    if "?" in (seen.gain, seen.bias):
        return None
    x = arrays[names.tokens]
    c = x - x.mean(-1, keepdims=True) if seen.centred else x
    off = x - x.mean(-1, keepdims=True) if seen.about_mean else x
    square = (off * off).mean(-1, keepdims=True)
    eps = seen.eps or 0.0
    root = np.sqrt(square) + eps if seen.outside else np.sqrt(square + eps)
    y = seen.size * c * root ** (seen.growth - 1)
    gain = {"y*g": lambda g: g, "y*(1+g)": lambda g: 1 + g}.get(seen.gain)
    y = y * gain(arrays[names.gain]) if gain else y
    return np.asarray(y + arrays[names.bias] if seen.bias == "y+b" else y)


ASPECTS: dict[str, tuple[str, ...]] = {
    "norm mean": ("centred", "about_mean"), "norm growth": ("growth",), "norm size": ("size",),
    "norm eps": ("eps", "outside"), "norm gain": ("gain",), "norm bias": ("bias",),
}  # fmt: skip
"""The parts of a norm, the most basic first, by what is measured of each."""


def aspects(seen: NormSeen) -> dict[str, tuple[Any, ...]]:
    """The parts of a norm by name; what has no meaning is left out."""
    found = {name: tuple(getattr(seen, each) for each in fields) for name, fields in ASPECTS.items()}
    if abs(seen.growth) > CLOSE:
        found.pop("norm size")
    return {name: values for name, values in found.items() if values != ("",)}
