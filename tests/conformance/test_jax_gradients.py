"""Gradients of problems and of the options of specs against JAX, which differentiates the array code of their lines.

One in nine is compared here, all with EVERY=1 (`make gradients`).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from clearhead.backward import GRAD
from clearhead.problems import read_problem
from clearhead.working import Working

from ..options import OPTIONS, arrays_for
from ..test_backward import FORWARD

CASES = [*(("problem", name) for name in FORWARD), *(("option", name) for name in OPTIONS)]


def of_case(kind: str, name: str) -> tuple[Working, dict[str, np.ndarray]]:
    """The working of a case, and its arrays."""
    if kind == "problem":
        problem = read_problem(name)
        return problem.working(), problem.arrays
    working = OPTIONS[name].working()
    return working, arrays_for(working)


@pytest.mark.sweep(9)
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_gradients_are_those_of_jax(kind: str, name: str) -> None:
    """The gradients of a random function of the last line, by all given numbers, are JAX's to 1e-9."""
    working, arrays = of_case(kind, name)
    last = working.lines[-1].name
    pull = np.random.default_rng(3).normal(size=working.run(arrays)[last].shape)
    own = working.backward().run({**arrays, last + GRAD: pull} if working.axes[last] else arrays)
    with jax.enable_x64(True):
        given = {at: jnp.asarray(array) for at, array in arrays.items()}
        leaves = {at: array for at, array in given.items() if array.dtype == jnp.float64}

        def pulled(numbers: dict[str, jax.Array]) -> jax.Array:
            result = working.run({**given, **numbers})[last]
            return (result * pull).sum() if working.axes[last] else result

        theirs = {at: np.asarray(grad) for at, grad in jax.grad(pulled)(leaves).items()}
    assert theirs.keys() == {at for at, array in arrays.items() if array.dtype.kind == "f"}
    for at, grad in theirs.items():
        mine = own[at + GRAD].reshape(-1, *grad.shape).sum(0)
        np.testing.assert_allclose(mine, grad, rtol=1e-9, atol=1e-9 * max(1, abs(grad).max()), err_msg=at)
