"""What an operation is: one idea, stated twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_type_hints

import numpy as np

from clearhead.expr import Formula
from clearhead.ops.numpy import numpy_namespace

Array = Any
"""An array of any library that array-api-compat knows: NumPy, PyTorch, JAX, CuPy ..."""

Namespace = Any
"""The array-API namespace of such a library."""

Parameters = tuple[tuple[str, Any], ...]
"""Named parameters in a fixed order, so that lines can be compared and hashed."""


Role = Literal[
    "activation", "bias", "cap", "concat", "distance", "dropout", "experts", "gain", "gate", "join", "loss", "mask",
    "norm",
    "position", "product", "repeat", "rotation", "rounding", "scale", "softmax", "split", "sum", "table",
    "weighted-sum",
]  # fmt: skip
"""What an operation is for in a transformer, whatever way it does it. Deviations, probes and media read roles.

``product``: of tokens with weights, or of queries with keys. ``weighted-sum``: of values. ``distance``: a bias of
scores by distance. ``experts``: the choice of experts, and what those chosen give. ``gate``: the product of two
branches, cell by cell. ``join``: with what a cache holds. ``table``: rows that are looked up.
"""


class Remark:
    """Something a reader should know about rows of a result: where, why, and what to do.

    ``find`` is given the namespace, the result, and, unless it reads none, the operands.
    """

    def __init__(
        self, find: Callable[..., Array], says: str, reason: str, remedy: str, *, reads_operands: bool = True
    ) -> None:
        self.find = find
        self.reads_operands = reads_operands
        self.says = says
        self.reason = reason
        self.remedy = remedy

    def reads(self, result: str, operands: tuple[str, ...]) -> tuple[str, ...]:
        """The arrays, of ``result`` and ``operands`` by name, that are needed to find the rows."""
        return (result, *operands) if self.reads_operands else (result,)


class Operation:
    """A named function of arrays, with its textbook formula and its array code.

    ``formula(parameters)`` is the arithmetic of one cell; ``code(xp, *operands, **parameters)`` computes the whole
    result with the functions of the namespace ``xp``. A property test holds the two together. An operation knows
    nothing of lines, names or specs.

    Attributes:
        name: the name of its array code.
        role: what it is for; None for what has no role in a transformer.
        steps: simpler operations that it stands for, in order: what rewrites one of them takes it apart first.
        remark: what a reader should know about rows of a result; None for nothing.
    """

    def __init__(
        self,
        code: Callable[..., Array],
        stated: Callable[..., Formula],
        remark: Remark | None = None,
        *,
        role: Role | None = None,
        steps: tuple[Step, ...] = (),
    ) -> None:
        self.name = code.__name__
        self.code = code
        self.remark = remark
        self.role = role
        self.steps = steps
        self._stated = stated
        self.__doc__ = code.__doc__
        self.__module__ = code.__module__
        self.__qualname__ = code.__qualname__

    @property
    def summary(self) -> str:
        """What it does, in a sentence."""
        return (self.__doc__ or "").partition("\n")[0]

    def summary_of(self, line: str, operands: Sequence[str]) -> str:  # noqa: ARG002 - gradients name them
        """What ``line`` is, in a sentence: made by this operation from ``operands``, by their names."""
        return self.summary

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of its parameters."""
        code = self.code.__code__
        return code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]

    @property
    def types(self) -> Mapping[str, Any]:
        """The type of each parameter, as its code is annotated."""
        hints = get_type_hints(self.code)
        return {name: hints.get(name, Any) for name in self.parameters}

    def formula(self, parameters: Parameters = ()) -> Formula:
        """The formula for these ``parameters``."""
        return _stated(self, parameters)

    def __call__(self, *operands: Array, **parameters: Any) -> Array:
        """The result on these arrays."""
        with quiet(xp := namespace(*operands)):
            return self.code(xp, *operands, **parameters)

    def __repr__(self) -> str:
        return f"<operation {self.name}>"

    def __reduce__(self) -> str:
        # As functions are pickled and copied: by the name under which their module has them.
        return self.__qualname__


class Step(NamedTuple):
    """One of the operations that another stands for.

    ``operands`` are positions among the operands of the whole (0, 1 ...), or names of earlier steps; the last step has
    no name, since its result is that of the whole.
    """

    name: str
    operation: Operation
    operands: tuple[int | str, ...]


@lru_cache(maxsize=4096)
def _stated(operation: Operation, parameters: Parameters) -> Formula:
    return operation._stated(**dict(parameters))  # noqa: SLF001 - the cached half of Operation.formula


def operation(
    stated: Callable[..., Formula],
    remark: Remark | None = None,
    *,
    role: Role | None = None,
    steps: tuple[Step, ...] = (),
) -> Callable[[Callable[..., Array]], Operation]:
    """Makes the decorated array code an `Operation` with this formula.

    The code takes the array-API namespace, the operands in the order of the formula, and parameters by keyword. Its
    name and docstring become those of the operation.

    Args:
        stated: makes the formula of one cell for given parameters; see `clearhead.expr.formula`.
        remark: what a reader should know about rows of a result.
        role: what it is for in a transformer; by it deviations, probes and media know it.
        steps: simpler operations that it stands for.
    """
    return lambda code: Operation(code, stated, remark, role=role, steps=steps)


def namespace(*arrays: Array) -> Namespace:
    """The array-API namespace of these arrays; for NumPy no other library is imported."""
    for array in arrays:
        if type(array) is not np.ndarray and not isinstance(array, np.generic):
            break
    else:
        return numpy_namespace
    from array_api_compat import array_namespace

    return array_namespace(*arrays)


def quiet(xp: Namespace) -> AbstractContextManager[Any]:
    """Silences NumPy's warnings about infinities and 0/0, which the trace reports in notes."""
    return np.errstate(all="ignore") if xp is numpy_namespace else nullcontext()


def counting(xp: Namespace, size: int, like: Array) -> Array:
    """0, 1, ... up to size, on the device of an array."""
    if xp is numpy_namespace:
        return np.arange(size)
    from array_api_compat import device

    return xp.arange(size, device=device(like))


def floats(xp: Namespace, size: int, like: Array) -> Array:
    """0.0, 1.0, ... up to size, with the dtype and device of an array."""
    return xp.astype(counting(xp, size, like), like.dtype)


def constant(xp: Namespace, x: Array) -> Array:
    """The same numbers, through which no gradient flows."""
    if xp is numpy_namespace:
        return x
    if "torch" in xp.__name__:
        return x.detach()
    if "jax" in xp.__name__:
        from jax.lax import stop_gradient

        return stop_gradient(x)
    return x


def as_parameters(values: Mapping[str, Any]) -> Parameters:
    """Parameters in the order of their names."""
    return tuple(sorted(values.items()))
