"""Gradients of norms and of their gains that are wrong by themselves."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from clearhead.deviations.deviation import Deviation
from clearhead.deviations.gradient_rewrites import as_operation, each_of, gradients_of, line_of, passed, reading
from clearhead.deviations.rewrites import Nothing, swap
from clearhead.line import Line, free_name
from clearhead.ops import as_parameters
from clearhead.ops.gradients import stated
from clearhead.ops.textbook import tokens
from clearhead.ops.variants import gradients as wrong
from clearhead.working import Working

GAINS = gradients_of("gain", tokens.gain, tokens.gain_and_bias)
PAST_GAIN = gradients_of("x", tokens.gain, tokens.gain_and_bias)
NORMS = frozenset({stated.layer_norm_grad, stated.rms_norm_grad})


def _fixed(working: Working, line: Line) -> list[Line]:
    """The gradient of a norm, divided by its root and nothing else."""
    if line.operation is stated.layer_norm_grad:
        return [as_operation(line, wrong.layer_norm_grad_fixed, *line.operands)]
    return [as_operation(line, wrong.rms_norm_grad_fixed, line.operands[0], line.operands[-1])]


def _over_tokens(*, counted: bool) -> Callable[[Working, Line], list[Line]]:
    """The gradient of a norm with sums over all tokens; ``counted``: divided by how many tokens there are, too."""

    def change(_: Working, line: Line) -> list[Line]:
        layer = line.operation is stated.layer_norm_grad
        operation = wrong.layer_norm_grad_over_tokens if layer else wrong.rms_norm_grad_over_tokens
        parameters = as_parameters({**dict(line.parameters), "counted": counted})
        return [replace(line, operation=operation, parameters=parameters)]

    return change


def _of_input(working: Working, line: Line) -> list[Line]:
    """The gain's gradient from what the norm reads, not from what it has normalised."""
    normalized = line_of(working, line.operands[0])
    return [replace(line, operands=(normalized.operands[0], *line.operands[1:]))]


def _gain_twice(working: Working, line: Line) -> list[Line]:
    """The gradient of a norm of which the part along the result is multiplied by the gain once more."""
    grad = line_of(working, line.operands[-1])
    if grad.operation not in PAST_GAIN:
        raise Nothing("no gain follows the norm of this working.")
    layer = line.operation is stated.layer_norm_grad
    operation = wrong.layer_norm_grad_gain_twice if layer else wrong.rms_norm_grad_gain_twice
    return [replace(line, operation=operation, operands=(*line.operands, grad.operands[0]))]


def _normalized_again(working: Working) -> Working:
    """The backward pass with what was normalised in the place of what is to be, and the norm of that for its norm."""

    def again(line: Line) -> list[Line]:
        if line.operation not in {tokens.layer_norm, tokens.rms_norm}:
            return [line]
        return [line, replace(line, name=free_name(f"{line.name}.again", working.names), operands=(line.name,))]

    def change(whole: Working, line: Line) -> list[Line]:
        _, out, grad = line.operands
        return [replace(line, operands=(line_of(whole, out).operands[0], out, grad))]

    return each_of(NORMS, change, "that of a norm")(reading(working, again, "a norm"))


