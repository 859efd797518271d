"""Which lines can be computed for some queries at a time, by their formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from clearhead.errors import SpecError
from clearhead.expr import Expr, Index, Number, Ref, Size, walk
from clearhead.expr.nodes import replace_refs
from clearhead.inspection.core import Core
from clearhead.line import Line
from clearhead.ops import Array, Namespace, Operation
from clearhead.ops.gradients.gradient import derived_gradient
from clearhead.ops.textbook import disentangled, relative, scores
from clearhead.ops.textbook.tables import look_up


class Rows(Struct, frozen=True):
    """Lines for some queries at a time.

    Attributes:
        once: the lines that are the same for all queries.
        each: the lines that have a row for each query.
        axis: by name, the axis that runs over queries, counted from the end.
    """

    once: tuple[Line, ...]
    each: tuple[Line, ...]
    axis: Mapping[str, int]


def rows_of(core: Core) -> Rows:
    """The lines of attention for some queries at a time.

    Raises:
        SpecError: a line mixes queries, or counts their positions in an unknown way.
    """
    axis = {core.query: -2}
    axis |= {each.name: each.axes.index("query") - len(each.axes) for each in core.others if "query" in each.axes}
    once, each = [], []
    for line in core.working.lines:
        if axis.keys().isdisjoint(line.operands):
            once.append(line)
            continue
        each.append(line)
        found = -2 if line.operation in POSITIONED else row_axis(line, axis)
        if found is not None:
            axis[line.name] = found
    return Rows(tuple(once), tuple(each), axis)


def row_axis(line: Line, axis: Mapping[str, int]) -> int | None:
    """The axis of a line's result that runs over queries, from the end; None if it has none.

    Args:
        line: the line.
        axis: by name, this axis of its operands that have one.

    Raises:
        SpecError: it mixes queries, or counts their positions.
    """
    formula = line.formula
    named = list(zip(formula.roles, line.operands, formula.operands, strict=True))
    letters = {
        role: letters[axis[name]] for role, name, letters in named if name in axis and -axis[name] <= len(letters)
    }
    ahead = {axis[name] + len(letters) - len(formula.result) for _, name, letters in named
             if name in axis and -axis[name] > len(letters)}  # fmt: skip
    bare = replace_refs(formula.body, lambda _: Number(0))
    counts = any(isinstance(n, Index) and n.name in letters.values() for n in walk(bare))
    sized = any(isinstance(n, Size) and n.index in letters.values() for n in walk(formula.body))
    read = {letters[role] for role in letters if role in formula.read}
    result = {letter for letter in letters.values() if letter in formula.result}
    if formula.recurs is not None or counts or sized or len(read) > 1 or read != result or (read and ahead):
        raise SpecError(_refusal(line))
    if any(not _reads_own(ref, letters, read) for ref in _refs(formula.body)):
        raise SpecError(_refusal(line))
    if result:
        return formula.result.index(result.pop()) - len(formula.result)
    return ahead.pop() if ahead else None


def _refs(body: Expr) -> Iterator[Ref]:
    return (node for node in walk(body) if isinstance(node, Ref))


def _reads_own(ref: Ref, letters: Mapping[str, str], read: set[str]) -> bool:
    """Whether a cell is read from the query's own row, or from an array without a row for each query.

    A number of the own row may choose the cell, as the number of a token does in a table.
    """
    bare = [replace_refs(index, lambda _: Number(0)) for index in ref.indices]
    uses = [node.name for index in bare for node in walk(index) if isinstance(node, Index) and node.name in read]
    own = [index.name for index in ref.indices if isinstance(index, Index) and index.name in read]
    return len(uses) == len(own) == (1 if ref.operand in letters else 0)


def _refusal(line: Line) -> str:
    return (
        f"inspect cannot compute {line.name} for some queries at a time: {line.operation.name} reads other queries, "
        f"or counts their positions in an unknown way. Trace the working instead."
    )


Positioned = Callable[..., Array]


def _causal(xp: Namespace, s: Array, *, position: Array, key: Array) -> Array:
    return scores.mask_boolean.code(xp, s, key <= position)


def _window(xp: Namespace, s: Array, *, width: int, position: Array, key: Array) -> Array:
    return scores.mask_boolean.code(xp, s, xp.abs(position - key) < width)


def _not_later(xp: Namespace, grad: Array, *, position: Array, key: Array) -> Array:
    return xp.where(key <= position, grad, 0.0)


def _near(xp: Namespace, grad: Array, *, width: int, position: Array, key: Array) -> Array:
    return xp.where(xp.abs(position - key) < width, grad, 0.0)


def _alibi(xp: Namespace, s: Array, slope: Array, *, position: Array, key: Array) -> Array:
    return s - slope[..., None, None] * xp.astype(xp.abs(position - key), s.dtype)


def _relative(xp: Namespace, s: Array, table: Array, *, position: Array, key: Array, **stated: Any) -> Array:
    place = relative.bucket_of(xp, key - position, **stated)
    bias = xp.matrix_transpose(look_up.code(xp, table, xp.reshape(place, (-1,))))
    return s + xp.reshape(bias, (*bias.shape[:-1], *place.shape))


def _by_query(xp: Namespace, s: Array, table: Array, *, position: Array, key: Array, **stated: Any) -> Array:
    return disentangled.by_query(xp, s, table, disentangled.place_of(xp, position - key, **stated))


def _by_key(xp: Namespace, s: Array, table: Array, *, position: Array, key: Array, **stated: Any) -> Array:
    return disentangled.by_key(xp, s, table, disentangled.place_of(xp, position - key, **stated))


POSITIONED: Mapping[Operation, Positioned] = {
    scores.mask_causal: _causal,
    scores.mask_window: _window,
    scores.alibi: _alibi,
    relative.relative_bias: _relative,
    disentangled.add_by_query: _by_query,
    disentangled.add_by_key: _by_key,
    derived_gradient(scores.mask_causal, "s"): _not_later,
    derived_gradient(scores.mask_window, "s"): _near,
}
"""The operations that count positions, as code that is given the positions of queries and keys."""


def compute(xp: Namespace, line: Line, values: Mapping[str, Array], **positions: Any) -> Array:
    """A line for the queries at these positions."""
    operands = [values[name] for name in line.operands]
    parameters = dict(line.parameters)
    if line.operation in POSITIONED:
        return POSITIONED[line.operation](xp, *operands, **parameters, **positions)
    return line.operation.code(xp, *operands, **parameters)
