"""How far rounding may move the numbers of a working: no fixed tolerance, but one that follows from the numbers.

A float64 run stands beside runs in which every operand of every line is moved at random by one eps of float32, up or
down, as rounding might (stochastic arithmetic: Vignes, "A stochastic arithmetic for reliable scientific computation",
1993). How far these come apart is what float32 can tell; a right run in float32 is off by a small multiple of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from clearhead.ops import namespace, quiet
from clearhead.working import Working

EPS = {"float32": 2.0**-23, "bfloat16": 2.0**-7}
RUNS = 4
SAFETY = 12
"""An error may be this many times the largest distance that these few runs saw in its row."""

FLUSHED = 2.0**-120
"""What may be taken for 0 beside 1: weights below exp(-87)."""

Numbers = Mapping[str, Any]


class Expected(NamedTuple):
    """Numbers in float64, and how far those of a shorter type may be from each."""

    value: np.ndarray
    bound: np.ndarray

    def at(self, cell: tuple[int, ...]) -> Expected:
        """The same of one cell."""
        return Expected(self.value[cell], self.bound[cell])


def expected(working: Working, arrays: Numbers, dtype: str = "float32") -> dict[str, Expected]:
    """Each line of a working, with the bound for numbers of this type."""
    exact = {name: np.asarray(_detached(array)) for name, array in working._by_full_name(arrays).items()}
    return _apart(lambda rng: _run(working, exact, rng, EPS[dtype]), EPS[dtype])


def nearness(working: Working, arrays: Numbers, pulls: Numbers) -> float:
    """How far the gradients of two float32 runs may be apart: those of the sum of each line times its pull."""
    given = working._by_full_name(arrays)
    pulled = {name: torch.asarray(np.array(_detached(pull), np.float64)) for name, pull in pulls.items()}

    def run(rng: np.random.Generator | None) -> dict[str, Any]:
        leaves = {name: torch.asarray(_double(np.array(_detached(array)))) for name, array in given.items()}
        wanted = {name: leaf.requires_grad_() for name, leaf in leaves.items() if leaf.dtype == torch.float64}
        values = _run(working, leaves, rng, EPS["float32"])
        total = sum((values[name] * pull).sum() for name, pull in pulled.items())
        found = torch.autograd.grad(total, list(wanted.values()), materialize_grads=True)
        return dict(zip(wanted, found, strict=True))

    largest = max(float(each.bound.max()) for each in _apart(run, EPS["float32"]).values())
    return largest + EPS["float32"] * max(float(abs(pull).max()) for pull in pulled.values())


def assert_rounded(found: Any, want: Expected, name: str = "") -> None:
    """Numbers of a shorter type are those expected, each within its bound; infinities and NaN are the same."""
    found = np.asarray(_detached(found))
    assert found.shape == want.value.shape, name
    finite = np.isfinite(want.value)
    np.testing.assert_array_equal(found[~finite], want.value[~finite], err_msg=name)
    off, allowed = abs(found[finite].astype(np.float64) - want.value[finite]), want.bound[finite]
    assert np.all(off <= allowed), f"{name} is off by {(off / allowed).max():.2g} times what rounding explains"


def _run(working: Working, arrays: Numbers, rng: np.random.Generator | None, eps: float) -> dict[str, Any]:
    """Every line in float64; with a generator each number that a line reads is moved by eps."""
    values = {each.name: _double(arrays[each.name]) for each in working.givens}
    xp = namespace(*values.values())
    with quiet(xp):
        for line in working.lines:
            operands = [_moved(values[name], rng, eps) for name in line.operands]
            values[line.name] = line.operation.code(xp, *operands, **dict(line.parameters))
    return values


def _moved(array: Any, rng: np.random.Generator | None, eps: float) -> Any:
    if rng is None or "float" not in str(array.dtype):
        return array
    factor = 1 + eps * rng.choice([-1.0, 1.0], tuple(array.shape))
    return array * (torch.asarray(factor) if isinstance(array, torch.Tensor) else factor)


def _double(array: Any) -> Any:
    return array.astype(np.float64) if isinstance(array, np.ndarray) and array.dtype.kind == "f" else array


def _detached(array: Any) -> Any:
    if not isinstance(array, torch.Tensor):
        return array
    return (array.double() if array.dtype == torch.bfloat16 else array).detach().numpy()


def _apart(run: Callable[[np.random.Generator | None], Numbers], eps: float) -> dict[str, Expected]:
    rng = np.random.default_rng(0)
    exact, *moved = ({k: np.asarray(_detached(v)) for k, v in run(each).items()} for each in (None, *[rng] * RUNS))
    return {name: Expected(value, _bound(value, [each[name] for each in moved], eps)) for name, value in exact.items()}


def _bound(value: np.ndarray, moved: list[np.ndarray], eps: float) -> np.ndarray:
    size = np.where(np.isfinite(value), value, 0).astype(np.float64)
    apart = np.max([abs(np.where(np.isfinite(value), each, 0) - size) for each in moved], axis=0)
    row = apart.max(axis=-1, keepdims=True) if apart.ndim else apart
    return SAFETY * (row + eps * abs(size)) + FLUSHED
