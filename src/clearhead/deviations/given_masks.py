"""Given masks used in a wrong way: transposed, with their sign changed, or as infinity in the weights."""

from __future__ import annotations

from collections.abc import Callable

from clearhead.axes import Axes
from clearhead.deviations.deviation import Deviation
from clearhead.deviations.rewrites import Nothing
from clearhead.deviations.softmax import is_softmax
from clearhead.line import Line, free_name
from clearhead.ops import Operation
from clearhead.ops.textbook import scores
from clearhead.ops.variants import heads as variants_heads
from clearhead.ops.variants import scores as variants_scores
from clearhead.working import Working

_GIVEN = (scores.mask_boolean, scores.mask_additive, variants_scores.mask_inverted)


def _of_mask(
    operations: tuple[Operation, ...], step: str, make: Callable[[str, str, Axes], Line]
) -> Callable[[Working], Working]:
    """A rewrite in which masks read a line that is computed from the given mask."""

    def rewrite(working: Working) -> Working:
        masks = [line for line in working.lines if line.operation in operations]
        if not masks:
            raise Nothing("no line of this working is a mask that is given.")

        def change(line: Line) -> list[Line]:
            if line not in masks:
                return [line]
            given = line.operands[1]
            name = free_name(f"{given}.{step}", working.names)
            masked = Line(line.name, line.operation, (line.operands[0], name), line.axes, line.parameters)
            return [make(name, given, working.axes[given]), masked]

        return working.rewrite(change)

    return rewrite


def _transposed(name: str, given: str, axes: Axes) -> Line:
    return Line(name, variants_heads.transposed, (given,), (*axes[:-2], *axes[:-3:-1]))


def _negated(name: str, given: str, axes: Axes) -> Line:
    return Line(name, scores.scale, (given,), axes, (("factor", -1.0),))


def _infinite(working: Working) -> Working:
    """Makes softmax read what the first mask reads, and writes minus infinity into masked cells of the weights."""
    chain = [line for line in working.lines if line.operation.role == "mask"]
    if not chain:
        raise Nothing("no line of this working is a mask.")

    def change(line: Line) -> list[Line]:
        if not (is_softmax(line) and line.operands[0] == chain[-1].name):
            return [line]
        unmasked = Line(
            free_name(f"{line.name}.unmasked", working.names),
            line.operation,
            (chain[0].operands[0], *line.operands[1:]),
            line.axes,
            line.parameters,
        )
        return [unmasked, Line(line.name, variants_scores.infinite_masked, (unmasked.name, chain[-1].name), line.axes)]

    return working.rewrite(change)


ROWS = (
    Deviation(
        id="mask-transposed",
        kind="mistake",
        does="The given mask is transposed: its rows are used for keys and its columns for queries.",
        invisible="Where the mask is symmetric.",
        remedy="mask[i, j] says whether query i may attend to key j: rows are queries.",
        seen="mlx-examples PR#113 and x-transformers PR#10 (a bias by relative position, with its sign changed).",
        rewrite=_of_mask(_GIVEN, "transposed", _transposed),
        catalogue=("E9",),
        rare=True,
    ),
    Deviation(
        id="mask-negated",
        kind="mistake",
        does="The additive mask is subtracted: it raises the scores that it should lower.",
        invisible="Where the mask is the same for all keys of a query.",
        remedy="scores + mask, with 0 where a query may attend and a large negative number where it may not.",
        seen="A common slip in hand work; no public thread is known.",
        rewrite=_of_mask((scores.mask_additive,), "negated", _negated),
        rare=True,
    ),
    Deviation(
        id="mask-infinite-weights",
        kind="mistake",
        does="Minus infinity is written into the weights, after the softmax, instead of the scores.",
        invisible="Where nothing is masked.",
        remedy="Mask the scores with -np.inf before the softmax.",
        seen="NISQA#17.",
        rewrite=_infinite,
        catalogue=("E4",),
        rare=True,
    ),
)
