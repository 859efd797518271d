"""Which kernel computes a request, and why."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from array_api_compat import device, is_jax_array, is_numpy_array, is_torch_array
from msgspec import Struct

from clearhead.inspection.request import Request, is_traced
from clearhead.inspection.result import Inspection

MODULES = {"numba": "cpu", "triton": "gpu", "plain": "plain"}
"""The module of each kernel."""

MAX_KEYS = 1 << 24
"""With more keys than this, float32 cannot distinguish positions."""

MAX_DEPTH = 128
"""Deeper heads need more shared memory than some GPUs have."""

MAX_LISTED = 64
"""Longer lists of largest weights, and more bands, do not fit into the registers of a GPU."""


class Choice(Struct, frozen=True):
    """A kernel by its name, and the reason for it in a sentence."""

    kernel: str
    reason: str

    @property
    def inspect(self) -> Callable[[Request], Inspection]:
        """The kernel's function."""
        function: Callable[[Request], Inspection] = import_module(
            f"clearhead.inspection.{MODULES[self.kernel]}"
        ).inspect
        return function


def choose(request: Request, *, compiled: bool = True) -> Choice:
    """The kernel for a request: that for the device of its arrays, unless there is an obstacle.

    Without ``compiled``, array code.
    """
    if not compiled:
        return Choice("plain", 'engine="array" was asked for, so plain array code computes it.')
    query = request.query
    on_gpu = is_torch_array(query) and _device(query) == "cuda"
    against = _against_float32(request) or (_against_triton(request) if on_gpu else _against_numba())
    if against:
        return Choice("plain", f"{against}, so plain array code computes it, a chunk of queries at a time.")
    if on_gpu:
        return Choice("triton", "float32 tensors on a GPU: the Triton kernel keeps no scores in its memory.")
    return Choice("numba", "float32 arrays in this machine's memory: the compiled kernel is the fastest.")


def _against_float32(request: Request) -> str:
    """The obstacle to a kernel other than array code."""
    query = request.query
    if isinstance(request.known, str):
        return request.known
    if not (is_numpy_array(query) or is_torch_array(query) or is_jax_array(query)):
        return f"The arrays are of {type(query).__module__.partition('.')[0]}"
    if is_traced(query):
        return "JAX traces the arrays"
    if (where := _device(query)) != "cpu" and not (where == "cuda" and is_torch_array(query)):
        return f"The arrays are on {where}"
    if any(_wants_gradient(each) for each in (query, request.key, request.value, *request.given.values())):
        return "The arrays require gradients"
    if not str(query.dtype).endswith("float32"):
        return f"The arrays are {query.dtype}, and the compiled kernels are for float32"
    if request.key.shape[2] > MAX_KEYS:
        return f"There are more than {MAX_KEYS:,} keys"
    if not all(request.all_finite(array) for array in (query, request.key, request.value)):
        return "Some numbers are not finite, and must not reach queries that do not see them"
    return ""


def _against_numba() -> str:
    return "" if find_spec("numba") else "Numba is not installed (pip install 'clearhead[kernels]')"


def _against_triton(request: Request) -> str:
    if (depth := max(request.query.shape[3], request.value.shape[3])) > MAX_DEPTH:
        return f"The heads are {depth} deep, and the Triton kernel is for up to {MAX_DEPTH}"
    if max(request.wanted.top, request.bands) > MAX_LISTED:
        return f"The Triton kernel reports up to {MAX_LISTED} largest weights and bands"
    return "" if find_spec("triton") else "Triton is not installed (pip install 'clearhead[gpu]')"


def _device(array: Any) -> str:
    place = device(array)
    return str(getattr(place, "platform", getattr(place, "type", place)))


def _wants_gradient(array: Any) -> bool:
    return bool(getattr(array, "requires_grad", False)) and bool(sys.modules["torch"].is_grad_enabled())
