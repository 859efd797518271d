"""What is asked of a backward pass: the gradients of a line with respect to what a function takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from clearhead.backward import GRAD
from clearhead.check.calls.task import DEPTHS, Task, task_of
from clearhead.errors import SpecError
from clearhead.line import find
from clearhead.working import Working


class GradientTask(Task, frozen=True, dict=True):
    """The task of a backward function: it takes what its forward pass takes, then the gradient of the result.

    Attributes:
        forward: the task of the forward pass.
        wrt: the arguments whose gradients are returned.
    """

    forward: Task
    wrt: tuple[str, ...]

    @cached_property
    def queries(self) -> frozenset[str]:
        """The arguments that have a row for each query: those of the forward pass, and the gradient of its result."""
        return self.forward.queries | frozenset(self.takes) - frozenset(self.forward.takes)

    @cached_property
    def keys(self) -> frozenset[str]:
        """The arguments that make keys or values."""
        return self.forward.keys

    @cached_property
    def of_values(self) -> frozenset[str]:
        """The arguments whose depth is that of values: those of the forward pass, and the gradient of its result."""
        given = frozenset(self.takes) - frozenset(self.forward.takes)
        wide = self.forward.of_values
        return wide | {name for name in given if wide and DEPTHS & set(self.axes(name))}

    @property
    def upstream(self) -> str | None:
        """The gradient that the pass starts with; None where it starts with a single number."""
        return self.takes[-1] if len(self.takes) > len(self.forward.takes) else None

    def shared(self, name: str) -> bool:
        """Whether all items of a batch share an argument, so that its gradient is a sum over them."""
        return not self.takes_batch(name)


def gradient_task(
    working: Working,
    takes: str | Sequence[str],
    returns: str,
    wrt: str | Sequence[str] | None,
    given: Mapping[str, Any] | None,
) -> GradientTask:
    """The task of returning the gradients of a line.

    Raises:
        UnknownName: there is no such line, or no such given array.
        SpecError: no gradient is asked for, or one of an array that the function does not take.
        ShapeError: a given array has the wrong number of axes.
    """
    forward = task_of(working, takes, returns, given)
    numbers = {each.name for each in forward.working.givens if each.holds == "numbers"}
    if wrt is None:
        wanted = tuple(name for name in forward.takes if name in numbers and name in forward.working.names)
    else:
        wanted = tuple(find(name, forward.takes) for name in ([wrt] if isinstance(wrt, str) else wrt))
    if not wanted:
        raise SpecError("There is no gradient to compare: takes names no array of numbers, or wrt is empty.")
    backward = forward.working.backward(forward.returns[0], wanted)
    known = {each.name for each in forward.working.givens}
    takes = (*forward.takes, *(each.name for each in backward.givens if each.name not in known))
    grads = tuple(name + GRAD for name in wanted)
    return GradientTask(backward, backward, takes, grads, forward.fixed, forward, wanted)
