"""Laws: how a number depends on the sizes, and how people would write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isclose, log, sqrt

import numpy as np
from msgspec import Struct

Sizes = Mapping[str, int]

LAWS: dict[str, Callable[[Sizes], float]] = {
    "": lambda _: 1.0,
    "1/sqrt(depth)": lambda z: z["depth"] ** -0.5,
    "1/depth": lambda z: 1 / z["depth"],
    "sqrt(depth)": lambda z: z["depth"] ** 0.5,
    "depth": lambda z: float(z["depth"]),
    "1/depth**0.25": lambda z: z["depth"] ** -0.25,
    "1/sqrt(head*depth)": lambda z: (z["head"] * z["depth"]) ** -0.5,
    "1/sqrt(head)": lambda z: z["head"] ** -0.5,
    "1/sqrt(key)": lambda z: z["key"] ** -0.5,
    "1/key": lambda z: 1 / z["key"],
    "log(key)/sqrt(depth)": lambda z: log(z["key"]) * z["depth"] ** -0.5,
    "1/sqrt(model)": lambda z: z["model"] ** -0.5,
}
"""What a number may be proportional to, the simplest first."""

READINGS: dict[str, float] = {
    "sqrt(2)": sqrt(2), "1/sqrt(2)": 1 / sqrt(2), "ln 2": log(2), "1/ln 2": 1 / log(2), "1/sqrt(3)": 1 / sqrt(3),
    "pi": np.pi, "1/pi": 1 / np.pi, "e": np.e, "1/e": 1 / np.e,
}  # fmt: skip
"""Constants that people write, besides whole numbers, their inverses and the inverses of their roots."""

CLOSE = 1e-4
MAX_WHOLE = 65536


class Law(Struct, frozen=True):
    """A number that is ``factor`` times what ``of`` says: ``Law(2.0, "1/sqrt(depth)")``; "" for a fixed number."""

    factor: float
    of: str = ""

    def __call__(self, sizes: Sizes) -> float:
        """The number at these sizes."""
        return self.factor * LAWS[self.of](sizes)

    def __str__(self) -> str:
        """The law as a formula: ``0.5``, ``1/sqrt(depth)``, ``2/sqrt(depth)``, ``1.37 * 1/depth``."""
        if not self.of:
            return written(self.factor)
        if isclose(self.factor, 1.0, rel_tol=CLOSE):
            return self.of
        if self.of.startswith("1/"):
            return f"{written(self.factor)}/{self.of[2:]}"
        return f"{written(self.factor)}*{self.of}"


def written(value: float) -> str:
    """A number with six digits, without those that are noise."""
    snapped = round(value) if np.isfinite(value) else 0
    return str(snapped) if snapped and isclose(value, snapped, rel_tol=1e-6) else f"{value:.6g}"


def constant(value: float) -> float:
    """The constant of `READINGS` that a number is, or the number with six digits."""
    return next((each for each in READINGS.values() if isclose(value, each, rel_tol=1e-6)), float(f"{value:.6g}"))


def law_of(values: Sequence[float], sizes: Sequence[Sizes], tolerance: float = 0.0) -> Law | None:
    """The simplest law that numbers at several sizes follow; None if none does, or the sizes cannot tell.

    Args:
        values: one number for each of ``sizes``.
        sizes: the sizes at which they were measured.
        tolerance: how much the numbers may be off, relative to their size.
    """
    numbers = np.asarray(values, float)
    if not len(numbers) or not np.isfinite(numbers).all():
        return None
    fits = []
    for of, follows in LAWS.items():
        try:
            factors = numbers / np.array([follows(each) for each in sizes])
        except (KeyError, ZeroDivisionError):
            continue
        if np.isfinite(factors).all() and np.ptp(factors) <= (2 * CLOSE + tolerance) * np.abs(factors).max():
            fits.append(Law(float(np.median(factors)), of))
    if not fits or not _varies(sizes):
        return None
    plain = [each for each in fits if isclose(abs(each.factor), 1.0, rel_tol=2 * CLOSE + tolerance)]
    return fits[0] if not fits[0].of else (plain or fits)[0]


def _varies(sizes: Sequence[Sizes]) -> bool:
    """Whether depths and keys differ enough between the sizes to determine a law."""
    return len({each.get("depth") for each in sizes}) > 1


def reading(value: float) -> str:
    """A likely form of a number: ``0.125`` as ``1/8 = 1/sqrt(64)``; "" if no form is simpler."""
    size = abs(value)
    sign = "-" if value < 0 else ""
    if size == 0 or not np.isfinite(size):
        return ""
    found = []
    if size < 1:
        inverse, square = 1 / size, 1 / size**2
        found += [f"1/{round(inverse)}"] if _whole(inverse) else []
        found += [f"1/sqrt({round(square)})"] if _whole(square) else []
    elif not _whole(size) and _whole(size**2):
        found.append(f"sqrt({round(size**2)})")
    found += [name for name, constant in READINGS.items() if isclose(size, constant, rel_tol=CLOSE)]
    return " = ".join(sign + each for each in [*dict.fromkeys(found)][:2])


def _whole(value: float) -> bool:
    return value <= MAX_WHOLE and round(value) > 0 and isclose(value, round(value), rel_tol=1e-6)
