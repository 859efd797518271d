"""Bounds for the error of the array code of gradients, against their formulas worked out to 50 digits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest

from clearhead.ops import Operation, as_parameters, quiet
from clearhead.ops.gradients.code import CODE
from clearhead.ops.gradients.gradient import gradient
from clearhead.ops.gradients.stated import STATED
from clearhead.ops.numpy import numpy_namespace
from clearhead.ops.table import OPERATIONS, TEXTBOOK

from .operands import examples, operands_for
from .precision import worked_out, worst_error
from .test_precision import HANDWRITTEN, Family, applies, equal, large, offset, ordinary, ties, typed

FAMILIES: tuple[Family, ...] = (ordinary, large, ties, equal, offset)
OWN = sorted(each for each in {*STATED, *CODE} if each[0] in TEXTBOOK)
"""The gradients of the textbook that have array code of their own; others are computed by their formulas."""

EXACT = {
    ("add", "a"), ("add", "b"), ("bias", "x"), ("head_bias", "x"), ("concat", "x"), ("mask_boolean", "s"),
    ("mask_padding", "s"), ("mask_causal", "s"), ("mask_window", "s"), ("clip", "x"), ("clip_above", "x"),
    ("look_up", "table"),
}  # fmt: skip
"""Those that only move numbers."""

BOUND = 0.5
"""How many times eps * loss the error of all others may be, as that of arithmetic in the forward pass."""


def taken(own: Operation, parameters: Mapping[str, Any], operands: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The operands of a gradient with their core axes alone: of more heads the first."""
    formula = own.formula(as_parameters(parameters))
    found = []
    for role, letters in zip(formula.roles, formula.operands, strict=True):
        array = operands[role]
        found.append(array[(0,) * (array.ndim - len(letters))])
    return found


def errors(name: str, role: str, dtype: str) -> Iterator[tuple[float, str, Mapping[str, Any]]]:
    """The worst error of a gradient, in units of eps * loss, on each family of numbers, with all parameters."""
    of_type, forward = np.dtype(dtype), OPERATIONS[name]
    for parameters in [own for operation, own in examples() if operation.name == name]:
        own = gradient(forward, role, as_parameters(parameters))
        assert own is not None
        for family in filter(partial(applies, forward, parameters), FAMILIES):
            random = np.random.default_rng(2)
            operands = operands_for(name, parameters, partial(typed, family, random, of_type))
            there = dict(zip(forward.formula(as_parameters(parameters)).roles, operands, strict=True))
            there["out"] = forward(*operands, **parameters)
            there["grad"] = typed(ordinary, random, of_type, there["out"].shape)
            read = taken(own, parameters, there)
            with quiet(numpy_namespace):
                found = own(*read, **parameters)
            assert found.dtype == of_type
            yield worst_error(found, worked_out(own, parameters, read)), family.__name__, parameters


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "role"), OWN)
def test_error(name: str, role: str, dtype: str) -> None:
    """The array code of a gradient is within its bound of the formula worked out to 50 digits."""
    bound = 0.0 if (name, role) in EXACT else BOUND
    found = list(errors(name, role, dtype))
    assert len(found) >= len(HANDWRITTEN)
    assert [each for each in found if not each[0] <= bound] == []


def test_yardstick() -> None:
    """The bound is one that a poorer way to compute exceeds: the sum of products rounded to half the digits."""
    random = np.random.default_rng(2)
    out = random.dirichlet(np.ones(7), 3)
    grad = random.normal(size=(3, 7))
    own = STATED["softmax", "s"]
    cells = worked_out(own, {}, [out, grad])
    poor = out * (grad - (grad * out).astype(np.float32).sum(-1, keepdims=True))
    assert worst_error(own(out, grad), cells) <= BOUND
    assert worst_error(poor, cells) > 10 * BOUND
