"""Heads, tokens and columns in another order. The order is found by matching, so the search tries none."""

from __future__ import annotations

from clearhead.deviations.deviation import Deviation, Parameter, never
from clearhead.deviations.rewrites import Nothing, change_lines, follow, is_called, reread
from clearhead.errors import SpecError
from clearhead.line import Line, find, free_name
from clearhead.ops import as_parameters
from clearhead.ops.textbook import linear
from clearhead.ops.variants import heads as variants_heads
from clearhead.ops.variants import maps
from clearhead.working import Working

AXES = {-3: maps.take_heads, -2: maps.take_tokens, -1: maps.take_columns}
"""The operation that reorders an axis, counted from the last."""

MAX_ENTRIES = 64
"""Longer orders are not named."""


def _order(written: str, base: int) -> tuple[int, ...]:
    """An order from its text, with hyphens between the numbers, counted from 0."""
    try:
        order = tuple(int(label) - base for label in written.split("-"))
    except ValueError:
        raise SpecError(f"order expects whole numbers with hyphens between, got {written!r}.") from None
    if not 0 < len(order) <= MAX_ENTRIES or min(order) < 0:
        raise SpecError(f"order expects 1 to {MAX_ENTRIES} numbers from {base} on, got {written!r}.")
    return order


def _reordered(working: Working, line: str, axis: str, order: str) -> Working:
    full = find(line, [each.name for each in working.lines])
    axes = working.axes[full]
    if axis not in axes:
        raise SpecError(f"line-reordered expects axis as one of {', '.join(axes)}, got {axis!r}.")
    operation = AXES.get(axes.index(axis) - len(axes))
    if operation is None:
        raise Nothing("only the last three axes can be reordered.")
    taken = _order(order, working.label_base)
    return change_lines(
        working,
        lambda each: each.name == full,
        lambda each: follow(working, each, "in-order", operation, order=taken),
        full,
    )


def _mapped(working: Working, order: str, role: str) -> Working:
    """Gives each query head the key/value head that the order has for it."""
    taken = as_parameters({"order": _order(order, working.label_base)})
    if role not in ROLES:
        raise SpecError(f"groups-mapped expects role as {', '.join(ROLES)}, got {role!r}.")
    return change_lines(
        working,
        lambda line: (
            line.operation in (linear.repeat, variants_heads.tile)
            and (role == "both" or is_called(line, f"{role}.repeated"))
        ),
        lambda line: [Line(line.name, maps.take_heads, line.operands, line.axes, taken)],
        "a repeat",
    )


def _averaged_beside(working: Working) -> Working:
    """Sums values with the mean of all heads' weights; the weights themselves are unchanged."""
    weights = [line for line in working.lines if is_called(line, "weights")]
    if not weights:
        raise Nothing("no line of this working is called weights.")
    names = {line.name: free_name(f"{line.name}.averaged", working.names) for line in weights}

    def change(line: Line) -> list[Line]:
        if line in weights:
            return [line, Line(names[line.name], variants_heads.average_weights, (line.name,), line.axes)]
        return [reread(line, names)]

    return working.rewrite(change)


ROLES = ("both", "key", "value")

ROWS = (
    Deviation(
        id="line-reordered",
        kind="convention",
        does="Heads, tokens or columns of a line stand in another order.",
        invisible="Where those that are exchanged are equal.",
        remedy="Compare the expected order with the one found, and check where the axis is split or joined.",
        seen="slapo PR#46 and vllm PR#53114 for heads; no thread is known for tokens.",
        rewrite=_reordered,
        parameters=(
            Parameter("line", str, "the line"),
            Parameter("axis", str, "its axis, such as head"),
            Parameter("order", str, "the numbers in the order found, with hyphens between"),
        ),
        tries=never,
        catalogue=("B6",),
        rare=True,
    ),
    Deviation(
        id="groups-mapped",
        kind="mistake",
        does="Query heads read other key/value heads than their group's.",
        invisible="Where there is one key/value head.",
        remedy="kv_head = query_head // (heads // kv_heads).",
        seen="ONNXim#33 (query_head // kv_heads), and the family of onnx PR#7274.",
        rewrite=_mapped,
        parameters=(
            Parameter("order", str, "the key/value head of each query head, with hyphens between"),
            Parameter("role", str, "both, key or value"),
        ),
        tries=never,
        catalogue=("B11",),
        rare=True,
    ),
    Deviation(
        id="head-of-averaged-weights",
        kind="mistake",
        does="Values are summed with the mean of all heads' weights, though each head's own weights are right.",
        invisible="Where there is one head, or all heads' weights are equal.",
        remedy="Use each head's own weights; nn.MultiheadAttention returns their mean (average_attn_weights), and "
        "uses each head's own.",
        seen="webui-visualize-cross-attention#9.",
        rewrite=_averaged_beside,
        catalogue=("F12",),
        rare=True,
    ),
)
