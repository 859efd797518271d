"""The instructions of each operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from clearhead.compiled.program.interpreter import Activation, Kind
from clearhead.compiled.program.program import Instruction, Part, Unfit, View, Writer
from clearhead.compiled.program.row_kernels import BYTES
from clearhead.ops import Operation
from clearhead.ops.fused import Between
from clearhead.ops.textbook import linear, positions, scores, tokens

FAR = 1 << 40
"""A distance beyond all tokens."""

Emit = Callable[..., Instruction]
"""Writes the instructions of an operation: into a program, for its result, operands, and parameters by name."""


def _norm(kind: Kind) -> Emit:
    def emit(writer: Writer, out: View, x: View, *, eps: float) -> Instruction:
        return writer.add(kind, out, x, reals=(eps, 0.0))

    return emit


def _matmul(writer: Writer, out: View, a: View, b: View) -> Instruction:
    if b.in_panels:
        _check_rows(a)
        return writer.add(Kind.PRODUCT, out, a, b, inner=a.shape[-1])
    turned = b.strides[-1] != BYTES
    b = b.turned if turned else b
    _check_rows(a, b)
    return writer.add(Kind.PRODUCT, out, a, b, inner=a.shape[-1], turned=turned)


def _check_rows(*matrices: View) -> None:
    """The layout that the BLAS needs: rows that do not overlap, and start at a whole number of numbers."""
    for each in matrices:
        if each.strides[-2] < each.shape[-1] * BYTES or each.strides[-2] % BYTES:
            raise Unfit


def _matmul_transposed(writer: Writer, out: View, a: View, b: View) -> Instruction:
    return _matmul(writer, out, a, b if b.in_panels else b.turned)


def _project(writer: Writer, out: View, x: View, w: View) -> Instruction:
    """One product, if the columns of all heads lie side by side in memory, else one for each head."""
    heads, width, depth = w.shape
    if w.in_panels and not is_side_by_side(out):
        raise Unfit
    if w.in_panels:
        columns = w._replace(shape=(width, heads * depth))
        return _matmul(writer, out._replace(shape=(out.shape[1], heads * depth), strides=out.strides[1:]), x, columns)
    if w.strides[0] != depth * w.strides[2] or not is_side_by_side(out):
        return _matmul(writer, out, x, w)
    columns = w._replace(shape=(width, heads * depth), strides=w.strides[1:])
    return _matmul(writer, out._replace(shape=(out.shape[1], heads * depth), strides=out.strides[1:]), x, columns)


def is_side_by_side(x: View) -> bool:
    """Whether the heads of a token lie side by side in memory."""
    heads, _, depth = x.shape
    return x.strides == (depth * BYTES, heads * depth * BYTES, BYTES)


def _concat(writer: Writer, out: View, x: View) -> Instruction:
    split = out._replace(shape=x.shape, strides=(x.shape[2] * BYTES, out.strides[0], BYTES))
    return writer.add(Kind.COPY, split, x)


def _repeat(writer: Writer, out: View, x: View, *, times: int) -> Instruction:
    return writer.add(Kind.COPY, out, x, shared=times)


def _rotate_half(writer: Writer, out: View, x: View, cos: View, sin: View) -> Instruction:
    return writer.add(Kind.ROTATE_HALF, out, x, cos, sin, inner=cos.shape[-1])


def weights(writer: Writer, out: View, query: View, key: View, *real: View, between: Between) -> Instruction:
    """Softmax of the scores of queries and keys, after what stands between; ``real``: 1 for keys, 0 for padding."""
    factor, cap, behind, ahead = 1.0, 0.0, FAR, FAR
    for operation, parameters in between:
        given = dict(parameters)
        if operation is scores.scale_by_depth:
            factor = query.shape[-1] ** -0.5
        elif operation is scores.scale:
            factor = given["factor"]
        elif operation is scores.softcap:
            cap = given["cap"]
        elif operation is scores.mask_causal:
            ahead = 0
        elif operation is scores.mask_window:
            behind, ahead = given["width"] - 1, min(ahead, given["width"] - 1)
    seen = key.shape[-2] - query.shape[-2], behind, ahead
    _check_rows(query, key)
    operands, inner = (query, key, *real), query.shape[-1]
    return writer.add(Kind.WEIGHTS, out, *operands, inner=inner, turned=True, seen=seen, reals=(factor, cap))


EMIT: Mapping[Operation, Emit] = {
    linear.matmul: _matmul,
    linear.matmul_transposed: _matmul_transposed,
    linear.weighted_sum: _matmul,
    linear.project: _project,
    linear.concat: _concat,
    linear.repeat: _repeat,
    tokens.layer_norm: _norm(Kind.LAYER_NORM),
    tokens.rms_norm: _norm(Kind.RMS_NORM),
    positions.rotate_half: _rotate_half,
}
"""The operations that have instructions."""

BY_PANELS = {linear.matmul: False, linear.project: False, linear.matmul_transposed: True}
"""The operations whose second operand may lie in panels, and whether it is a turned matrix."""

ENDINGS: Mapping[Operation, tuple[Part, ...] | Activation] = {
    linear.add: (Part.PLUS,),
    linear.bias: (Part.PLUS,),
    linear.head_bias: (Part.PLUS,),
    linear.multiply: (Part.TIMES,),
    tokens.gain: (Part.TIMES,),
    tokens.layer_scale: (Part.TIMES,),
    tokens.gain_and_bias: (Part.TIMES, Part.PLUS),
    tokens.silu: Activation.SILU,
    tokens.gelu: Activation.GELU,
    tokens.gelu_tanh: Activation.GELU_TANH,
    tokens.relu: Activation.RELU,
}
"""The operations that can end the instruction before them, or are a copy with such an ending."""

EITHER = frozenset({linear.add, linear.multiply})
"""Operations whose operands can be exchanged."""

SIDE_BY_SIDE = frozenset({linear.project, linear.head_bias, linear.weighted_sum, positions.rotate_half})
"""The operations whose results have the heads of a token side by side in memory."""


def end(instruction: Instruction, operation: Operation, operands: Sequence[View]) -> bool:
    """Ends an instruction with an operation on its result and these operands; returns whether that is possible."""
    parts = ENDINGS[operation]
    if isinstance(parts, Activation):
        return instruction.end([(Part.ACTIVATION, parts)])
    if operation is linear.head_bias:
        (bias,) = operands
        heads, depth = bias.shape
        if len(instruction.out.shape) == 3:
            bias = bias._replace(shape=(heads, 1, depth), strides=(bias.strides[0], 0, bias.strides[1]))
        elif bias.strides[0] == depth * bias.strides[1]:
            # The product of all heads side by side, as are their biases.
            bias = bias._replace(shape=(heads * depth,), strides=bias.strides[1:])
        else:
            return False
        return instruction.end([(Part.PLUS, bias)])
    operands = [_as_wide(each, instruction.out) for each in operands]
    if any(each.shape != instruction.out.shape[-len(each.shape) :] for each in operands):
        return False  # a product of all heads side by side, and an operand that is not
    return instruction.end(list(zip(parts, operands, strict=True)))


def _as_wide(x: View, out: View) -> View:
    """An operand whose heads lie side by side as one matrix, where those of the result do."""
    if len(out.shape) == 2 and len(x.shape) == 3 and is_side_by_side(x):
        heads, rows, depth = x.shape
        return x._replace(shape=(rows, heads * depth), strides=x.strides[1:])
    return x


FLAGGED = frozenset({tokens.layer_norm, tokens.rms_norm, scores.softmax})
"""The operations whose remarks the interpreter can find."""


def flag(writer: Writer, instruction: Instruction, found: View) -> None:
    """Makes the interpreter find the rows of an instruction's result on which the operation has a remark."""
    if instruction.kind is Kind.WEIGHTS:
        writer.add(Kind.UNATTENDED, found, instruction.out, inner=instruction.out.shape[-1])
    else:
        instruction.operands = (instruction.operands[0], found, None)
