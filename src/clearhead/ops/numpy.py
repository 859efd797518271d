"""NumPy's namespace for the operations, with its reductions called without their detours.

On matrices of a few cells ``np.sum`` spends most of its time on dispatch, not on the sum. These are the same
reductions, reached directly.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

Axis = int | tuple[int, ...] | None

_add_up: Any = np.add.reduce
_largest: Any = np.maximum.reduce


def _sum(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    return _add_up(x, axis=axis, keepdims=keepdims)


def _max(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    return _largest(x, axis=axis, keepdims=keepdims)


def _mean(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    whole = _add_up(x, axis=axis, keepdims=keepdims)
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
    "abs", "all", "any", "concat", "cos", "exp", "floor", "isnan", "matmul", "repeat", "sign", "sin", "sqrt", "stack",
    "tanh", "where",
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
