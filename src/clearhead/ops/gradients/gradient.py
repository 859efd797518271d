"""The gradient of an operation for one of its operands; it is an operation too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from clearhead.errors import UnknownName
from clearhead.expr import Formula
from clearhead.expr.adjoint import adjoint
from clearhead.expr.derivative import UPSTREAM
from clearhead.expr.formula import OWN
from clearhead.ops.by_formula import computed
from clearhead.ops.gradients.code import CODE
from clearhead.ops.gradients.stated import STATED
from clearhead.ops.gradients.sums import SUMS
from clearhead.ops.operation import Array, Namespace, Operation, Parameters

GRAD = ".grad."
"""Stands behind the name of the line whose gradient a line is, or a part of it."""


class GradientOf(Operation):
    """The gradient of an operation for an operand, derived from the operation's formula.

    Its operands are those of the forward formula that the derivative takes, and ``grad``, the gradient of the result.
    Of a recurrence see `accumulated`.

    Attributes:
        forward: the operation.
        operand: the role of the operand.
    """

    def __init__(self, forward: Operation, operand: str) -> None:
        def code(xp: Namespace, *operands: Array, **parameters: Any) -> Array:
            own = CODE.get((forward.name, operand))
            if own is not None:
                return own(xp, *operands, **parameters)
            formula = self.formula(tuple(sorted(parameters.items())))
            return computed(xp, formula, operands, operands[formula.roles.index(UPSTREAM)])

        code.__name__ = f"{forward.name}.{operand}.grad"
        code.__doc__ = _WHOLE if operand == OWN else _DERIVED.format(forward.name.replace("_", " "), operand)
        super().__init__(code, lambda **parameters: self._derived(tuple(sorted(parameters.items()))))
        self.forward = forward
        self.operand = operand

    def _derived(self, parameters: Parameters) -> Formula:
        derived = adjoint(self.forward.formula(parameters), self.operand)
        if derived is None:
            raise UnknownName(f"{self.forward.name} does not change with the numbers of {self.operand}.")
        return derived

    def summary_of(self, line: str, operands: Sequence[str]) -> str:
        """What ``line`` is: the gradient for which line, and from which of ``operands`` it is carried back."""
        if self.operand == OWN:
            return self.summary
        later = next((name for name in reversed(operands) if GRAD in f"{name}."), None)
        if later is None or GRAD not in f"{line}.":
            return self.summary
        own, result = (name[: f"{name}.".rindex(GRAD)] for name in (line, later))
        return f"The gradient for {own}, carried back from that for {result} through its formula."

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of its parameters: those of the operation."""
        return self.forward.parameters

    @property
    def types(self) -> Mapping[str, Any]:
        """The type of each parameter."""
        return self.forward.types

    def __reduce__(self) -> Any:
        return derived_gradient, (self.forward, self.operand)


_DERIVED = "The gradient of {} for {}, derived from its formula."
_WHOLE = "The gradient of each cell by itself, and through all later cells of its line that read it."


@cache  # one for each operand of each operation
def derived_gradient(forward: Operation, operand: str) -> GradientOf:
    """The derived gradient of an operation for an operand; the same object each time."""
    return GradientOf(forward, operand)


def gradient(forward: Operation, operand: str, parameters: Parameters = ()) -> Operation | None:
    """The gradient of an operation for the operand of a role: stated, or else derived.

    None where the result does not change with the operand's numbers: a boolean mask, an operand read for its sizes.
    """
    stated = STATED.get((forward.name, operand))
    if stated is not None:
        return stated
    if adjoint(forward.formula(parameters), operand) is None:
        return None
    return derived_gradient(forward, operand)


def accumulated(forward: Operation, parameters: Parameters = ()) -> GradientOf | None:
    """The gradient of the cells of a recurrence with what passes through cells that read them; None for others.

    The gradients of the recurrence's operands take its result for ``grad``.
    """
    return derived_gradient(forward, OWN) if forward.formula(parameters).recurs is not None else None


def gradient_named(name: str, operations: Mapping[str, Operation]) -> Operation | None:
    """The gradient of this name of one of these operations; None where there is none."""
    if name in SUMS:
        return SUMS[name]
    for stated in STATED.values():
        if stated.name == name:
            return stated
    forward, _, operand = name.removesuffix(".grad").rpartition(".")
    if not name.endswith(".grad") or forward not in operations:
        return None
    code = operations[forward].code.__code__
    is_role = operand in code.co_varnames[1 : code.co_argcount]
    return derived_gradient(operations[forward], operand) if is_role or operand == OWN else None
