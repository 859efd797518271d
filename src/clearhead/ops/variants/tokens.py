"""What people do otherwise to each token by itself."""

from __future__ import annotations

from clearhead.expr import call, formula, indices
from clearhead.ops.operation import Array, Namespace, operation

i, m = indices("i m")


@operation(lambda: formula("i m -> i m", lambda x: x[i, m] / (1 + call("exp", -1.702 * x[i, m]))))
def gelu_sigmoid(xp: Namespace, x: Array) -> Array:
    """GELU by its sigmoid approximation (Hendrycks and Gimpel 2016, section 2), also called quick GELU."""
    part = xp.exp(-1.702 * xp.abs(x))
    return x * xp.where(x < 0, part, 1.0) / (1 + part)
