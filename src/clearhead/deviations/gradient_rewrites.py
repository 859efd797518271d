"""Rewrites of gradients: what makes a derivative wrong where the forward pass is right."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from msgspec.structs import replace

from clearhead.backward import GRAD
from clearhead.deviations.deviation import Rewrite
from clearhead.deviations.rewrites import Nothing, change_lines, follow
from clearhead.line import Line, find, free_name
from clearhead.ops import Operation, Parameters, as_parameters
from clearhead.ops.gradients import stated, sums
from clearhead.ops.gradients.gradient import gradient
from clearhead.ops.textbook import linear, losses, positions, scores, tokens
from clearhead.ops.variants import gradients as wrong
from clearhead.ops.variants.heads import unchanged
from clearhead.working import Working


def gradients_of(role: str, *forward: Operation) -> frozenset[Operation]:
    """The gradients of operations for the operand of a role."""
    return frozenset(found for each in forward if (found := gradient(each, role, _PLAIN.get(each.name, ()))))


_PLAIN: dict[str, Parameters] = {
    "repeat": (("times", 2),),
    "mean_of_counted": (("ignored", 0),),
    "scale": (("factor", 2.0),),
    "dropout": (("rate", 0.5),),
    "mask_window": (("width", 2),),
    "negative_log_likelihood": (("ignored", None), ("smoothing", 0.0)),
}
"""Parameters with which to ask whether an operation has a gradient."""

SCALES = gradients_of("s", scores.scale_by_depth, scores.scale)
TO_QUERY = gradients_of("a", linear.matmul_transposed)
TO_KEY = gradients_of("b", linear.matmul_transposed)
TO_VALUE = gradients_of("values", linear.weighted_sum)
TO_WEIGHTS = gradients_of("w", linear.project) | gradients_of("b", linear.matmul)
REPEATS = gradients_of("x", linear.repeat)
PAST_CAUSAL = gradients_of("s", scores.mask_causal)
BIASES = {
    **dict.fromkeys(gradients_of("b", linear.bias), wrong.mean_over_tokens),
    **dict.fromkeys(gradients_of("b", linear.head_bias), wrong.mean_over_tokens_of_head),
    **dict.fromkeys(gradients_of("bias", tokens.gain_and_bias), wrong.mean_over_tokens),
}
ACTIVATIONS = frozenset(
    {
        stated.gelu_grad,
        stated.gelu_tanh_grad,
        stated.gelu_sigmoid_grad,
        stated.silu_grad,
        stated.tanh_grad,
        stated.relu_squared_grad,
        *gradients_of("x", tokens.relu, tokens.xielu),
    }
)
LOSSES = frozenset({stated.cross_entropy_grad, *gradients_of("probabilities", losses.negative_log_likelihood)})
TURNS = {
    stated.rotate_half_grad: positions.rotate_half,
    stated.rotate_interleaved_grad: positions.rotate_interleaved,
}


def each_of(operations: Collection[Operation], change: Callable[[Working, Line], Iterable[Line]], what: str) -> Rewrite:
    """A rewrite of the lines of these gradients."""

    def rewrite(working: Working) -> Working:
        matches = [line for line in working.lines if line.operation in operations]
        if not matches:
            raise Nothing(f"no gradient of this working is {what}.")
        return change_lines(working, lambda line: line in matches, lambda line: change(working, line), what)

    return rewrite


def passed(operations: Collection[Operation], what: str) -> Rewrite:
    """A rewrite that passes the gradient on as it comes."""
    return each_of(operations, lambda _, line: [as_operation(line, unchanged, line.operands[-1])], what)


def each_scale(change: Callable[[Working, Line], list[Line]]) -> Rewrite:
    """A rewrite of the gradients of the scale of scores; others are scaled too, as embeddings are."""

    def matches(line: Line) -> bool:
        return line.operation in SCALES and line.axes[-2:] == ("query", "key")

    return lambda working: change_lines(working, matches, lambda line: change(working, line), "that of a scale")


def unscaled(_: Working, line: Line) -> list[Line]:
    """The gradient as it comes."""
    return [as_operation(line, unchanged, line.operands[-1])]


def as_operation(line: Line, operation: Operation, *operands: str) -> Line:
    """The line with another operation, of these operands."""
    return Line(line.name, operation, operands, line.axes, _known(line, operation))


def _known(line: Line, operation: Operation) -> Parameters:
    return tuple((name, value) for name, value in line.parameters if name in operation.parameters)


def line_of(working: Working, name: str) -> Line:
    """The line of this full name.

    Raises:
        Nothing: it is given here, not computed.
    """
    found = working.line(name)
    if not isinstance(found, Line):
        raise Nothing(f"{name} is given here.")
    return found


def past_scale(side: Collection[Operation]) -> Rewrite:
    """A rewrite in which a gradient reads that of the scaled scores."""

    def change(working: Working, line: Line) -> list[Line]:
        before = _scaling(working, line)
        return [replace(line, operands=(*line.operands[:-1], before.operands[-1]))]

    return each_of(side, change, "that of queries or keys")


def scaled_again(side: Collection[Operation]) -> Rewrite:
    """A rewrite in which a gradient reads that of the scores, scaled once more."""

    def change(working: Working, line: Line) -> list[Line]:
        before = _scaling(working, line)
        name = free_name(f"{before.name}.again_for_{line.name.removesuffix(GRAD).replace('.', '_')}", working.names)
        again = replace(before, name=name, operands=(*before.operands[:-1], before.name))
        return [again, replace(line, operands=(*line.operands[:-1], name))]

    return each_of(side, change, "that of queries or keys")


def _scaling(working: Working, line: Line) -> Line:
    """The gradient of a scale, which a gradient reads.

    Raises:
        Nothing: the scores are not scaled before it.
    """
    before = working.line(line.operands[-1])
    if not isinstance(before, Line) or before.operation not in SCALES:
        raise Nothing("the scores are not scaled here.")
    return before


def twice(working: Working, line: Line) -> list[Line]:
    """The scale once more, behind itself."""
    inner = free_name(f"{line.name}.once", working.names)
    return [replace(line, name=inner), replace(line, operands=(*line.operands[:-1], inner))]


def recomputed(*, masks_gradient: bool) -> Rewrite:
    """A rewrite in which the backward pass computes the weights again, without the causal mask.

    ``masks_gradient``: whether the gradient of the scores is masked nevertheless.
    """

    def again(working: Working, line: Line, masked: Line) -> list[Line]:
        name = free_name(f"{line.name}.again", working.names)
        return [line, Line(name, wrong.shares_by_other_sum, (masked.operands[0], masked.name), line.axes)]

    def rewrite(working: Working) -> Working:
        made = _with_other_weights(working, again)
        return made if masks_gradient else passed(PAST_CAUSAL, "that of a causal mask")(made)

    return rewrite


def masked_again(working: Working) -> Working:
    """The backward pass with weights that a causal mask hides, where the forward pass has none."""
    if any(line.operation is scores.mask_causal for line in working.lines):
        raise Nothing("the forward pass of this working has a causal mask.")
    (mask,) = PAST_CAUSAL

    def change(line: Line) -> list[Line]:
        if line.operation is not scores.softmax or line.axes[-2:] != ("query", "key"):
            return [line]
        return [line, Line(free_name(f"{line.name}.masked", working.names), mask, (line.name,), line.axes)]

    return reading(working, change, "a softmax over keys")


def _with_other_weights(working: Working, again: Callable[[Working, Line, Line], list[Line]]) -> Working:
    """The working whose gradients read weights that are computed again from causal scores."""

    def change(line: Line) -> list[Line]:
        masked = working.line(line.operands[0]) if line.operation is scores.softmax else None
        if not isinstance(masked, Line) or masked.operation is not scores.mask_causal:
            return [line]
        return again(working, line, masked)

    return reading(working, change, "a causal mask right before a softmax")


def reading(working: Working, change: Callable[[Line], list[Line]], what: str) -> Working:
    """The working whose gradients read what ``change`` puts behind a line of the forward pass, in its place."""
    renamed: dict[str, str] = {}

    def changed(line: Line) -> list[Line]:
        if GRAD in line.name:
            return [replace(line, operands=tuple(renamed.get(name, name) for name in line.operands))]
        made = change(line)
        if len(made) > 1:
            renamed[line.name] = made[-1].name
        return made

    rewritten = change_lines(working, lambda _: True, changed, what)
    if not renamed:
        raise Nothing(f"no line of this working is {what}.")
    return rewritten


def of_one(operations: Collection[Operation], change: Callable[[Working, Line], Iterable[Line]]) -> Rewrite:
    """A rewrite of one gradient of several, given by the name of the array that it is for."""

    def rewrite(working: Working, line: str) -> Working:
        name = find(line, working.names) + GRAD
        if name not in tried_one(working, operations):
            raise Nothing(f"{line} has no such gradient here, or it is the only one.")
        made = line_of(working, name)
        return change_lines(working, lambda each: each == made, lambda each: change(working, each), line)

    return rewrite


def tried_one(working: Working, operations: Collection[Operation]) -> tuple[str, ...]:
    """The gradients of these operations, where there are several."""
    found = tuple(line.name for line in working.lines if line.operation in operations)
    return found if len(found) > 1 else ()


def try_each(operations: Collection[Operation]) -> Callable[[Working], Iterable[Parameters]]:
    """The arrays whose gradients `of_one` can rewrite."""
    return lambda working: tuple(
        (("line", name.removesuffix(GRAD)),) for name in tried_one(working, operations) if not name.startswith("step")
    )


def mean_of_rows(_: Working, line: Line) -> list[Line]:
    """The gradient of a bias as a mean over the tokens."""
    return [as_operation(line, BIASES[line.operation], line.operands[-1])]


def of_what_is_read(working: Working, line: Line) -> list[Line]:
    """A derivative in terms of the result, of what the activation reads."""
    result = line_of(working, line.operands[0])
    return [replace(line, operands=(result.operands[0], *line.operands[1:]))]


def averaged(working: Working, line: Line) -> list[Line]:
    """The gradients of the heads of a group, averaged."""
    times = dict(line.parameters)["times"]
    return follow(working, line, "summed", scores.scale, factor=1 / times)


def divided(working: Working, line: Line) -> list[Line]:
    """A gradient that is a sum over tokens, divided by their number."""
    return follow(working, line, "summed", wrong.divided_by_rows, line.operands[0])


def overwritten(working: Working, line: Line) -> list[Line]:
    """The gradient of the last head of each group."""
    return [as_operation(line, wrong.last_of_group, line.operands[-1])]


def interleaved(working: Working, line: Line) -> list[Line]:
    """The gradients of shared heads, added up for the wrong groups."""
    return [as_operation(line, wrong.sum_of_interleaved, line.operands[-1])]


def _is_residual(working: Working, line: Line) -> bool:
    """Whether one of the parts of a sum comes straight through a residual connection."""
    return line.operation is sums.sum_of and any(map(_is_straight, (working.line(name) for name in line.operands)))


def _is_straight(part: object) -> bool:
    return isinstance(part, Line) and part.operation in _STRAIGHT and GRAD in part.name


_STRAIGHT = gradients_of("a", linear.add)


def residual(change: Callable[[tuple[str, ...], list[str]], tuple[str, ...]]) -> Rewrite:
    """A rewrite of the sums at residual connections: of all parts and the straight ones, which are added."""

    def rewrite(working: Working) -> Working:
        def made(line: Line) -> list[Line]:
            straight = [name for name in line.operands if _is_straight(working.line(name))]
            return [_sum(line, change(line.operands, straight))]

        matches = [line for line in working.lines if _is_residual(working, line)]
        return change_lines(working, lambda line: line in matches, made, "the gradient of a residual connection")

    return rewrite


def _sum(line: Line, parts: tuple[str, ...]) -> Line:
    """The sum with these parts alone.

    Raises:
        Nothing: there are none, since another deviation left only what this one takes away.
    """
    if not parts:
        raise Nothing(f"no other part of {line.name} is left.")
    rank = dict(line.parameters)["rank"]
    return replace(line, operands=parts, parameters=as_parameters({"count": len(parts), "rank": rank}))


def last_part(working: Working, line: Line) -> list[Line]:
    """Of several parts the last alone."""
    return [_sum(line, line.operands[-1:])]


def detached(working: Working, line: str) -> Working:
    """Nothing comes to a line: its gradient is 0."""
    name = find(line, working.names) + GRAD
    if name not in working.names or GRAD in line:
        raise Nothing(f"{line} has no gradient here.")
    made = line_of(working, name)
    source = name.removesuffix(GRAD)
    rank = as_parameters({"rank": len(made.axes)})
    return change_lines(
        working, lambda each: each.name == name, lambda each: [Line(name, sums.none, (source,), each.axes, rank)], line
    )


def try_detached(working: Working) -> Iterable[Parameters]:
    """The lines that people detach: queries, keys, values, weights and outputs of the first pass."""
    ends = ("query", "key", "value", "weights", "output")
    names = [
        line.name for line in working.lines if line.name.split(".")[-1] in ends and not line.name.startswith("step")
    ]
    computed = {line.name for line in working.lines}
    return tuple((("line", name),) for name in names if name + GRAD in computed)


def of_all_tokens(working: Working, line: Line) -> list[Line]:
    """The loss differentiated as the mean of all tokens."""
    each = line.name.removesuffix(GRAD)
    (own,) = gradients_of("loss", losses.mean_of_tokens)
    return [Line(line.name, own, (each, line.operands[-1]), line.axes)]


def undivided(working: Working, line: Line) -> list[Line]:
    """The mean of tokens differentiated as their sum."""
    (own,) = gradients_of("loss", losses.sum_of_tokens)
    names = {"grad": line.operands[-1]}
    operands = tuple(names.get(role, line.name.removesuffix(GRAD)) for role in own.formula(()).roles)
    return [Line(line.name, own, operands, line.axes)]


def counting_ignored(_: Working, line: Line) -> list[Line]:
    """The gradient of a loss in which all targets count."""
    parameters = dict(line.parameters)
    if parameters["ignored"] is None:
        raise Nothing("no target is ignored here.")
    return [replace(line, parameters=as_parameters({**parameters, "ignored": None}))]


def forwards(working: Working, line: Line) -> list[Line]:
    """The gradient turned by the angle, not back."""
    cos, sin, grad = line.operands
    return [as_operation(line, TURNS[line.operation], grad, cos, sin)]
