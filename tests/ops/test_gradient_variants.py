"""Gradients as they go wrong: formula and array code are one."""

import numpy as np
import pytest
from tests.ops.test_formula_equals_code import evaluate_formula

from clearhead.ops.table import GRADIENTS, operation_named

SIZES = {"i": 3, "j": 3, "k": 2, "m": 4, "t": 5, "h": 4, "d": 2, "v": 5}
PARAMETERS = {
    "times": 2, "eps": 1e-5, "ignored": 2, "counted": True, "rate": 0.1, "decay": 0.3, "beta": 0.9, "number": 2,
    "rank": 2,
}  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", GRADIENTS)
def test_formula_equals_code(name, seed):
    """Each wrong gradient, by its formula cell by cell, is what its code computes; it is found by its name."""
    operation = GRADIENTS[name]
    assert operation_named(name) is operation
    parameters = {each: PARAMETERS[each] for each in operation.parameters}
    formula = operation.formula(tuple(sorted(parameters.items())))
    rng = np.random.default_rng(seed)

    def drawn(role, letters):
        shape = [SIZES[letter] for letter in letters]
        if role == "second":  # a mean of squares
            return rng.uniform(0.5, 2, shape)
        return rng.integers(0, 4, shape) if role in ("token", "target") else rng.normal(size=shape)

    operands = [drawn(role, letters) for role, letters in zip(formula.roles, formula.operands, strict=True)]
    np.testing.assert_allclose(
        operation(*operands, **parameters), evaluate_formula(operation, operands, parameters), rtol=1e-11
    )
