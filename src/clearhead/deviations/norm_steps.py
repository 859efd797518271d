"""Norms as separate steps, of which deviations replace one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clearhead.deviations.deviation import Rewrite
from clearhead.deviations.rewrites import Match, change_lines, is_called, swap
from clearhead.line import Line, free_name
from clearhead.ops import Operation
from clearhead.ops.textbook import tokens
from clearhead.ops.variants import norms as variants_norms
from clearhead.working import Working

CENTRED: dict[Operation, Operation | None] = {
    tokens.layer_norm: variants_norms.centred,
    tokens.norm_over_matrix: variants_norms.centred_over_matrix,
    tokens.rms_norm: None,
}
"""What each norm subtracts first."""

SQUARED = {
    tokens.layer_norm: variants_norms.mean_square,
    tokens.norm_over_matrix: variants_norms.mean_square_over_matrix,
    tokens.rms_norm: variants_norms.mean_square,
}
"""What each norm divides by, before the root."""

MEAN_SQUARES = (
    variants_norms.mean_square,
    variants_norms.mean_square_over_matrix,
    variants_norms.mean_square_over_tokens,
    variants_norms.mean_square_over_batch,
    variants_norms.mean_square_over_heads,
)
SPREADS = (variants_norms.root, variants_norms.root_then_eps, variants_norms.no_root, variants_norms.squared)
AFFINE = {tokens.gain: variants_norms.gain_plus_one, tokens.gain_and_bias: variants_norms.gain_plus_one_and_bias}


def is_of_heads(line: Line, roles: Sequence[str] = ("query", "key")) -> bool:
    """Whether a line belongs to the norm of queries or keys, or of one of them."""
    return any(is_called(line, f"{role}.norm") or f"{role}.norm." in line.name for role in roles)


def _is_step(line: Line) -> bool:
    return line.operation in SPREADS


def in_steps(working: Working) -> Working:
    """The working with every norm as steps: the difference from the mean, its mean square, the root, the quotient.

    Raises:
        Nothing: there is no norm.
    """
    if any(map(_is_step, working.lines)):
        return working
    return change_lines(working, lambda line: line.operation in CENTRED, lambda line: _steps(working, line), "a norm")


def _steps(working: Working, line: Line) -> list[Line]:
    path = line.name.removesuffix(".normalized")
    less = CENTRED[line.operation]
    centred = Line(free_name(f"{path}.centred", working.names), less, line.operands, line.axes) if less else None
    source = centred.name if centred else line.operands[0]
    variance = Line(
        free_name(f"{path}.variance", working.names), SQUARED[line.operation], (source,), line.axes, (("ddof", 0),)
    )
    spread = Line(
        free_name(f"{path}.spread", working.names), variants_norms.root, (variance.name,), line.axes, line.parameters
    )
    last = Line(line.name, variants_norms.quotient, (source, spread.name), line.axes)
    return [*([centred] if centred else []), variance, spread, last]


def step(table: Mapping[Operation, Operation], where: Match | None = None, **parameters: object) -> Rewrite:
    """A rewrite of steps of norms."""
    change = swap(table, where, **parameters)
    return lambda working: change(in_steps(working))


def over(kind: str, where: Match | None = None) -> Rewrite:
    """A rewrite that computes the mean and spread of norms of tokens over other cells."""
    return step(
        {
            variants_norms.centred: getattr(variants_norms, f"centred_over_{kind}"),
            variants_norms.mean_square: getattr(variants_norms, f"mean_square_over_{kind}"),
        },
        where,
    )
