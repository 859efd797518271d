"""The operations that the compiled kernels know, as a table. Lines of others are left to array code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from clearhead.inspection.core import Core
from clearhead.line import Line
from clearhead.ops import Operation, Role
from clearhead.ops.textbook import linear, scores


class Known(Struct, frozen=True):
    """Attention as the compiled kernels compute it: in this order, each step at most once.

    Attributes:
        scale: the factor of scores; None for 1 / sqrt(depth).
        softcap: the bound of scores; None for none.
        alibi: whether scores fall with distance.
        causal: no query sees a later key.
        window: a query attends to keys less than ``window`` tokens away; None for all.
        mask: the name of a mask that is given; None for none.
        padding: the name of the array that says which keys are real; None for none.
    """

    scale: float | None = 1.0
    softcap: float | None = None
    alibi: bool = False
    causal: bool = False
    window: int | None = None
    mask: str | None = None
    padding: str | None = None


Read = Callable[[Line], Mapping[str, Any]]
STEPS: Mapping[Operation, Read] = {
    scores.scale: lambda line: {"scale": dict(line.parameters)["factor"]},
    scores.scale_by_depth: lambda _: {"scale": None},
    scores.softcap: lambda line: {"softcap": dict(line.parameters)["cap"]},
    scores.alibi: lambda _: {"alibi": True},
    scores.mask_causal: lambda _: {"causal": True},
    scores.mask_window: lambda line: {"window": dict(line.parameters)["width"]},
    scores.mask_boolean: lambda line: {"mask": line.operands[1]},
    scores.mask_additive: lambda line: {"mask": line.operands[1]},
    scores.mask_padding: lambda line: {"padding": line.operands[1]},
}
"""The operations between the product and the softmax, and the field of `Known` that each sets."""

ORDER: tuple[Role | None, ...] = ("scale", "cap", "distance", "mask")
"""The order in which the kernels do these."""


def known_of(core: Core) -> Known | str:
    """The lines in the kernels' terms; a reason where the kernels do not know them."""
    between = core.path[1:-1]
    unknown = next((line for line in core.working.lines if not _is_known(core, line)), None)
    if unknown is not None:
        return f"The compiled kernels do not know {unknown.operation.name} ({unknown.name})"
    found: dict[str, Any] = {}
    places = [ORDER.index(line.operation.role) for line in between]
    for line in between:
        said = STEPS[line.operation](line)
        if said.keys() & found.keys() or places != sorted(places):
            return f"The compiled kernels do the steps before {core.softmax.name} in another order, each once"
        found |= said
    return Known(**found)


def _is_known(core: Core, line: Line) -> bool:
    """Whether a line is one that the kernels know, in its place."""
    if line == core.product:
        return line.operation is linear.matmul_transposed and _repeats(core, line.operands[1], core.key)
    if line == core.head:
        is_sum = line.operation is linear.weighted_sum and line.operands[0] == core.softmax.name
        return is_sum and _repeats(core, line.operands[1], core.value)
    if line == core.softmax:
        return line.operation is scores.softmax
    if line.operation is scores.alibi_slopes:
        return any(each.operation is scores.alibi and each.operands[1] == line.name for each in core.path)
    if line.operation is linear.repeat:
        return True
    if line not in core.path or line.operation not in STEPS:
        return False
    if line.operation is scores.alibi:
        return any(
            each.name == line.operands[1] and each.operation is scores.alibi_slopes for each in core.working.lines
        )
    return line.operation is not scores.scale_by_depth or line.operands[1] == core.query


def _repeats(core: Core, name: str, source: str) -> bool:
    """Whether a name is that of keys or values, or of these repeated for the heads of their group."""
    made = next((line for line in core.working.lines if line.name == name), None)
    return name == source if made is None else made.operation is linear.repeat and made.operands == (source,)
