"""The operations, each stated twice: as a formula over indices and as array code."""

from clearhead.errors import UnknownName, suggest
from clearhead.ops import linear, positions, rounding, scores, tokens
from clearhead.ops.operation import Array, Namespace, Operation, Parameters, Remark, as_parameters, namespace, quiet

OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        linear.matmul, linear.matmul_transposed, linear.project, linear.add, linear.multiply, linear.bias,
        linear.head_bias, linear.weighted_sum, linear.concat, linear.split, linear.repeat, linear.append,
        scores.scale, scores.scale_by_depth, scores.softcap, scores.mask_boolean, scores.mask_additive,
        scores.mask_padding, scores.mask_causal, scores.mask_window, scores.alibi_slopes, scores.alibi,
        scores.softmax, scores.softmax_over_queries,
        tokens.layer_norm, tokens.rms_norm, tokens.norm_over_matrix, tokens.gain, tokens.gain_and_bias,
        tokens.relu, tokens.silu, tokens.gelu, tokens.gelu_tanh,
        positions.sinusoidal, positions.count, positions.count_on, positions.rotary_angles, positions.cos,
        positions.sin, positions.rotate_half, positions.rotate_interleaved,
        rounding.round_decimals, rounding.round_head,
    )
}  # fmt: skip
"""Every operation by name."""


def operation_named(name: str) -> Operation:
    """The operation of this name.

    Raises:
        UnknownName: there is none; the message offers the closest.
    """
    try:
        return OPERATIONS[name]
    except KeyError:
        raise UnknownName(f"No operation is called {name!r}. {suggest(name, OPERATIONS)}") from None


__all__ = [
    "OPERATIONS", "Array", "Namespace", "Operation", "Parameters", "Remark", "as_parameters", "linear", "namespace",
    "operation_named", "positions", "quiet", "rounding", "scores", "tokens",
]  # fmt: skip
