"""What is probed: a working entered at what a function takes, up to what it returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from clearhead.axes import TOKENS, Axes, describe
from clearhead.errors import ShapeError, SpecError
from clearhead.expr import Index
from clearhead.expr.nodes import Number, replace_refs, walk
from clearhead.line import Line, find
from clearhead.trace import to_numpy
from clearhead.working import Working

Arrays = dict[str, np.ndarray[Any, Any]]

ASKED = TOKENS | {"past"}
"""The axes that run over tokens in what a function takes."""

FEATURES = frozenset({"model", "hidden", "depth", "pair", "head*depth", "vocabulary", "class"})
"""The axes along which a token has its numbers."""


DEPTHS = frozenset({"depth", "head*depth"})
"""The axes that hold the features of heads."""


class Task(Struct, frozen=True, dict=True):
    """The task of a function.

    Attributes:
        whole: the working, entered at the function's arguments.
        working: the same, up to the function's results.
        takes: the full names of its arguments, in order.
        returns: the full names of the lines that it returns, in order.
        fixed: arrays that stay as they are, such as the weights it has inside.
    """

    whole: Working
    working: Working
    takes: tuple[str, ...]
    returns: tuple[str, ...]
    fixed: Arrays

    @cached_property
    def queries(self) -> frozenset[str]:
        """The arguments that make queries, or that have a row for each row of the result."""
        return self._above(self._product.operands[:1]) if self._product else frozenset()

    @cached_property
    def keys(self) -> frozenset[str]:
        """The arguments that make keys or values."""
        sums = [line.operands[1] for line in self.working.lines if line.operation.role == "weighted-sum"]
        return self._above((*(self._product.operands[1:] if self._product else ()), *sums))

    @cached_property
    def of_values(self) -> frozenset[str]:
        """The arguments whose depth is that of values: they may be wider than queries and keys, which meet."""
        scored = self._above(self._product.operands) if self._product else frozenset(self.takes)
        return frozenset(name for name in self.takes if name not in scored and DEPTHS & set(self.axes(name)))

    @cached_property
    def _product(self) -> Line | None:
        """The line that multiplies queries with keys."""
        products = (line for line in self.working.lines if line.operation.role == "product")
        return next((line for line in products if line.axes[-2:] == ("query", "key")), None)

    def _above(self, names: Iterable[str]) -> frozenset[str]:
        """The arguments whose numbers, not only shapes, these lines depend on."""
        wanted = set(names)
        for line in reversed(self.working.lines):
            if line.name in wanted:
                wanted |= set(read(line))
        return frozenset(wanted & set(self.takes))

    @cached_property
    def follows_order(self) -> bool:
        """Whether the position of a token in its sequence matters: positions, causal masks, windows."""
        return any(map(_counts_tokens, self.working.lines))

    def axes(self, name: str) -> Axes:
        """The axis words of an argument or result, without a batch."""
        return self.working.axes[name]

    def takes_batch(self, name: str) -> bool:
        """Whether an array has one part for each item of a batch: tokens with features, or one flag per token."""
        words = set(self.axes(name))
        return bool(words & ASKED) and (bool(words & FEATURES) or words <= {"key", "token"} or "head" in words)

    @cached_property
    def operations(self) -> frozenset[str]:
        """The names of the operations of all lines."""
        return frozenset(line.operation.name for line in self.working.lines)


def read(line: Line) -> Iterator[str]:
    """The operands of which a line reads numbers, not just the shape."""
    formula = line.formula
    return (name for role, name in zip(formula.roles, line.operands, strict=True) if role in formula.read)


def _counts_tokens(line: Line) -> bool:
    """Whether the formula of a line uses the position of a token, as masks and positions do."""
    formula = line.formula
    words = line.axes[len(line.axes) - len(formula.result) :]
    letters = {letter for letter, word in zip(formula.result, words, strict=False) if word in TOKENS}
    bare = replace_refs(formula.body, lambda _: Number(0))
    return any(isinstance(node, Index) and node.name in letters for node in walk(bare))


def opened(task: Task) -> Task:
    """The same task for any number of heads, where the lines allow it: to find smaller inputs."""
    fixed = {name for line in task.whole.lines for name, _ in line.parameters} & {"heads", "times"}
    if fixed:
        return task
    whole, working = (with_open_sizes(each) for each in (task.whole, task.working))
    return replace(task, whole=whole, working=working)


def with_open_sizes(working: Working) -> Working:
    """The working with no size known beforehand."""
    return replace(working, givens=tuple(replace(given, sizes=()) for given in working.givens))


def retold(task: Task, *returns: str) -> Task | None:
    """The task of returning other lines; None if these need arrays that are not there."""
    working = _upto(task.whole, task.takes, returns)
    if any(given.name not in (*task.takes, *task.fixed) for given in working.givens):
        return None
    return replace(task, working=working, returns=returns)


def _upto(whole: Working, taken: Sequence[str], returned: Sequence[str]) -> Working:
    upto = whole.ending_at(*returned)
    return replace(upto, givens=tuple(each for each in whole.givens if each in upto.givens or each.name in taken))


def task_of(
    working: Working, takes: str | Sequence[str], returns: str | Sequence[str], given: Mapping[str, Any] | None
) -> Task:
    """The task of a function that takes and returns these lines.

    Raises:
        UnknownName: there is no such line, or no such given array.
        SpecError: the working needs an array that the function neither takes nor has.
        ShapeError: a given array has the wrong number of axes.
    """
    takes = [takes] if isinstance(takes, str) else takes
    whole = replace(working.starting_at(*takes), label_base=0)
    taken = tuple(find(name, working.names) for name in takes)
    returned = tuple(find(name, whole.names) for name in ([returns] if isinstance(returns, str) else returns))
    if not returned:
        raise SpecError("returns names no line. Name the line that the function returns, such as head.")
    if same := [name for name in returned if name in taken]:
        raise SpecError(f"returns names {same[0]}, which the function takes. Name a line that is computed from it.")
    trimmed = _upto(whole, taken, returned)
    fixed = _fixed(whole, given or {}, working, taken)
    if missing := [each for each in trimmed.givens if each.name not in (*taken, *fixed)]:
        needs = ", ".join(f"{each.name} {describe(each.axes, each.known_sizes())}" for each in missing)
        raise SpecError(
            f"The working needs {needs}, which the function neither takes nor has. Name it in takes= if the function "
            f"is called with it, or give the array in given= if it is inside."
        )
    return Task(whole, trimmed, taken, returned, fixed)


def _fixed(whole: Working, given: Mapping[str, Any], working: Working, taken: Sequence[str]) -> Arrays:
    """The arrays that stay as they are, of those that the working asks for."""
    fixed: Arrays = {}
    asked = {each.name: each for each in whole.givens}
    for name, value in given.items():
        full = find(name, working.names)
        if full not in asked:  # a weight that no line needs any more
            continue
        if full in taken:
            raise SpecError(f"given has {name}, which the function takes. Leave it out of one of the two.")
        array = to_numpy(value)
        fixed[full] = array if array.dtype.kind == "b" or asked[full].holds == "integers" else array.astype(np.float64)
        if array.ndim < len(asked[full].axes):
            raise ShapeError(
                f"{full} expects {describe(asked[full].axes, asked[full].known_sizes())}, got shape {array.shape}."
            )
    return fixed


def masks_of(task: Task) -> tuple[Line, ...]:
    """The lines that mask keys."""
    return tuple(line for line in task.working.lines if line.operation.role == "mask")
