"""Right gradients: what they are compared with, and the types of numbers that they compute in."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from msgspec import Struct
from tests.check.gradients import zoo

from clearhead import Autograd, autograd, probe_gradients
from clearhead.check.gradients.functions import is_differentiable
from clearhead.working import Working

HEADS = ("query", "key", "value")
SHORT = ("bfloat16", "float16")
PRECISIONS = ("float64", "float32", *SHORT)


class Right(Struct, frozen=True):
    """A right backward pass.

    Attributes:
        working: the right computation.
        backward: the function, or one that its library differentiates.
        forward: the forward pass beside it; None where ``backward`` has it.
        takes: what it is called with.
        returns: the line whose gradient it is given.
    """

    working: Working
    backward: Any
    forward: Callable[..., Any] | None = None
    takes: tuple[str, ...] = HEADS
    returns: str = "head"


def probed(right: Right, dtype: str):
    """The report on a right backward pass that computes in a type of numbers."""
    if is_differentiable(right.backward):
        source = right.backward if isinstance(right.backward, Autograd) else autograd(right.backward)
        called = Autograd(partial(CALLED[source.library], source.function, dtype), source.library)
        return probe_gradients(called, right.working, right.takes, right.returns)
    backward, forward = (in_precision(each, dtype) for each in (right.backward, right.forward))
    return probe_gradients(backward, right.working, right.takes, right.returns, forward=forward)


def said_of(right: Right, dtype: str) -> str:
    """What is wrongly said of it; nothing where it is right, or where short numbers jump too much to be judged."""
    report = probed(right, dtype)
    good = report.verdict == "agrees" and report.fits_forward is not False and not report.failing and not report.wrong
    lost = dtype in SHORT and not report.places and any(each.kind == "precision" for each in report.symptoms)
    return "" if good or lost else str(report)


def in_precision(function, dtype):
    """The function in a type of numbers; in bfloat16 what it takes and gives is rounded to that."""
    if dtype != "bfloat16":
        return zoo.in_type(function, dtype)

    def rounded(*arrays):
        out = function(*map(to_bfloat, arrays))
        return tuple(map(to_bfloat, out)) if isinstance(out, tuple) else to_bfloat(out)

    return rounded


def to_bfloat(array):
    """Numbers rounded to the eight bits of bfloat16, to even, in float32."""
    if array.dtype.kind != "f":
        return array
    bits = array.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def _in_torch(function, dtype, *arrays):
    import torch

    kind = getattr(torch, dtype)
    return function(*(a.to(kind) if a.is_floating_point() else a for a in arrays))


def _in_jax(function, dtype, *arrays):
    return function(*(a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays))


CALLED = {"torch": _in_torch, "jax": _in_jax}
"""How a function of a library is called in a type of numbers."""
