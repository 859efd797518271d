"""NumPy's namespace for the operations, without the overhead of its wrappers.

On matrices of a few cells ``np.sum`` spends most of its time on dispatch, not on the sum. These are the same
functions, reached directly. Reductions are always called with an axis.
"""

from __future__ import annotations

from operator import attrgetter
from types import SimpleNamespace

import numpy as np

_AS_THEY_ARE = (
    "abs", "all", "any", "broadcast_to", "concat", "cos", "cumulative_sum", "einsum", "exp", "expm1", "finfo",
    "floor", "isnan", "log", "log1p", "matmul", "maximum", "repeat", "sign", "sin", "sqrt", "stack",
    "take_along_axis", "tanh", "vecdot", "where",
)  # fmt: skip

numpy_namespace = SimpleNamespace(
    __name__="numpy",
    sum=np.add.reduce,
    max=np.maximum.reduce,
    round=np.rint,
    reshape=np.ndarray.reshape,
    permute_dims=np.ndarray.transpose,
    matrix_transpose=attrgetter("mT"),
    astype=np.ndarray.astype,
    **{name: getattr(np, name) for name in _AS_THEY_ARE},
)
"""The functions of the array API that operations use, on NumPy arrays."""
