"""The complementary error function, which the array API lacks.

W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969): three ranges, relative
error below 6e-19 before rounding. PyTorch's and JAX's own functions serve their arrays, so that gradients flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import pi, sqrt
from typing import Any

Ratio = tuple[Sequence[float], Sequence[float]]
"""The coefficients of numerator and denominator, highest power first."""

NEAR: Ratio = (
    (
        1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)  # fmt: skip
MIDDLE: Ratio = (
    (
        2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
        2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
        3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
    ),
)  # fmt: skip
FAR: Ratio = (
    (
        1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
        1.60837851487422766e-2, 6.58749161529837803e-4,
    ),
    (
        1.0, 2.56852019228982242e0, 1.87295284992346047e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)  # fmt: skip
NEAR_ENDS, FAR_BEGINS = 0.46875, 4.0


def erfc(xp: Any, x: Any) -> Any:
    """1 - erf(x) for every value of an array, exact to rounding also where it is small."""
    if "torch" in xp.__name__:
        return x.erfc()
    if "jax" in xp.__name__:
        from jax.scipy.special import erfc as jax_erfc

        return jax_erfc(x)
    size = xp.abs(x)
    near = xp.where(size < NEAR_ENDS, x, 0.0)
    middle = xp.where(size < FAR_BEGINS, size, FAR_BEGINS)
    far = xp.where(size < FAR_BEGINS, FAR_BEGINS, size)
    inverse = 1 / (far * far)
    tail = xp.where(
        size < FAR_BEGINS,
        _ratio(middle, MIDDLE),
        (1 / sqrt(pi) - inverse * _ratio(inverse, FAR)) / far,
    )
    tail = xp.exp(-size * size) * tail
    return xp.where(size < NEAR_ENDS, 1 - near * _ratio(near * near, NEAR), xp.where(x < 0, 2 - tail, tail))


def _ratio(x: Any, coefficients: Ratio) -> Any:
    return _polynomial(x, coefficients[0]) / _polynomial(x, coefficients[1])


def _polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    result = x * coefficients[0] + coefficients[1]
    for coefficient in coefficients[2:]:
        result = result * x + coefficient
    return result
