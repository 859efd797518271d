"""NumPy's namespace for the operations, with its reductions called without their detours.

On matrices of a few cells ``np.sum`` spends most of its time on dispatch, not on the sum. These are the same
reductions, reached directly.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

Axis = int | tuple[int, ...] | None


def _sum(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.add.reduce(x, axis, None, None, keepdims)


def _max(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.maximum.reduce(x, axis, None, None, keepdims)


def _mean(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    whole = np.add.reduce(x, axis, None, None, keepdims)
    return whole / (x.size / max(whole.size, 1))


def _reshape(x: Any, shape: tuple[int, ...]) -> Any:
    return x.reshape(shape)


def _permute_dims(x: Any, axes: tuple[int, ...]) -> Any:
    return x.transpose(axes)


def _matrix_transpose(x: Any) -> Any:
    return x.mT


def _astype(x: Any, dtype: Any) -> Any:
    return x.astype(dtype, copy=False)


_AS_THEY_ARE = (
    "abs", "all", "any", "arange", "concat", "cos", "exp", "floor", "full_like", "isnan", "matmul", "ones_like", "repeat",
    "sign", "sin", "sqrt", "stack", "tanh", "where", "zeros_like",
)  # fmt: skip

numpy_namespace = SimpleNamespace(
    __name__="numpy",
    sum=_sum,
    max=_max,
    mean=_mean,
    reshape=_reshape,
    permute_dims=_permute_dims,
    matrix_transpose=_matrix_transpose,
    astype=_astype,
    **{name: getattr(np, name) for name in _AS_THEY_ARE},
)
"""The functions of the array API that operations use, on NumPy arrays."""