ROWS = (
    Deviation(
        id="grad-norm-over-tokens",
        kind="mistake",
        does="The two means in the gradient of a norm are taken over all tokens, not for each.",
        invisible="Where there is one token.",
        remedy="dx = (dy - dy.mean(axis=-1, keepdims=True) - y * (dy * y).mean(axis=-1, keepdims=True)) / std.",
        seen="FlagGems#5392.",
        rewrite=each_of(NORMS, _over_tokens(counted=True), "that of a norm"),
        of="backward",
    ),
    Deviation(
        id="grad-norm-sums-over-tokens",
        kind="mistake",
        does="The two sums in the gradient of a norm run over all tokens, and are divided by the number of features.",
        invisible="Where there is one token.",
        remedy="dx = (dy - dy.mean(axis=-1, keepdims=True) - y * (dy * y).mean(axis=-1, keepdims=True)) / std.",
        seen="FlagGems PR#59.",
        rewrite=each_of(NORMS, _over_tokens(counted=False), "that of a norm"),
        of="backward",
    ),
    Deviation(
        id="grad-norm-mean-fixed",
        kind="mistake",
        does="The mean of layer norm is taken for a constant in its gradient.",
        invisible="Where the gradients of each row add up to 0.",
        remedy="dx = (dy - dy.mean() - y * (dy * y).mean()) / std.",
        seen="The family of quack PR#53.",
        rewrite=swap({stated.layer_norm_grad: wrong.layer_norm_grad_fixed_mean}),
        of="backward",
    ),
    Deviation(
        id="grad-norm-mean-twice",
        kind="mistake",
        does="The mean of the gradients is taken off twice in the gradient of layer norm.",
        invisible="Where the gradients of each row add up to 0.",
        remedy="dx = (dy - dy.mean() - y * (dy * y).mean()) / std.",
        seen="tt-metal#53204.",
        rewrite=swap({stated.layer_norm_grad: wrong.layer_norm_grad_mean_twice}),
        of="backward",
    ),
    Deviation(
        id="grad-norm-variance-fixed",
        kind="mistake",
        does="The variance of layer norm is taken for a constant in its gradient.",
        invisible="Where the gradient of each row has nothing along the row.",
        remedy="dx = (dy - dy.mean() - y * (dy * y).mean()) / std.",
        seen="The family of quack PR#53.",
        rewrite=swap({stated.layer_norm_grad: wrong.layer_norm_grad_fixed_variance}),
        of="backward",
    ),
    Deviation(
        id="grad-norm-fixed",
        kind="mistake",
        does="Mean and variance of a norm are taken for constants in its gradient.",
        invisible="Never on ordinary data.",
        remedy="dx = (dy - dy.mean() - y * (dy * y).mean()) / std; for RMS norm without the first mean.",
        seen="The family of quack PR#53.",
        rewrite=each_of(NORMS, _fixed, "that of a norm"),
        of="backward",
    ),
    Deviation(
        id="grad-norm-eps-missing",
        kind="mistake",
        does="The gradient of a norm divides by the root without eps.",
        invisible="Where the variance is far above eps.",
        remedy="Keep what the forward pass divided by, and use it.",
        seen="The family of quack PR#53.",
        rewrite=each_of(
            NORMS, lambda _, line: [replace(line, parameters=as_parameters({"eps": 0.0}))], "that of a norm"
        ),
        of="backward",
    ),
    Deviation(
        id="grad-gain-of-input",
        kind="mistake",
        does="The gain's gradient is computed from what the norm reads, not from what it has normalised.",
        invisible="Where the norm changes nothing.",
        remedy="dgain = (dy * x_normalised).sum(axis=0).",
        seen="The family of unsloth PR#4550.",
        rewrite=each_of(GAINS, _of_input, "that of a gain"),
        of="backward",
    ),
    Deviation(
        id="grad-gain-missing",
        kind="mistake",
        does="The gradient passes the gain of a norm without being multiplied by it.",
        invisible="Where every gain is 1.",
        remedy="dx_normalised = dy * gain.",
        seen="llm.c PR#763 (in a comment).",
        rewrite=passed(PAST_GAIN, "that of a gain"),
        of="backward",
    ),
    Deviation(
        id="grad-gain-twice",
        kind="mistake",
        does="The gain is in the second term of a norm's gradient once more.",
        invisible="Where every gain is 1.",
        remedy="d = dy * gain; dx = (d - d.mean() - y * (d * y).mean()) / std, with y before the gain.",
        seen="Megatron-LM PR#6859.",
        rewrite=each_of(NORMS, _gain_twice, "that of a norm"),
        of="backward",
    ),
    Deviation(
        id="grad-norm-twice",
        kind="mistake",
        does="The backward pass of a norm reads what is normalised already, and normalises it again.",
        invisible="Where the root of each row is 1.",
        remedy="Keep the input and normalise that, or keep what is normalised with its root and use both as they are.",
        seen="mamba PR#919.",
        rewrite=_normalized_again,
        of="backward",
    ),
)
